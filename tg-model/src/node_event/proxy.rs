//! What a userspace director decided and did: a proxy tells of itself what probes tell of the kernel's. Changes
//! when what is recorded of it does.

use super::ipvs::Candidate;
use super::place::Tuple;
use crate::named::named;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// One scheduling choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProxyDecision {
    /// IP protocol: 6 TCP, 17 UDP.
    pub protocol: u8,
    /// The service's address.
    #[cfg_attr(test, schemars(with = "String"))]
    pub service: SocketAddr,
    /// Scheduler: `rr`, `lc` …
    pub scheduler: String,
    /// The client's end.
    #[cfg_attr(test, schemars(with = "String"))]
    pub client: SocketAddr,
    /// What was chosen; `None`: no backend would take it.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub chosen: Option<SocketAddr>,
    /// What there was to choose from, in the scheduler's order, before the choice.
    pub candidates: Vec<Candidate>,
    /// How many there were: more than `candidates` where they were too many to record.
    pub candidates_total: u32,
}

named! {
    /// What became of a proxied connection.
    ProxyConnPhase {
        /// Both of its halves are established.
        Made = "made",
        /// It ended.
        Ended = "ended",
    }
}

named! {
    /// Who ended a proxied connection first, and how.
    ProxyEnd {
        /// The backend closed its side (FIN).
        BackendClosed = "backend-closed",
        /// The backend reset it.
        BackendReset = "backend-reset",
        /// The backend refused it: nobody listens there.
        BackendRefused = "backend-refused",
        /// The backend could not be reached, or did not answer.
        BackendUnreachable = "backend-unreachable",
        /// The client closed its side (FIN).
        ClientClosed = "client-closed",
        /// The client reset it.
        ClientReset = "client-reset",
        /// The proxy ended it: the backend was taken out, or the proxy stopped.
        Proxy = "proxy",
    }
}

/// A proxied connection: the client's half and the backend's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProxyConn {
    /// What became of it.
    pub phase: ProxyConnPhase,
    /// IP protocol.
    pub protocol: u8,
    /// As the client has it: from the client to the service.
    pub client: Tuple,
    /// As the backend has it: from the proxy to the backend. The proxy's end is unspecified (port 0) where the
    /// backend was never reached.
    pub backend: Tuple,
    /// Once it ended: by whom and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<ProxyEnd>,
}
