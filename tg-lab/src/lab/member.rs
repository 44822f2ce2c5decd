//! One pod of the cluster and its process. Changes when what a pod is in the cluster does.

use super::error::LabError;
use super::ground::PodHome;
use super::process::{Process, Server};
use std::path::Path;
use tg_model::cluster_event::{Endpoint, Pod, PodPhase};
use tg_model::plan::Transport;

/// A pod and its process.
#[derive(Debug)]
pub struct Member {
    /// As the cluster has it.
    pub pod: Pod,
    /// It belongs to the ReplicaSet that the upgrade makes.
    pub new: bool,
    /// What became of it last.
    pub phase: PodPhase,
    /// Where it lives.
    pub home: PodHome,
    /// As long as it runs.
    pub process: Option<Process>,
    /// Starts since it listened last.
    pub starts: u32,
}

impl Member {
    /// Starts its server.
    ///
    /// # Errors
    /// The system refused.
    pub fn start(&self, program: &Path, transport: Transport) -> Result<Process, LabError> {
        Process::start(&Server {
            program,
            name: &self.pod.name,
            uid: &self.pod.uid,
            node: &self.pod.node,
            udp: transport == Transport::Udp,
            home: &self.home,
        })
    }

    /// Its addresses as endpoints of the service.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint> {
        let (ready, terminating) = (self.phase == PodPhase::Ready, self.phase == PodPhase::Terminating);
        self.home.listen.iter().map(move |address| Endpoint {
            address: *address,
            pod_uid: self.pod.uid.clone(),
            ready,
            serving: ready || terminating,
            terminating,
        })
    }
}
