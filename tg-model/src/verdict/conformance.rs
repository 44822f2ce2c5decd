//! Whether a scheduler did what its name says. Changes when what is said of that does.

use super::finding::Evidence;
use serde::Serialize;
use std::net::SocketAddr;

/// The decisions of one scheduler for one service on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Conformance {
    /// The node.
    pub node: String,
    /// The service.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub service: Option<SocketAddr>,
    /// The scheduler.
    pub scheduler: String,
    /// Decisions recorded.
    pub decisions: u64,
    /// Those that could be judged.
    pub judged: u64,
    /// Those of them that conform.
    pub conform: u64,
    /// The first that does not.
    pub first_deviation: Option<Deviation>,
    /// Why some, or all, could not be judged, in words.
    pub not_judged: Option<String>,
}

/// A decision that is not what the scheduler's name says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Deviation {
    /// What was chosen.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub chosen: Option<SocketAddr>,
    /// What would have conformed.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub expected: Vec<SocketAddr>,
    /// The line that tells of it.
    pub evidence: Evidence,
}
