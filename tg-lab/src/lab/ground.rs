//! Where pods run and how traffic reaches them. Changes when what the lab asks of a director does.
//!
//! The calling order: `missing` before the ground is made (each ground has such a function of its own); then
//! `vips`, `nodes` and `client`; `add_pod` for each pod before its process starts; `set_endpoints` with the whole
//! list each time that it changes; `remove_pod` once the pod's process has ended; `finish` at the end, also after
//! an error. Dropping a ground without `finish` must leave nothing behind either.
//!
//! All calls come from one thread, the lab's. None may wait for traffic: the lab's clock runs on that thread.

use super::error::LabError;
use std::ffi::OsString;
use std::net::SocketAddr;
use tg_model::cluster_event::Endpoint;

/// The port that pods and service have where the ground can give them addresses of their own: ctraffic's, and the
/// one of the k8s-app-upgrade test.
pub const SERVICE_PORT: u16 = 5003;

/// What a thread does to be where the client is, before it starts traffic.
pub type Enter = Box<dyn FnOnce() -> Result<(), LabError> + Send>;

/// A pod that is to be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodPlace {
    /// Its name, unique in the lab.
    pub name: String,
    /// Its UID: names are used again, UIDs are not.
    pub uid: String,
    /// The node that the lab chose for it, one of [`Ground::nodes`].
    pub node: String,
}

/// Where a pod lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodHome {
    /// What its server listens on, one for each family of the plan; the endpoints that `set_endpoints` gets later.
    pub listen: Vec<SocketAddr>,
    /// Words before the server's command line, such as `nsenter --net=/run/netns/x --`; empty: none. Whatever
    /// they run must end in `exec`: the process that the lab starts is the one that it signals.
    pub prefix: Vec<OsString>,
}

/// What is done to the network on purpose, its victim chosen. Faults of a pod's process are the lab's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkFault {
    /// From now on nothing gets to the pod or back, and nobody is told; its process lives.
    PodBlackhole {
        /// Its name.
        pod: String,
    },
    /// Every connection that the pod has is reset, once; the pod lives on.
    ResetStorm {
        /// Its name.
        pod: String,
    },
    /// The node vanishes from the network with its pods.
    NodeLoss {
        /// Its name.
        node: String,
    },
    /// Every node forgets its connections (`conntrack -F`).
    ConntrackFlush,
    /// The router's paths are others from now on: the last node is no longer one, so flows are spread anew.
    EcmpChange,
}

/// Where pods run and how traffic reaches them: processes on loopback addresses behind a proxy, or network
/// namespaces behind a kernel's balancer.
pub trait Ground {
    /// The service's addresses as the client has them: one of each family of the plan, IPv4 first.
    fn vips(&self) -> Vec<SocketAddr>;

    /// Names of the nodes, in order: `node-1` and so on.
    fn nodes(&self) -> Vec<String>;

    /// What the thread that starts the traffic does first (`setns`): threads that it starts inherit it.
    fn client(&self) -> Result<Enter, LabError>;

    /// Makes a place for a pod.
    ///
    /// # Errors
    /// No address is left, or the system refused.
    fn add_pod(&mut self, pod: &PodPlace) -> Result<PodHome, LabError>;

    /// Takes the place of a pod away whose process has ended.
    ///
    /// # Errors
    /// The system refused; the pod is forgotten all the same.
    fn remove_pod(&mut self, name: &str) -> Result<(), LabError>;

    /// The service's endpoints are these now: one entry for each address of each pod that there is, in the order
    /// that pods were made, from their creation (not ready yet) to their end. Those that are not `ready` take no
    /// new connection, those that are missing are gone.
    ///
    /// # Errors
    /// The balancer could not be programmed.
    fn set_endpoints(&mut self, endpoints: &[Endpoint]) -> Result<(), LabError>;

    /// Does something to the network. A plan that exists asks a ground only for what it can do.
    ///
    /// # Errors
    /// The system refused.
    fn inject(&mut self, fault: &NetworkFault) -> Result<(), LabError>;

    /// Ends a fault that lasts: after it the network is as if it had not been. Called for what was injected, and
    /// only where the plan gives the fault an end; never for what is over at once.
    ///
    /// # Errors
    /// The system refused.
    fn heal(&mut self, fault: &NetworkFault) -> Result<(), LabError>;

    /// Connections that each pod has now, by pod name, for the progress shown; empty where that is not known.
    fn loads(&mut self) -> Vec<(String, u64)> {
        Vec::new()
    }

    /// What whoever started the lab should know.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Ends the journals of its nodes and takes everything down.
    ///
    /// # Errors
    /// Something could not be taken down, or a journal could not be written; it goes on with the rest first.
    fn finish(&mut self) -> Result<(), LabError>;
}
