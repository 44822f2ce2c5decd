//! What came of a run. Changes when a prediction tells more.

use super::World;
use crate::deployment::ReplicaSet;

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Lost connections.
    pub lost: u64,
    /// Of those: put on an old pod, as a replacement, while a new one would have taken them.
    pub avoidable: u64,
    /// Replacements that came to an old pod after the upgrade started.
    pub to_doomed: u64,
    /// Connections that were made, the first ones and replacements.
    pub placed: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// Lost connections of each old pod, in the order in which they were asked to end.
    pub lost_by_old_pod: Vec<u64>,
    /// Lost connections of new pods.
    pub lost_by_new_pods: u64,
    /// Lasting connections of each new pod, in the order in which they were made.
    pub lasting_by_new_pod: Vec<u64>,
    /// Connections that are still on an old pod at the end.
    pub lasting_on_old_pods: u64,
    /// Slots without a connection at the end.
    pub without_connection: u64,
    /// From the upgrade's start until the last old pod is gone.
    pub upgrade_ns: u64,
}

impl World<'_> {
    pub(super) fn outcome(self) -> Outcome {
        let mut outcome = self.clients.outcome();
        outcome.lost_by_old_pod = self.ended.iter().map(|p| self.clients.lost_of(*p)).collect();
        for (n, pod) in self.pods.iter().enumerate() {
            let n = n as u32;
            match pod.set {
                ReplicaSet::New => {
                    outcome.lasting_by_new_pod.push(self.clients.on(n));
                    outcome.lost_by_new_pods += self.clients.lost_of(n);
                }
                ReplicaSet::Old => outcome.lasting_on_old_pods += self.clients.on(n),
            }
        }
        let started = self.upgrade_at.unwrap_or_default();
        outcome.upgrade_ns = self.upgraded_at.unwrap_or(started).since(started).0;
        outcome
    }
}
