//! The cluster: obeys the Deployment, runs the pods, tells the balancer and the journal of it. Changes when what is
//! asked of it does.

mod changes;
mod pods;

use super::error::LabError;
use super::ground::{Ground, NetworkFault};
use super::journal::Journals;
use super::kubelet::{Kubelet, Times};
use super::member::Member;
use super::monitor::Monitor;
use super::names::Names;
use crate::deployment::{Deployment, PodId};
use mio::{Events, Poll};
use nix::sys::signal::Signal;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tg_core::sys::clock;
use tg_model::cluster_event::{ClusterEvent, Endpoint, NodeChange, PodPhase, RolloutPhase};
use tg_model::lab_plan::LabPlan;
use tg_model::time::Nanos;

const EVENTS: usize = 64;

/// See the module.
pub struct Cluster {
    plan: LabPlan,
    program: PathBuf,
    /// What gives pods their place. What is done to its network on purpose goes by [`Cluster::inject`].
    pub ground: Box<dyn Ground>,
    /// The lab's files.
    pub journals: Journals,
    deployment: Deployment,
    kubelet: Kubelet,
    monitor: Monitor,
    names: Names,
    nodes: Vec<String>,
    pods: BTreeMap<PodId, Member>,
    poll: Poll,
    /// Directors hear of endpoints so much later.
    lag: Duration,
    late: VecDeque<(Nanos, Vec<Endpoint>)>,
    complete: bool,
}

impl Cluster {
    /// A cluster with a Deployment whose first pods are still to be made.
    ///
    /// # Errors
    /// The system gives no poll, or the journal cannot be written.
    pub fn new(
        plan: &LabPlan,
        program: PathBuf,
        ground: Box<dyn Ground>,
        mut journals: Journals,
    ) -> Result<Cluster, LabError> {
        let nodes = ground.nodes();
        let now = clock::monotonic();
        for node in &nodes {
            journals.snapshot(now, ClusterEvent::Node(NodeChange { node: node.clone(), ready: true }))?;
        }
        Ok(Cluster {
            program,
            journals,
            deployment: Deployment::new(plan),
            kubelet: Kubelet::new(Times { ready: plan.ready, prestop: plan.prestop, grace: plan.grace }),
            monitor: Monitor::new(plan.node_grace),
            names: Names::new(plan.seed),
            nodes,
            pods: BTreeMap::new(),
            poll: Poll::new().map_err(LabError::io("making the lab's poll"))?,
            lag: Duration::ZERO,
            late: VecDeque::new(),
            complete: false,
            plan: plan.clone(),
            ground,
        })
    }

    /// Does all that is due.
    ///
    /// # Errors
    /// A pod cannot be started, the balancer not programmed, a file not written.
    pub fn advance(&mut self, now: Nanos) -> Result<(), LabError> {
        loop {
            if let Some(effect) = self.kubelet.poll(now) {
                self.bring_about(now, effect)?;
            } else if let Some(change) = self.monitor.poll(now) {
                self.node_changed(now, change)?;
            } else if let Some(command) = self.deployment.poll(now) {
                self.obey(now, command)?;
            } else {
                break;
            }
        }
        self.program(now)?;
        if !self.complete && self.deployment.complete(now) {
            self.complete = true;
            self.rollout(now, RolloutPhase::Complete)?;
        }
        Ok(())
    }

    /// When time alone brings something.
    pub fn wake_at(&self, now: Nanos) -> Option<Nanos> {
        let late = self.late.front().map(|(at, _)| *at);
        let of_time = [self.kubelet.wake_at(), self.monitor.wake_at(), self.deployment.wake_at(now), late];
        of_time.into_iter().flatten().min()
    }

    /// Waits until then, or until something became of a process.
    ///
    /// # Errors
    /// The system refuses to wait, or a server cannot be run.
    pub fn wait(&mut self, until: Nanos) -> Result<(), LabError> {
        let mut events = Events::with_capacity(EVENTS);
        // A millisecond is what epoll knows: rounded up, so that it is due then.
        let wait = Duration::from(until.since(clock::monotonic())) + Duration::from_micros(999);
        match self.poll.poll(&mut events, Some(wait)) {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(LabError::io("waiting for the pods")(e)),
            _ => {}
        }
        let ids: Vec<PodId> = events.iter().filter_map(|e| u32::try_from(e.token().0).ok()).map(PodId).collect();
        ids.into_iter().try_for_each(|id| self.hear(id))
    }

    /// The pod template is another now.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn upgrade(&mut self, now: Nanos) -> Result<(), LabError> {
        self.deployment.upgrade();
        self.rollout(now, RolloutPhase::Started)
    }

    /// From now on directors hear of endpoints so much later.
    pub fn set_lag(&mut self, lag: Duration) {
        self.lag = lag;
    }

    /// Does something to the network.
    ///
    /// # Errors
    /// The system refused.
    pub fn inject(&mut self, now: Nanos, fault: &NetworkFault) -> Result<(), LabError> {
        self.ground.inject(fault)?;
        if let NetworkFault::NodeLoss { node } = fault {
            self.monitor.silent(now, node);
        }
        Ok(())
    }

    /// Ends it.
    ///
    /// # Errors
    /// The system refused.
    pub fn heal(&mut self, fault: &NetworkFault) -> Result<(), LabError> {
        self.ground.heal(fault)?;
        if let NetworkFault::NodeLoss { node } = fault {
            self.monitor.heard(node);
        }
        Ok(())
    }

    /// The upgrade is complete and the last pod that it ended is gone.
    pub fn is_upgraded(&self) -> bool {
        self.complete && self.kubelet.terminating() == 0
    }

    /// Pods that are ready.
    pub fn ready(&self) -> u32 {
        self.pods.values().filter(|m| m.phase == PodPhase::Ready).count() as u32
    }

    /// The pods that there are, in the order that they were made.
    pub fn pods(&self) -> impl Iterator<Item = (PodId, &Member)> {
        self.pods.iter().map(|(id, m)| (*id, m))
    }

    /// Sends a signal to a pod's process.
    pub fn signal(&self, id: PodId, signal: Signal) {
        if let Some(process) = self.pods.get(&id).and_then(|m| m.process.as_ref()) {
            process.signal(signal);
        }
    }

    /// Ends everything. It goes on after an error, and gives the first.
    ///
    /// # Errors
    /// Something could not be taken down, or a file not written.
    pub fn finish(&mut self) -> Result<(), LabError> {
        let written = self.journals.finish(clock::monotonic());
        for member in self.pods.values_mut() {
            // Dropped, it is killed and waited for.
            member.process = None;
        }
        self.ground.finish().and(written)
    }
}
