//! Rolling upgrades over time: which pods were to go. Changes when what dooms a pod does.

use super::pods::Life;
use crate::source::Source;
use tg_model::cluster_event::{Rollout, RolloutPhase};

/// The upgrades that were seen.
#[derive(Debug, Default)]
pub struct Rollouts<'a> {
    pub all: Vec<(Source, &'a Rollout)>,
}

impl<'a> Rollouts<'a> {
    pub(super) fn take(&mut self, source: Source, rollout: &'a Rollout) {
        self.all.push((source, rollout));
    }

    /// The beginnings.
    pub fn started(&self) -> impl Iterator<Item = (Source, &'a Rollout)> {
        self.all.iter().filter(|(_, r)| r.phase == RolloutPhase::Started).copied()
    }

    /// The upgrade by which the pod was to go at a time: the last that began by then, by the earliest that its clock
    /// allows, where it goes to another ReplicaSet of the pod's Deployment.
    pub fn dooming(&self, life: &Life, ns: i64) -> Option<(Source, &'a Rollout)> {
        let set = life.pod.replica_set.as_str();
        // A ReplicaSet's name is its Deployment's and a hash; where there is one Deployment, no name is needed.
        let one = self.all.windows(2).all(|pair| pair[0].1.deployment == pair[1].1.deployment);
        let of_deployment =
            |r: &Rollout| one || set.strip_prefix(r.deployment.as_str()).is_some_and(|s| s.starts_with('-'));
        let last = self.started().filter(|(s, r)| s.at.earliest() <= ns && of_deployment(r)).last()?;
        (last.1.replica_set != set).then_some(last)
    }
}
