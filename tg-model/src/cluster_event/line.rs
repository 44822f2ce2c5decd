//! The lines of a cluster's journal. Changes when what is recorded beside the events does; each kind has its
//! JSON Schema in `tg-model/schema`.

use super::event::ClusterEvent;
use crate::named::named;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "kind")]
pub enum ClusterLine {
    /// The first line.
    #[serde(rename = "cluster-header")]
    Header(Box<ClusterHeader>),
    /// Something happened in the cluster.
    #[serde(rename = "cluster-event")]
    Event(Box<ClusterSeen>),
    /// The last line of a watch that ended in order.
    #[serde(rename = "cluster-footer")]
    Footer(ClusterFooter),
}

named! {
    /// What told of the cluster.
    ClusterSource {
        /// tg's lab: it made the pods itself.
        Lab = "lab",
        /// A cluster's API server, by a watch.
        Kubernetes = "kubernetes",
    }
}

/// A service under test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The addresses that clients use.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub vips: Vec<SocketAddr>,
    /// Which endpoints a node leads traffic from outside to (`externalTrafficPolicy`); `None`: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_traffic: Option<TrafficPolicy>,
}

named! {
    /// Which of a service's endpoints a node leads to.
    TrafficPolicy {
        /// Any.
        Cluster = "cluster",
        /// Its own: a node without any ready drops what comes to it.
        Local = "local",
    }
}

/// Who watched, where and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClusterHeader {
    /// Version of tg.
    pub tg_version: String,
    /// The command line; empty for an embedded lab.
    pub command: Vec<String>,
    /// What told of the cluster.
    pub source: ClusterSource,
    /// Host name of the machine that watched.
    pub machine: String,
    /// Its kernel's boot id: monotonic times of one boot can be compared.
    pub boot_id: String,
    /// CLOCK_MONOTONIC at the start, the origin of every `*_ns` of the journal.
    pub monotonic_ns: u64,
    /// CLOCK_REALTIME read with it, since the Unix epoch.
    pub realtime_ns: u64,
    /// The services under test.
    pub services: Vec<Service>,
}

/// An event as it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClusterSeen {
    /// When it was known to who watched.
    pub at_ns: u64,
    /// It was so when the watch began; since when is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub snapshot: bool,
    /// What.
    #[serde(flatten)]
    pub event: ClusterEvent,
}

/// The end of a cluster's journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClusterFooter {
    /// When the watch ended.
    pub ended_ns: u64,
}
