//! What the cluster did to a service. Changes when what is watched there does.

use crate::named::named;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// What was done in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum ClusterEvent {
    /// A pod came, changed its state or went.
    Pod(PodChange),
    /// A service's endpoints are others now.
    Endpoints(EndpointsChange),
    /// A Deployment's rolling upgrade began or is complete.
    Rollout(Rollout),
    /// A node is ready, or no longer is.
    Node(NodeChange),
    /// What programs a node's balancer was started or stopped.
    Proxy(ProxyChange),
}

named! {
    /// What became of a pod.
    PodPhase {
        /// It was made.
        Created = "created",
        /// It is ready for traffic.
        Ready = "ready",
        /// It is no longer ready, but not asked to end.
        Unready = "unready",
        /// It was asked to end (`deletionTimestamp` is set): its preStop hook runs, then SIGTERM.
        Terminating = "terminating",
        /// Its containers ended.
        Stopped = "stopped",
        /// It is no longer there.
        Gone = "gone",
    }
}

/// A pod came, changed its state or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PodChange {
    /// What became of it.
    pub phase: PodPhase,
    /// Which.
    pub pod: Pod,
    /// From `terminating` on: so long it may take before it is killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_ns: Option<u64>,
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Pod {
    /// Its name: what its server calls itself.
    pub name: String,
    /// Its UID: names are used again, UIDs are not.
    pub uid: String,
    /// The node that it is on; empty before it was given one.
    pub node: String,
    /// Its addresses; empty before it was given any.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub addresses: Vec<IpAddr>,
    /// The ReplicaSet that it belongs to: pods of an upgrade's old one are doomed.
    pub replica_set: String,
}

/// A service's endpoints, whole: those that are not in it are endpoints no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EndpointsChange {
    /// The service's name.
    pub service: String,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// An address that answers for a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Endpoint {
    /// Address and port.
    #[cfg_attr(test, schemars(with = "String"))]
    pub address: SocketAddr,
    /// UID of the pod.
    pub pod_uid: String,
    /// The pod is ready and not terminating: new connections go to it.
    pub ready: bool,
    /// The pod passes its readiness probe, terminating or not.
    pub serving: bool,
    /// The pod was asked to end.
    pub terminating: bool,
}

named! {
    /// How far a rolling upgrade is.
    RolloutPhase {
        /// The pod template was changed.
        Started = "started",
        /// Every replica is of the new ReplicaSet and available.
        Complete = "complete",
    }
}

/// A Deployment's rolling upgrade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rollout {
    /// How far it is.
    pub phase: RolloutPhase,
    /// The Deployment.
    pub deployment: String,
    /// The ReplicaSet that it goes to.
    pub replica_set: String,
    /// Replicas wanted.
    pub replicas: u32,
    /// So many pods above that there may be.
    pub max_surge: u32,
    /// So many of them may be unavailable.
    pub max_unavailable: u32,
}

/// A node is ready, or no longer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NodeChange {
    /// Its name.
    pub node: String,
    /// It is ready.
    pub ready: bool,
}

named! {
    /// What was done to a node's proxy.
    ProxyPhase {
        /// It was started.
        Started = "started",
        /// It was stopped.
        Stopped = "stopped",
    }
}

/// What programs a node's balancer (kube-proxy, most often) was started or stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProxyChange {
    /// The node.
    pub node: String,
    /// What was done.
    pub phase: ProxyPhase,
}
