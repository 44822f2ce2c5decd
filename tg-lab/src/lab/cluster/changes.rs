//! What follows from a pod's or a node's change: what the journal, the balancer and the Deployment are told. Changes
//! when that does.

use super::super::error::LabError;
use super::super::member::Member;
use super::super::names::DEPLOYMENT;
use super::Cluster;
use crate::deployment::{PodId, PodUpdate};
use tg_model::cluster_event::{
    ClusterEvent, Endpoint, EndpointsChange, NodeChange, PodChange, PodPhase, Rollout, RolloutPhase,
};
use tg_model::time::Nanos;

impl Cluster {
    /// A pod is in another phase.
    pub(super) fn changed(&mut self, now: Nanos, id: PodId, phase: PodPhase) -> Result<(), LabError> {
        let Some(member) = self.pods.get_mut(&id) else { return Ok(()) };
        let was_asked = member.phase == PodPhase::Terminating;
        let is_cut = phase == PodPhase::Ready && !self.monitor.is_ready(&member.pod.node);
        // Nobody hears of its being ready before its node is heard.
        let phase = if is_cut { PodPhase::Unready } else { phase };
        // From its deletion on it is terminating, whatever else becomes of it.
        if phase != PodPhase::Stopped || !was_asked {
            member.phase = phase;
        }
        let grace_ns = (phase == PodPhase::Terminating).then(|| Nanos::from(self.plan.grace).0);
        let change = PodChange { phase, pod: member.pod.clone(), grace_ns };
        self.journals.event(now, ClusterEvent::Pod(change))?;
        match phase {
            PodPhase::Gone => {
                let name = member.pod.name.clone();
                self.pods.remove(&id);
                self.endpoints(now)?;
                self.deployment.handle(now, id, PodUpdate::Gone);
                self.ground.remove_pod(&name)
            }
            PodPhase::Stopped if was_asked => Ok(()),
            PodPhase::Stopped => {
                self.deployment.handle(now, id, PodUpdate::Unready);
                self.endpoints(now)
            }
            PodPhase::Ready | PodPhase::Unready => {
                self.endpoints(now)?;
                // See [`Cluster::node_changed`].
                self.deployment.handle(now, id, PodUpdate::Ready);
                Ok(())
            }
            PodPhase::Created | PodPhase::Terminating => self.endpoints(now),
        }
    }

    /// A node is lost for the cluster, or it is back: with it its pods are no longer ready, or they are again, and no new
    /// ones come to it. The Deployment takes them for ready all the same: else the upgrade would wait for them, for the
    /// five minutes until a cluster gives them up.
    pub(super) fn node_changed(&mut self, now: Nanos, change: NodeChange) -> Result<(), LabError> {
        let (was, is) = match change.ready {
            true => (PodPhase::Unready, PodPhase::Ready),
            false => (PodPhase::Ready, PodPhase::Unready),
        };
        if let Some(nth) = self.nodes.iter().position(|n| *n == change.node) {
            self.deployment.set_schedulable(nth as u32, change.ready);
        }
        let mut told = vec![ClusterEvent::Node(change.clone())];
        for member in self.pods.values_mut().filter(|m| m.pod.node == change.node && m.phase == was) {
            member.phase = is;
            told.push(ClusterEvent::Pod(PodChange { phase: is, pod: member.pod.clone(), grace_ns: None }));
        }
        told.into_iter().try_for_each(|event| self.journals.event(now, event))?;
        self.endpoints(now)
    }

    /// The endpoints are others: the journal is told, and the balancer, now or later.
    pub(super) fn endpoints(&mut self, now: Nanos) -> Result<(), LabError> {
        let endpoints: Vec<Endpoint> = self.pods.values().flat_map(Member::endpoints).collect();
        let change = EndpointsChange { service: DEPLOYMENT.into(), endpoints: endpoints.clone() };
        self.journals.event(now, ClusterEvent::Endpoints(change))?;
        self.late.push_back((now + self.lag.into(), endpoints));
        Ok(())
    }

    /// Directors hear of the endpoints of by now: once of several changes at a time, as kube-proxy has it.
    pub(super) fn program(&mut self, now: Nanos) -> Result<(), LabError> {
        let mut newest = None;
        while self.late.front().is_some_and(|(at, _)| *at <= now) {
            newest = self.late.pop_front();
        }
        newest.map_or(Ok(()), |(_, endpoints)| self.ground.set_endpoints(&endpoints))
    }

    pub(super) fn rollout(&mut self, now: Nanos, phase: RolloutPhase) -> Result<(), LabError> {
        let event = ClusterEvent::Rollout(Rollout {
            phase,
            deployment: DEPLOYMENT.into(),
            replica_set: self.names.replica_set(true).into(),
            replicas: self.plan.replicas,
            max_surge: self.plan.surge(),
            max_unavailable: self.plan.unavailable(),
        });
        self.journals.event(now, event)
    }
}
