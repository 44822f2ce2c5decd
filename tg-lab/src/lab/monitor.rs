//! Which nodes are ready, as a cluster's node monitor has it: it knows a node only by its kubelet's word. Changes when
//! Kubernetes' node lifecycle controller does, or what of it the lab has. Pure.
//!
//! Call [`Monitor::poll`] until it gives nothing, after each call of another method and at [`Monitor::wake_at`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use tg_model::cluster_event::NodeChange;
use tg_model::time::Nanos;

/// The nodes of a cluster: all are ready at first.
#[derive(Debug)]
pub struct Monitor {
    grace: Nanos,
    /// Nodes that nothing is heard of, with the time from which on they count as lost.
    silent: BTreeMap<String, Nanos>,
    lost: BTreeSet<String>,
    changes: VecDeque<NodeChange>,
}

impl Monitor {
    /// A node that nothing is heard of for `grace` is not ready.
    pub fn new(grace: Duration) -> Monitor {
        Monitor { grace: grace.into(), silent: BTreeMap::new(), lost: BTreeSet::new(), changes: VecDeque::new() }
    }

    /// Nothing is heard of a node from now on.
    pub fn silent(&mut self, now: Nanos, node: &str) {
        if !self.lost.contains(node) {
            self.silent.entry(node.to_owned()).or_insert(now + self.grace);
        }
    }

    /// A node is heard again: at once it is ready. One that was not missed yet has been ready all the time.
    pub fn heard(&mut self, node: &str) {
        self.silent.remove(node);
        if self.lost.remove(node) {
            self.changes.push_back(NodeChange { node: node.to_owned(), ready: true });
        }
    }

    /// The next change; `None`: none until something happens or [`Monitor::wake_at`].
    pub fn poll(&mut self, now: Nanos) -> Option<NodeChange> {
        let Monitor { silent, lost, changes, .. } = self;
        silent.retain(|node, at| {
            if *at <= now {
                changes.push_back(NodeChange { node: node.clone(), ready: false });
                lost.insert(node.clone());
            }
            *at > now
        });
        changes.pop_front()
    }

    /// When time alone brings the next change.
    pub fn wake_at(&self) -> Option<Nanos> {
        self.silent.values().min().copied()
    }

    /// Whether it counts as ready.
    pub fn is_ready(&self, node: &str) -> bool {
        !self.lost.contains(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Nanos = Nanos::from_millis;

    fn changes(monitor: &mut Monitor, now: Nanos) -> Vec<(String, bool)> {
        std::iter::from_fn(|| monitor.poll(now)).map(|c| (c.node, c.ready)).collect()
    }

    #[test]
    fn a_node_is_not_ready_once_nothing_was_heard_of_it_for_the_grace() {
        let mut m = Monitor::new(Duration::from_millis(100));
        m.silent(MS(10), "node-2");
        m.silent(MS(50), "node-2");
        assert_eq!((changes(&mut m, MS(109)), m.wake_at(), m.is_ready("node-2")), (vec![], Some(MS(110)), true));
        assert_eq!(changes(&mut m, MS(110)), [("node-2".into(), false)]);
        m.silent(MS(120), "node-2");
        assert_eq!((m.wake_at(), m.is_ready("node-2"), m.is_ready("node-1")), (None, false, true));
        m.heard("node-2");
        m.heard("node-1");
        assert_eq!((changes(&mut m, MS(200)), m.is_ready("node-2")), (vec![("node-2".into(), true)], true));
    }

    #[test]
    fn a_node_that_is_heard_again_in_time_was_never_missed() {
        let mut m = Monitor::new(Duration::from_millis(100));
        m.silent(MS(0), "node-1");
        m.heard("node-1");
        assert_eq!((changes(&mut m, MS(500)), m.wake_at()), (vec![], None));
    }
}
