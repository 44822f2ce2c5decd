//! What an observer saw on a node: its events, and the journal that holds them. [`NodeEvent`] is what
//! happened to traffic; [`NodeLine`] is what a line of the journal may be.
//!
//! The journal is one JSON object a line, as a run's is, and read by the same [`Reader`](crate::journal::Reader).
//! Times named `*_ns` count from the journal's start, on the monotonic clock: with the headers of two journals
//! of one boot, their times can be compared.

mod codec;
mod event;
mod ipvs;
mod line;
mod place;
mod proxy;
#[cfg(test)]
mod schema;
mod tcp;

pub use codec::{NodeReader, decode_node_line, encode_node_line};
pub use event::{Conntrack, ConntrackPhase, ConntrackTable, Drop, Flow, NodeEvent, Reset, Segments, StateChange};
pub use ipvs::{Candidate, IpvsConn, IpvsConnPhase, IpvsDecision, IpvsDest, IpvsDestChange, IpvsService};
pub use line::{
    Gap, LossCause, Namespace, NodeFooter, NodeHeader, NodeLine, Numbered, Observed, ProgramLoss, ProgramStatus,
    SnapshotEntry, SnapshotTaken, TimeSource, Watched,
};
pub use place::{ConntrackStatus, Direction, Netns, Tuple};
pub use proxy::{ProxyConn, ProxyConnPhase, ProxyDecision, ProxyEnd};
pub use tcp::{ConntrackTcpState, TcpState};
