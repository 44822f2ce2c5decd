//! The verdict of one connection, and the scheduling decision behind it. Changes when what is said of a
//! connection does.

use super::finding::{Evidence, Finding};
use super::pods::PodRef;
use crate::id::ConnId;
use crate::named::named;
use crate::outcome::EndReason;
use serde::Serialize;
use std::net::SocketAddr;

named! {
    /// What balanced a connection.
    Director {
        /// IPVS.
        Ipvs = "ipvs",
        /// Rules of nftables or iptables, known by what conntrack holds.
        Conntrack = "conntrack",
        /// A proxy in userspace.
        Userspace = "userspace",
    }
}

/// The verdict of one lost connection.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Verdict {
    /// The connection.
    pub conn: ConnId,
    /// When it was established.
    pub established_ns: i64,
    /// When it ended.
    pub ended_ns: i64,
    /// How its client saw it end.
    pub reason: EndReason,
    /// The pod that it was on; null where nothing tells.
    pub pod: Option<PodRef>,
    /// What ended it.
    pub ended_by: Finding,
    /// What had put it where it was.
    pub placed_by: Finding,
    /// The scheduling decision; null where none was recorded.
    pub decision: Option<Decision>,
    /// The connections before and after it.
    pub lineage: Lineage,
    /// Its decision had a ready candidate that was to stay, and took one that was to go. Null where that is not
    /// known; false for a first placement, too.
    pub avoidable: Option<bool>,
}

/// The connections before and after one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lineage {
    /// The lost connection that it replaced.
    pub predecessor: Option<ConnId>,
    /// How many of its slot were lost before it.
    pub losses_before: u64,
    /// The connection that replaced it; null where none did.
    pub replacement: Option<ConnId>,
}

/// One scheduling choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Decision {
    /// The node.
    pub node: String,
    /// What chose.
    pub director: Director,
    /// Its scheduler: `rr`, `lc` …; null where it is not told.
    pub scheduler: Option<String>,
    /// When.
    pub at_ns: i64,
    /// What was chosen.
    #[cfg_attr(test, schemars(with = "String"))]
    pub chosen: SocketAddr,
    /// What there was to choose from, in the scheduler's order.
    pub candidates: Vec<Chance>,
    /// How many there were: more than `candidates` where they were too many to record.
    pub candidates_total: u32,
    /// The director did not tell the candidates: they are the service's endpoints that were ready.
    pub inferred: bool,
    /// The line that tells of it.
    pub evidence: Evidence,
}

/// A candidate of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Chance {
    /// Its address.
    #[cfg_attr(test, schemars(with = "String"))]
    pub address: SocketAddr,
    /// Its weight; null where the director did not tell.
    pub weight: Option<i32>,
    /// Its active connections; null where the director did not tell.
    pub active: Option<u32>,
    /// Its inactive ones; null where the director did not tell.
    pub inactive: Option<u32>,
    /// The pod that had the address then; null where that is not known.
    pub pod: Option<String>,
    /// The pod was ready then; null where that is not known.
    pub ready: Option<bool>,
    /// The pod was to go: it is of an old ReplicaSet, or was asked to end later in the upgrade. Null where that
    /// is not known.
    pub doomed: Option<bool>,
}
