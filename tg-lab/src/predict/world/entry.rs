//! A service on a node: its balancer, and what it heard of pods. Changes when what kube-proxy makes of endpoints does.

use super::Change;
use crate::deployment::ReplicaSet;
use crate::scheduler::Balancer;
use std::net::{Ipv4Addr, SocketAddr};

/// A service on a node.
pub(super) struct Entry {
    balancer: Balancer,
    /// Pods that take connections, as far as it knows.
    taking: Vec<u32>,
    /// Of those, new ones.
    new: u32,
    /// Pods that were asked to end, and serve still.
    draining: Vec<u32>,
    /// Where no pod takes connections, those that drain do.
    drained_last: bool,
}

impl Entry {
    /// `drained_last`: where no pod takes connections, those that drain do, as kube-proxy has it.
    pub(super) fn new(balancer: Balancer, drained_last: bool) -> Entry {
        Entry { balancer, taking: Vec::new(), new: 0, draining: Vec::new(), drained_last }
    }

    /// New pods take connections.
    pub(super) fn has_new(&self) -> bool {
        self.new > 0
    }

    pub(super) fn hear(&mut self, pod: u32, set: ReplicaSet, change: Change) {
        let last_resort = self.last_resort();
        let before = self.taking.len();
        self.taking.retain(|p| *p != pod);
        let took = self.taking.len() < before;
        self.draining.retain(|p| *p != pod);
        match change {
            Change::Takes => {
                self.taking.push(pod);
                self.balancer.add(address(pod), 1);
            }
            // What never took connections is not in the balancer.
            Change::Drains if took => {
                self.draining.push(pod);
                self.balancer.set_weight(address(pod), 0);
            }
            Change::Drains | Change::Unready => _ = self.balancer.set_weight(address(pod), 0),
            Change::Removed => _ = self.balancer.remove(address(pod)),
        }
        if set == ReplicaSet::New {
            self.new += u32::from(change == Change::Takes);
            self.new -= u32::from(took);
        }
        if last_resort || self.last_resort() {
            let weight = u32::from(self.last_resort());
            for pod in &self.draining {
                self.balancer.set_weight(address(*pod), weight);
            }
        }
    }

    fn last_resort(&self) -> bool {
        self.drained_last && self.taking.is_empty()
    }

    /// A pod for a new connection, which is counted there.
    pub(super) fn choose(&mut self, client: SocketAddr) -> Option<u32> {
        let at = self.balancer.choose(client)?;
        match self.balancer.backends().get(at)?.address {
            SocketAddr::V4(a) => Some(u32::from(*a.ip())),
            SocketAddr::V6(_) => None,
        }
    }

    /// The connection that was just counted did not come about.
    pub(super) fn refused(&mut self, pod: u32) {
        self.balancer.close(address(pod));
    }

    /// All connections of a pod ended.
    pub(super) fn ended(&mut self, pod: u32) {
        self.balancer.deactivate_all(address(pod));
    }
}

/// A pod's address is its number.
fn address(pod: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(pod), 1))
}
