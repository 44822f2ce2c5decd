//! The cluster: obeys the Deployment, runs the pods, tells the balancer and the journal of it. Changes when what
//! follows from a pod's change does.

use super::error::LabError;
use super::ground::{Ground, NetworkFault, PodPlace};
use super::journal::Journals;
use super::kubelet::{Effect, Kubelet, Times};
use super::member::Member;
use super::monitor::Monitor;
use super::names::{DEPLOYMENT, Names};
use super::process::Process;
use super::truth::Truth;
use crate::deployment::{Command, Deployment, PodId, PodUpdate, ReplicaSet};
use mio::{Events, Interest, Poll, Token};
use nix::sys::signal::Signal;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tg_core::sys::clock;
use tg_model::cluster_event::{
    ClusterEvent, Endpoint, EndpointsChange, NodeChange, Pod, PodChange, PodPhase, Rollout, RolloutPhase,
};
use tg_model::lab_plan::LabPlan;
use tg_model::time::Nanos;

const EVENTS: usize = 64;
/// A pod that is started again so often without ever listening is given up, and the lab with it.
const STARTS_MAX: u32 = 3;

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

    /// Directors hear of the endpoints of by now: once of several changes at a time, as kube-proxy has it.
    fn program(&mut self, now: Nanos) -> Result<(), LabError> {
        let mut newest = None;
        while self.late.front().is_some_and(|(at, _)| *at <= now) {
            newest = self.late.pop_front();
        }
        newest.map_or(Ok(()), |(_, endpoints)| self.ground.set_endpoints(&endpoints))
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

    fn obey(&mut self, now: Nanos, command: Command) -> Result<(), LabError> {
        match command {
            Command::Create { pod, replica_set, node } => {
                let new = replica_set == ReplicaSet::New;
                let (name, uid) = self.names.pod(new);
                let node = self.nodes.get(node as usize).cloned().unwrap_or_default();
                let place = PodPlace { name: name.clone(), uid: uid.clone(), node: node.clone() };
                let home = self.ground.add_pod(&place)?;
                let replica_set = self.names.replica_set(new).to_owned();
                let addresses = home.listen.iter().map(std::net::SocketAddr::ip).collect();
                let told = Pod { name, uid, node, addresses, replica_set };
                let phase = PodPhase::Created;
                self.pods.insert(pod, Member { pod: told, new, phase, home, process: None, starts: 0 });
                self.kubelet.create(now, pod);
            }
            Command::Delete { pod } => self.kubelet.delete(now, pod),
        }
        Ok(())
    }

    fn bring_about(&mut self, now: Nanos, effect: Effect) -> Result<(), LabError> {
        match effect {
            Effect::Start(id) => self.start(now, id),
            Effect::Term(id) => {
                // Nothing is sent to a pod that ends, but where there is a lag.
                self.program(now)?;
                self.told(now, id, |pod| Truth::Term { pod })?;
                self.signal(id, Signal::SIGTERM);
                Ok(())
            }
            Effect::Kill(id) => {
                self.told(now, id, |pod| Truth::Kill { pod })?;
                self.signal(id, Signal::SIGKILL);
                Ok(())
            }
            Effect::Changed(id, phase) => self.changed(now, id, phase),
        }
    }

    fn told(&mut self, now: Nanos, id: PodId, truth: impl FnOnce(String) -> Truth) -> Result<(), LabError> {
        let Some(member) = self.pods.get(&id) else { return Ok(()) };
        self.journals.truth(now, truth(member.pod.name.clone()))
    }

    fn start(&mut self, now: Nanos, id: PodId) -> Result<(), LabError> {
        let Some(member) = self.pods.get_mut(&id) else { return Ok(()) };
        let mut process = member.start(&self.program, self.plan.transport)?;
        let (pod, listen) = (member.pod.name.clone(), member.home.listen.clone());
        let truth = Truth::Started { pod, listen, doomed: !member.new };
        let registered = self.poll.registry().register(process.heard(), Token(id.0 as usize), Interest::READABLE);
        registered.map_err(LabError::io("listening to a pod's output"))?;
        member.process = Some(process);
        member.starts += 1;
        self.journals.truth(now, truth)
    }

    /// A pod is in another phase.
    fn changed(&mut self, now: Nanos, id: PodId, phase: PodPhase) -> Result<(), LabError> {
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
    fn node_changed(&mut self, now: Nanos, change: NodeChange) -> Result<(), LabError> {
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
    fn endpoints(&mut self, now: Nanos) -> Result<(), LabError> {
        let endpoints: Vec<Endpoint> = self.pods.values().flat_map(Member::endpoints).collect();
        let change = EndpointsChange { service: DEPLOYMENT.into(), endpoints: endpoints.clone() };
        self.journals.event(now, ClusterEvent::Endpoints(change))?;
        self.late.push_back((now + self.lag.into(), endpoints));
        Ok(())
    }

    /// Something came from a pod's process.
    fn hear(&mut self, id: PodId) -> Result<(), LabError> {
        let Some(member) = self.pods.get_mut(&id) else { return Ok(()) };
        let Some(process) = &mut member.process else { return Ok(()) };
        let news = process.news();
        let name = member.pod.name.clone();
        if news.listens {
            member.starts = 0;
            self.kubelet.listens(id);
            self.journals.truth(clock::monotonic(), Truth::Listens { pod: name.clone() })?;
        }
        if !news.ended {
            return Ok(());
        }
        let said = process.said();
        let status = member.process.take().and_then(Process::wait);
        let code = status.and_then(|s| s.code());
        if member.starts >= STARTS_MAX {
            let command = format!("{} serve --name {name}", self.program.display());
            return Err(LabError::Command { command, why: if said.is_empty() { format!("{status:?}") } else { said } });
        }
        let now = clock::monotonic();
        let asked = member.phase == PodPhase::Terminating;
        self.journals.truth(now, Truth::Ended { pod: name, code, asked })?;
        self.kubelet.ended(now, id);
        Ok(())
    }

    fn rollout(&mut self, now: Nanos, phase: RolloutPhase) -> Result<(), LabError> {
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
