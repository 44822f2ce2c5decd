//! What the cluster did to a service: its events, and the journal that holds them. [`ClusterEvent`] is what was
//! done to pods, endpoints, nodes and the Deployment, as an API server tells it; [`ClusterLine`] is what a line
//! of the journal may be.
//!
//! The journal is one JSON object a line, read by the same [`Reader`](crate::journal::Reader) as a run's.
//! Times named `*_ns` count from the journal's start, on the monotonic clock of who watched: when the change was
//! known there, not when somebody decided on it.

mod codec;
mod event;
mod line;
#[cfg(test)]
mod schema;

pub use codec::{ClusterReader, decode_cluster_line, encode_cluster_line};
pub use event::{
    ClusterEvent, Endpoint, EndpointsChange, NodeChange, Pod, PodChange, PodPhase, ProxyChange, ProxyPhase, Rollout,
    RolloutPhase,
};
pub use line::{ClusterFooter, ClusterHeader, ClusterLine, ClusterSeen, ClusterSource, Service, TrafficPolicy};
