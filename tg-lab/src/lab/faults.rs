//! What goes wrong on purpose: when, and to whom. Changes when a fault is added.

use super::cluster::Cluster;
use super::error::LabError;
use super::ground::NetworkFault;
use super::member::Member;
use super::truth::Truth;
use crate::deployment::{PodId, ReplicaSet};
use crate::victim::victim;
use nix::sys::signal::Signal;
use std::time::Duration;
use tg_core::random::Random;
use tg_model::cluster_event::PodPhase;
use tg_model::lab_plan::{Fault, FaultKind};
use tg_model::time::Nanos;

/// A fault with its victim.
#[derive(Debug)]
enum Blow {
    /// The pod's process is killed.
    Kill(PodId),
    /// It stands still.
    Freeze(PodId),
    /// Directors hear of endpoints so much later.
    Lag(Duration),
    /// What the ground does.
    Network(NetworkFault),
}

impl Blow {
    /// The pod, and the node, that it hits.
    fn victim(&self, cluster: &Cluster) -> (Option<String>, Option<String>) {
        match self {
            Blow::Kill(id) | Blow::Freeze(id) => {
                let pod = cluster.pods().find(|(pod, _)| pod == id);
                (pod.map(|(_, member)| member.pod.name.clone()), None)
            }
            Blow::Network(NetworkFault::PodBlackhole { pod } | NetworkFault::ResetStorm { pod }) => {
                (Some(pod.clone()), None)
            }
            Blow::Network(NetworkFault::NodeLoss { node }) => (None, Some(node.clone())),
            Blow::Network(NetworkFault::ConntrackFlush | NetworkFault::EcmpChange) | Blow::Lag(_) => (None, None),
        }
    }
}

/// A fault that is to be ended.
#[derive(Debug)]
enum Cure {
    /// The process goes on.
    Thaw(PodId),
    /// The network is as before.
    Network(NetworkFault),
}

/// The faults of a plan.
#[derive(Debug)]
pub struct Faults {
    /// With the time that each comes.
    due: Vec<(Nanos, Fault)>,
    /// With the upgrade.
    with_upgrade: Vec<Fault>,
    cures: Vec<(Nanos, FaultKind, Cure)>,
    /// Those that had nobody to hit.
    missed: Vec<FaultKind>,
    random: Random,
}

impl Faults {
    /// `start`: of the traffic.
    pub fn new(faults: &[Fault], start: Nanos, seed: u64) -> Faults {
        let due = faults.iter().filter_map(|f| f.at.map(|at| (start + at.into(), *f))).collect();
        let with_upgrade = faults.iter().filter(|f| f.at.is_none()).copied().collect();
        Faults { due, with_upgrade, cures: Vec::new(), missed: Vec::new(), random: Random::new(seed) }
    }

    /// The upgrade begins.
    pub fn upgrade(&mut self, now: Nanos) {
        self.due.extend(self.with_upgrade.drain(..).map(|f| (now, f)));
    }

    /// Those that were not made.
    pub fn undone(&self) -> impl Iterator<Item = FaultKind> {
        let left = self.due.iter().map(|(_, f)| f.kind).chain(self.with_upgrade.iter().map(|f| f.kind));
        self.missed.iter().copied().chain(left)
    }

    /// When the next one comes, or ends.
    pub fn wake_at(&self) -> Option<Nanos> {
        self.due.iter().map(|(at, _)| *at).chain(self.cures.iter().map(|(at, ..)| *at)).min()
    }

    /// Does what is due.
    ///
    /// # Errors
    /// The system refused.
    pub fn advance(&mut self, now: Nanos, cluster: &mut Cluster) -> Result<(), LabError> {
        for (_, fault) in self.due.extract_if(.., |(at, _)| *at <= now).collect::<Vec<_>>() {
            self.begin(now, fault, cluster)?;
        }
        for (_, fault, cure) in self.cures.extract_if(.., |(at, ..)| *at <= now).collect::<Vec<_>>() {
            match cure {
                Cure::Thaw(pod) => cluster.signal(pod, Signal::SIGCONT),
                Cure::Network(network) => cluster.heal(&network)?,
            }
            cluster.journals.truth(now, Truth::Healed { fault })?;
        }
        Ok(())
    }

    fn begin(&mut self, now: Nanos, fault: Fault, cluster: &mut Cluster) -> Result<(), LabError> {
        let Some(blow) = self.aim(fault, cluster) else {
            self.missed.push(fault.kind);
            return Ok(());
        };
        let (pod, node) = blow.victim(cluster);
        // Before it is done: what follows from it comes later.
        cluster.journals.truth(now, Truth::Fault { fault: fault.kind, pod, node })?;
        let cure = match blow {
            Blow::Kill(id) => {
                cluster.signal(id, Signal::SIGKILL);
                None
            }
            Blow::Freeze(id) => {
                cluster.signal(id, Signal::SIGSTOP);
                Some(Cure::Thaw(id))
            }
            Blow::Lag(lag) => {
                cluster.set_lag(lag);
                None
            }
            Blow::Network(network) => {
                cluster.inject(now, &network)?;
                Some(Cure::Network(network))
            }
        };
        if let (Some(lasting), Some(cure), true) = (fault.lasting, cure, fault.kind.may_last()) {
            self.cures.push((now + lasting.into(), fault.kind, cure));
        }
        Ok(())
    }

    /// Whom a fault hits; `None`: there is nobody left.
    fn aim(&mut self, fault: Fault, cluster: &Cluster) -> Option<Blow> {
        Some(match fault.kind {
            FaultKind::PodKill => Blow::Kill(self.victim(cluster)?.0),
            FaultKind::PodFreeze => Blow::Freeze(self.victim(cluster)?.0),
            FaultKind::PodBlackhole => Blow::Network(NetworkFault::PodBlackhole { pod: self.victim(cluster)?.1 }),
            FaultKind::ResetStorm => Blow::Network(NetworkFault::ResetStorm { pod: self.victim(cluster)?.1 }),
            FaultKind::EndpointLag => Blow::Lag(fault.lasting.unwrap_or(Duration::ZERO)),
            // The last one: traffic that goes to one node only goes to the first.
            FaultKind::NodeLoss => Blow::Network(NetworkFault::NodeLoss { node: cluster.ground.nodes().pop()? }),
            FaultKind::ConntrackFlush => Blow::Network(NetworkFault::ConntrackFlush),
            FaultKind::EcmpChange => Blow::Network(NetworkFault::EcmpChange),
        })
    }

    fn victim(&mut self, cluster: &Cluster) -> Option<(PodId, String)> {
        let ready = cluster.pods().filter(|(_, m)| m.phase == PodPhase::Ready);
        let set = |m: &Member| if m.new { ReplicaSet::New } else { ReplicaSet::Old };
        victim(ready.map(|(id, m)| ((id, m.pod.name.clone()), set(m))), &mut self.random)
    }
}
