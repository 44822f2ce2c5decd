//! What goes wrong on purpose: when, and to whom. Changes when a fault is added.

use super::cluster::Cluster;
use super::error::LabError;
use super::ground::NetworkFault;
use super::truth::Truth;
use crate::deployment::PodId;
use nix::sys::signal::Signal;
use std::time::Duration;
use tg_core::random::Random;
use tg_model::cluster_event::PodPhase;
use tg_model::lab_plan::{Fault, FaultKind};
use tg_model::time::Nanos;

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
    random: Random,
}

impl Faults {
    /// `start`: of the traffic.
    pub fn new(faults: &[Fault], start: Nanos, seed: u64) -> Faults {
        let due = faults.iter().filter_map(|f| f.at.map(|at| (start + at.into(), *f))).collect();
        let with_upgrade = faults.iter().filter(|f| f.at.is_none()).copied().collect();
        Faults { due, with_upgrade, cures: Vec::new(), random: Random::new(seed) }
    }

    /// The upgrade begins.
    pub fn upgrade(&mut self, now: Nanos) {
        self.due.extend(self.with_upgrade.drain(..).map(|f| (now, f)));
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
                Cure::Network(network) => cluster.ground.heal(&network)?,
            }
            cluster.journals.truth(now, Truth::Healed { fault })?;
        }
        Ok(())
    }

    fn begin(&mut self, now: Nanos, fault: Fault, cluster: &mut Cluster) -> Result<(), LabError> {
        let mut truth = (None, None);
        let mut cure = None;
        match fault.kind {
            FaultKind::EndpointLag => cluster.set_lag(fault.lasting.unwrap_or(Duration::ZERO)),
            FaultKind::PodKill | FaultKind::PodFreeze | FaultKind::PodBlackhole | FaultKind::ResetStorm => {
                let Some((id, name)) = self.victim(cluster) else { return Ok(()) };
                truth.0 = Some(name.clone());
                // Before it is done: what follows from it comes later.
                self.tell(now, fault.kind, truth.clone(), cluster)?;
                match fault.kind {
                    FaultKind::PodKill => cluster.signal(id, Signal::SIGKILL),
                    FaultKind::PodFreeze => {
                        cluster.signal(id, Signal::SIGSTOP);
                        cure = Some(Cure::Thaw(id));
                    }
                    FaultKind::ResetStorm => cluster.ground.inject(&NetworkFault::ResetStorm { pod: name })?,
                    _ => {
                        let network = NetworkFault::PodBlackhole { pod: name };
                        cluster.ground.inject(&network)?;
                        cure = Some(Cure::Network(network));
                    }
                }
                self.plan_cure(now, fault, cure);
                return Ok(());
            }
            FaultKind::NodeLoss | FaultKind::ConntrackFlush | FaultKind::EcmpChange => {
                let network = match fault.kind {
                    FaultKind::ConntrackFlush => NetworkFault::ConntrackFlush,
                    FaultKind::EcmpChange => NetworkFault::EcmpChange,
                    // The last one: traffic that goes to one node only goes to the first.
                    _ => {
                        truth.1 = cluster.ground.nodes().pop();
                        NetworkFault::NodeLoss { node: truth.1.clone().unwrap_or_default() }
                    }
                };
                self.tell(now, fault.kind, truth, cluster)?;
                cluster.ground.inject(&network)?;
                self.plan_cure(now, fault, Some(Cure::Network(network)));
                return Ok(());
            }
        }
        self.tell(now, fault.kind, truth, cluster)
    }

    fn tell(
        &self,
        now: Nanos,
        fault: FaultKind,
        (pod, node): (Option<String>, Option<String>),
        cluster: &mut Cluster,
    ) -> Result<(), LabError> {
        cluster.journals.truth(now, Truth::Fault { fault, pod, node })
    }

    fn plan_cure(&mut self, now: Nanos, fault: Fault, cure: Option<Cure>) {
        if let (Some(lasting), Some(cure)) = (fault.lasting.filter(|_| fault.kind.may_last()), cure) {
            self.cures.push((now + lasting.into(), fault.kind, cure));
        }
    }

    /// A pod that serves: an old one as long as there are some.
    fn victim(&mut self, cluster: &Cluster) -> Option<(PodId, String)> {
        let ready = |new: bool| {
            let of = move |(_, m): &(PodId, &super::cluster::Member)| m.phase == PodPhase::Ready && m.new == new;
            cluster.pods().filter(of).map(|(id, m)| (id, m.pod.name.clone())).collect::<Vec<_>>()
        };
        let old = ready(false);
        let mut candidates = if old.is_empty() { ready(true) } else { old };
        if candidates.is_empty() {
            return None;
        }
        // In range: below their number.
        let nth = self.random.below(candidates.len() as u64) as usize;
        Some(candidates.swap_remove(nth))
    }
}
