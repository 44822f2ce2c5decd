//! How far each ReplicaSet is scaled, and the pods that follow from it. Changes when Kubernetes' rolling.go does.

use super::pods::ReplicaSet;
use super::{Command, Deployment, PodReplacement};
use tg_model::time::Nanos;

impl Deployment {
    /// Scales until nothing is left to scale; pods are made and deleted on the way.
    pub(super) fn reconcile(&mut self, now: Nanos) {
        self.fill(now);
        while self.upgrading && (self.scale_up_new() || self.scale_down_old(now)) {
            self.fill(now);
        }
    }

    /// `reconcileNewReplicaSet`: as many new pods as `replicas` and the surge leave room for.
    fn scale_up_new(&mut self) -> bool {
        let room = (self.replicas + self.surge).saturating_sub(self.wanted[0] + self.wanted[1] + self.in_the_way());
        let more = room.min(self.replicas.saturating_sub(self.wanted[1]));
        self.wanted[1] += more;
        more > 0
    }

    /// Terminating pods that count.
    fn in_the_way(&self) -> u32 {
        match self.replacement {
            PodReplacement::TerminationStarted => 0,
            PodReplacement::TerminationComplete => self.pods.terminating(),
        }
    }

    /// `reconcileOldReplicaSets`: first those that are not available, which nobody misses, then as many as leave
    /// enough available.
    fn scale_down_old(&mut self, now: Nanos) -> bool {
        let available = [ReplicaSet::Old, ReplicaSet::New].map(|set| self.pods.available(now, set));
        let least = self.replicas - self.unavailable;
        let new_unavailable = self.wanted[1].saturating_sub(available[1]);
        let spare = (self.wanted[0] + self.wanted[1]).saturating_sub(least + new_unavailable);
        let unhealthy = self.wanted[0].saturating_sub(available[0]).min(spare);
        let healthy = if spare == 0 { 0 } else { (available[0] + available[1]).saturating_sub(least) };
        let fewer = (unhealthy + healthy).min(self.wanted[0]);
        self.wanted[0] -= fewer;
        fewer > 0
    }

    /// Makes and deletes pods until each ReplicaSet has as many as it wants.
    fn fill(&mut self, now: Nanos) {
        for (set, wanted) in [(ReplicaSet::Old, self.wanted[0]), (ReplicaSet::New, self.wanted[1])] {
            let have = self.pods.active(set);
            for _ in have..wanted {
                let (pod, node) = self.pods.create(now, set);
                self.commands.push_back(Command::Create { pod, replica_set: set, node });
            }
            for pod in self.pods.delete(now, set, have.saturating_sub(wanted)) {
                self.commands.push_back(Command::Delete { pod });
            }
        }
    }
}
