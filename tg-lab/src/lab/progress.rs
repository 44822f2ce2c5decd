//! How a lab goes, for whoever watches. Changes when what is told of it does.

use super::cluster::Cluster;
use std::collections::BTreeMap;
use tg_core::run::Snapshot;
use tg_model::cluster_event::PodPhase;

/// What a lab is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The first pods start.
    Starting,
    /// Traffic before the upgrade.
    Settling,
    /// The upgrade.
    Upgrading,
    /// Traffic after it.
    SettlingAgain,
    /// The last echoes are awaited.
    Ending,
}

impl Phase {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Starting => "starting pods",
            Phase::Settling => "traffic before the upgrade",
            Phase::Upgrading => "upgrading",
            Phase::SettlingAgain => "traffic after the upgrade",
            Phase::Ending => "ending",
        }
    }
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodProgress {
    /// Its name.
    pub name: String,
    /// It is of the ReplicaSet that the upgrade makes.
    pub new: bool,
    /// What became of it last.
    pub phase: PodPhase,
    /// Connections that it has; `None`: the director does not tell.
    pub connections: Option<u64>,
}

/// How a lab goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// What it is at.
    pub phase: Phase,
    /// The pods that there are, in the order that they were made.
    pub pods: Vec<PodProgress>,
    /// The traffic's figures; `None`: there is none yet.
    pub traffic: Option<Snapshot>,
}

impl Progress {
    pub(super) fn new(phase: Phase, cluster: &mut Cluster, traffic: Option<Snapshot>) -> Progress {
        let loads: BTreeMap<String, u64> = cluster.ground.loads().into_iter().collect();
        let of = |m: &super::member::Member| PodProgress {
            name: m.pod.name.clone(),
            new: m.new,
            phase: m.phase,
            connections: loads.get(&m.pod.name).copied(),
        };
        Progress { phase, pods: cluster.pods().map(|(_, m)| of(m)).collect(), traffic }
    }

    /// Pods in a phase: of the old ReplicaSet, of the new one.
    pub fn count(&self, phase: PodPhase) -> (usize, usize) {
        let of = |new| self.pods.iter().filter(|p| p.phase == phase && p.new == new).count();
        (of(false), of(true))
    }

    /// In a few words.
    pub fn summary(&self) -> String {
        let total = |phase| self.count(phase).0 + self.count(phase).1;
        let (starting, ready, terminating) =
            (total(PodPhase::Created), total(PodPhase::Ready), total(PodPhase::Terminating));
        let mut text = format!("{starting} pods starting, {ready} ready, {terminating} terminating");
        if let Some(traffic) = &self.traffic {
            text += &format!(", {} connections", traffic.active);
        }
        text
    }
}
