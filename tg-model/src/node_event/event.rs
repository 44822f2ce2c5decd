//! What happened to traffic on a node. Changes when what is observed does.

use super::ipvs::{IpvsConn, IpvsDecision, IpvsDest};
use super::place::{ConntrackStatus, Direction, Netns, Tuple};
use super::proxy::{ProxyConn, ProxyDecision};
use super::tcp::{ConntrackTcpState, TcpState};
use crate::named::named;
use serde::{Deserialize, Serialize};

/// What happened to traffic on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum NodeEvent {
    /// This host's TCP sent a reset. A firewall's `reject` does not go through TCP: it is no such event.
    ResetSent(Reset),
    /// A reset reached a socket.
    ResetReceived(Reset),
    /// A socket's state changed. A user time-out that fires shows only here.
    TcpState(StateChange),
    /// A conntrack entry was made, seen or destroyed.
    Conntrack(Conntrack),
    /// IPVS chose a destination.
    IpvsDecision(IpvsDecision),
    /// IPVS made or expired a connection.
    IpvsConn(IpvsConn),
    /// A destination of an IPVS service changed.
    IpvsDest(IpvsDest),
    /// A userspace director chose a backend.
    ProxyDecision(ProxyDecision),
    /// A userspace director made or ended a connection.
    ProxyConn(ProxyConn),
    /// Segments with SYN, FIN or RST passed an interface: totals so far.
    Segments(Segments),
    /// The kernel dropped a packet.
    Drop(Drop),
    /// Conntrack's table is nearly full, or had no room.
    ConntrackTable(ConntrackTable),
}

/// A reset, sent or received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reset {
    /// The reset's own ends: `src` is who sent it.
    pub tuple: Tuple,
    /// The namespace of the socket, or of the interface where there is no socket.
    pub netns: Netns,
    /// The kernel's reason (`enum sk_rst_reason` without its prefix); `None` where this kernel gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The kernel had a socket for it.
    pub socket: bool,
    /// The connection as its client has it, `src` the client's end: NAT undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Tuple>,
}

/// A socket's state changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StateChange {
    /// The socket's own end is `src`.
    pub tuple: Tuple,
    /// Its namespace.
    pub netns: Netns,
    /// The state that it left.
    pub from: TcpState,
    /// The state that it entered.
    pub to: TcpState,
    /// The connection as its client has it: NAT undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Tuple>,
}

named! {
    /// What became of a conntrack entry.
    ConntrackPhase {
        /// It was confirmed: the first packet left.
        Confirmed = "confirmed",
        /// A SYN left the host by it; told in the order of the other events, unlike `confirmed`.
        Seen = "seen",
        /// It was destroyed.
        Destroyed = "destroyed",
    }
}

/// A conntrack entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Conntrack {
    /// What became of it.
    pub phase: ConntrackPhase,
    /// The namespace that tracks it.
    pub netns: Netns,
    /// IP protocol: 6 TCP, 17 UDP.
    pub protocol: u8,
    /// As its first packet came: from the client to the service.
    pub original: Tuple,
    /// As an answer comes: from the pod to whom the pod sees.
    pub reply: Tuple,
    /// What was done to it.
    pub status: ConntrackStatus,
    /// What conntrack takes its TCP state to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_state: Option<ConntrackTcpState>,
}

/// What identifies the segments that are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Flow {
    /// Their ends.
    pub tuple: Tuple,
    /// Into the interface's namespace or out of it.
    pub direction: Direction,
    /// The interface.
    pub interface: String,
    /// The interface's namespace.
    pub netns: Netns,
}

/// Segments of a flow that passed an interface: totals since its first one. After a minute without any a flow
/// begins anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Segments {
    /// Whose.
    #[serde(flatten)]
    pub flow: Flow,
    /// With SYN.
    pub syn: u64,
    /// With FIN.
    pub fin: u64,
    /// With RST.
    pub rst: u64,
    /// TTL or hop limit of the latest of them: one that is not the flow's own tells of a third party.
    pub ttl: u8,
    /// When the latest of them passed.
    pub last_ns: u64,
    /// The connection as its client has it: NAT undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Tuple>,
}

/// The kernel dropped a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Drop {
    /// The packet's ends.
    pub tuple: Tuple,
    /// IP protocol.
    pub protocol: u8,
    /// Where it was.
    pub netns: Netns,
    /// The kernel's reason (`enum skb_drop_reason` without its prefix), or its number.
    pub reason: String,
    /// The connection as its client has it: NAT undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Tuple>,
}

/// What a namespace's conntrack could not take in, and how full its table is. Told where it is nearly full, or where
/// a packet was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ConntrackTable {
    /// Whose.
    pub netns: Netns,
    /// When it was looked at before: what is counted here came since then.
    pub since_ns: u64,
    /// Entries now.
    pub entries: u64,
    /// So many there may be (`nf_conntrack_max`).
    pub max: u64,
    /// Packets that were dropped because no entry could be made (`drop`).
    pub dropped: u64,
    /// Entries that could not be inserted (`insert_failed`).
    pub insert_failed: u64,
    /// Entries that were given up for others (`early_drop`).
    pub early_dropped: u64,
}
