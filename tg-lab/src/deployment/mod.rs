//! The Deployment controller with its ReplicaSets, as Kubernetes has them
//! (`pkg/controller/deployment/rolling.go`, `pkg/controller/replicaset`): when a pod is made and when one is asked
//! to end. Pure: `now` goes in, commands come out.
//!
//! Call [`Deployment::poll`] until it gives nothing: after [`Deployment::new`] (it makes the first pods), after
//! [`Deployment::upgrade`], after each [`Deployment::handle`], and at [`Deployment::wake_at`].
//!
//! A pod counts for its ReplicaSet until it is asked to end; what terminates does not count, so the next pod is
//! made while the last one still answers. With `termination-complete` it counts until it is gone.

mod pods;
mod rolling;
#[cfg(test)]
mod tests;

pub use pods::{PodId, PodUpdate, ReplicaSet};

use pods::Pods;
use std::collections::VecDeque;
use tg_core::random::Random;
use tg_model::lab_plan::{LabPlan, PodReplacement};
use tg_model::time::Nanos;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make a pod.
    Create {
        /// Its number, never used again.
        pod: PodId,
        /// What it belongs to.
        replica_set: ReplicaSet,
        /// The node that it goes to, from 0.
        node: u32,
    },
    /// Ask a pod to end: preStop, SIGTERM, and SIGKILL after the grace period.
    Delete {
        /// Which.
        pod: PodId,
    },
}

/// A Deployment.
#[derive(Clone, Debug)]
pub struct Deployment {
    replicas: u32,
    surge: u32,
    unavailable: u32,
    replacement: PodReplacement,
    /// Pods wanted of each ReplicaSet: old, new.
    wanted: [u32; 2],
    upgrading: bool,
    pods: Pods,
    commands: VecDeque<Command>,
}

impl Deployment {
    /// A Deployment that is made: its first pods are to be polled.
    pub fn new(plan: &LabPlan) -> Deployment {
        Deployment::with_seed(plan, plan.seed)
    }

    /// The same with another seed: of the UIDs, by which pods that are equal otherwise are deleted.
    pub fn with_seed(plan: &LabPlan, seed: u64) -> Deployment {
        Deployment {
            replicas: plan.replicas,
            surge: plan.surge(),
            unavailable: plan.unavailable(),
            replacement: plan.pod_replacement,
            wanted: [plan.replicas, 0],
            upgrading: false,
            pods: Pods::new(plan.nodes, plan.min_ready.into(), Random::new(seed)),
            commands: VecDeque::new(),
        }
    }

    /// The pod template was changed: a new ReplicaSet takes the old one's place.
    pub fn upgrade(&mut self) {
        self.upgrading = true;
    }

    /// New pods come to a node, or only where no other is left.
    pub fn set_schedulable(&mut self, node: u32, schedulable: bool) {
        self.pods.set_schedulable(node, schedulable);
    }

    /// Something became of a pod. What is told of a pod that is not there is passed over.
    pub fn handle(&mut self, now: Nanos, pod: PodId, update: PodUpdate) {
        self.pods.update(now, pod, update);
    }

    /// What is to be done now; `None`: nothing, until something becomes of a pod or [`Self::wake_at`].
    pub fn poll(&mut self, now: Nanos) -> Option<Command> {
        if self.commands.is_empty() {
            self.reconcile(now);
        }
        self.commands.pop_front()
    }

    /// When a ready pod will be available, which may move the upgrade on.
    pub fn wake_at(&self, now: Nanos) -> Option<Nanos> {
        self.pods.next_available(now)
    }

    /// Pods that are available: ready for long enough, and not asked to end.
    pub fn available(&self, now: Nanos) -> u32 {
        self.pods.available(now, ReplicaSet::Old) + self.pods.available(now, ReplicaSet::New)
    }

    /// The upgrade is complete: every replica is a new one and available. Old ones may be terminating still.
    pub fn complete(&self, now: Nanos) -> bool {
        self.upgrading
            && self.pods.active(ReplicaSet::Old) == 0
            && self.pods.active(ReplicaSet::New) == self.replicas
            && self.pods.available(now, ReplicaSet::New) == self.replicas
    }

    /// Pods that were asked to end and are there still.
    pub fn terminating(&self) -> u32 {
        self.pods.terminating()
    }
}
