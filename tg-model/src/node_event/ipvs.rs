//! What IPVS decided and did. Changes when what is recorded of it does.

use super::place::Netns;
use crate::named::named;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// A virtual service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct IpvsService {
    /// IP protocol: 6 TCP, 17 UDP.
    pub protocol: u8,
    /// Its address; `None` where a firewall mark stands for it.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub address: Option<SocketAddr>,
    /// The firewall mark; 0 where its address stands for it.
    pub fwmark: u32,
    /// Scheduler: `rr`, `lc` …
    pub scheduler: String,
}

/// A destination as the scheduler saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Candidate {
    /// Its address.
    #[cfg_attr(test, schemars(with = "String"))]
    pub address: SocketAddr,
    /// Its weight; 0 takes no new connection.
    pub weight: i32,
    /// Active connections.
    pub active: u32,
    /// Inactive ones.
    pub inactive: u32,
}

/// One scheduling choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct IpvsDecision {
    /// Where the balancer is.
    pub netns: Netns,
    /// The service.
    pub service: IpvsService,
    /// The client's end, where the packet tells it.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub client: Option<SocketAddr>,
    /// What was chosen; `None`: no destination would take it.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub chosen: Option<SocketAddr>,
    /// What there was to choose from, in the scheduler's order, before the choice.
    pub candidates: Vec<Candidate>,
    /// How many there were: more than `candidates` where they were too many to record.
    pub candidates_total: u32,
}

named! {
    /// What became of a connection of IPVS.
    IpvsConnPhase {
        /// It was made.
        Made = "made",
        /// Its time ran out, or its destination is gone.
        Expired = "expired",
    }
}

/// A connection of IPVS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct IpvsConn {
    /// What became of it.
    pub phase: IpvsConnPhase,
    /// Where the balancer is.
    pub netns: Netns,
    /// IP protocol.
    pub protocol: u8,
    /// The client's end.
    #[cfg_attr(test, schemars(with = "String"))]
    pub client: SocketAddr,
    /// The service's end.
    #[cfg_attr(test, schemars(with = "String"))]
    pub service: SocketAddr,
    /// The destination's end.
    #[cfg_attr(test, schemars(with = "String"))]
    pub destination: SocketAddr,
}

named! {
    /// What was done to a destination.
    IpvsDestChange {
        /// It was added to the service.
        Added = "added",
        /// It was edited: its weight, most often.
        Edited = "edited",
        /// It was deleted.
        Deleted = "deleted",
    }
}

/// A destination was added, edited or deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct IpvsDest {
    /// What was done.
    pub change: IpvsDestChange,
    /// Where the balancer is.
    pub netns: Netns,
    /// The service.
    pub service: IpvsService,
    /// The destination after the change, or as it was when it was deleted.
    pub destination: Candidate,
}
