//! Pods as processes: made, started, signalled, heard of. Changes when what a pod goes through does.

use super::super::error::LabError;
use super::super::ground::PodPlace;
use super::super::kubelet::Effect;
use super::super::member::Member;
use super::super::process::Process;
use super::super::truth::Truth;
use super::Cluster;
use crate::deployment::{Command, PodId, ReplicaSet};
use mio::{Interest, Token};
use nix::sys::signal::Signal;
use tg_core::sys::clock;
use tg_model::cluster_event::{Pod, PodPhase};
use tg_model::time::Nanos;

/// A pod that is started again so often without ever listening is given up, and the lab with it.
const STARTS_MAX: u32 = 3;

impl Cluster {
    pub(super) fn obey(&mut self, now: Nanos, command: Command) -> Result<(), LabError> {
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

    pub(super) fn bring_about(&mut self, now: Nanos, effect: Effect) -> Result<(), LabError> {
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

    /// Something came from a pod's process.
    pub(super) fn hear(&mut self, id: PodId) -> Result<(), LabError> {
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
}
