//! The lines of an observer's journal. Changes when what is recorded beside the events does; each kind has
//! its JSON Schema in `tg-model/schema`.

use super::event::{Conntrack, NodeEvent};
use super::ipvs::{Candidate, IpvsConn, IpvsService};
use super::place::Netns;
use crate::named::named;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// A line with its number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Numbered {
    /// Counts the journal's lines from 0 on: a number that is missing was not received.
    pub seq: u64,
    /// The line.
    #[serde(flatten)]
    pub line: NodeLine,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "kind")]
pub enum NodeLine {
    /// The first line.
    #[serde(rename = "node-header")]
    Header(Box<NodeHeader>),
    /// How a program is attached, or why it is not.
    #[serde(rename = "node-program")]
    Program(ProgramStatus),
    /// A network namespace came to be known, or went.
    #[serde(rename = "node-namespace")]
    Namespace(Namespace),
    /// An address joined the filter.
    #[serde(rename = "node-watched")]
    Watched(Watched),
    /// What was there before the observer.
    #[serde(rename = "node-snapshot")]
    Snapshot(SnapshotTaken),
    /// Something happened to traffic.
    #[serde(rename = "node-event")]
    Event(Box<Observed>),
    /// Events were lost.
    #[serde(rename = "node-gap")]
    Gap(Gap),
    /// The last line of an observer that ended in order.
    #[serde(rename = "node-footer")]
    Footer(NodeFooter),
}

/// Who observed, where and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NodeHeader {
    /// Version of tg.
    pub tg_version: String,
    /// The command line.
    pub command: Vec<String>,
    /// Host name of the node.
    pub machine: String,
    /// Kernel release.
    pub kernel: String,
    /// The kernel's boot id: monotonic times of one boot can be compared.
    pub boot_id: String,
    /// CLOCK_MONOTONIC at the start, the origin of every `*_ns` of the journal.
    pub monotonic_ns: u64,
    /// CLOCK_REALTIME read with it, since the Unix epoch.
    pub realtime_ns: u64,
    /// The services' addresses that were asked for; port 0 is every port.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub vips: Vec<SocketAddr>,
    /// Namespaces asked for; empty: every one.
    pub namespaces: Vec<String>,
}

named! {
    /// Whose clock stamped an event.
    TimeSource {
        /// The kernel, when it happened.
        Kernel = "kernel",
        /// The observer, when it read of it: later by a scheduling delay, or more under load.
        Reader = "reader",
    }
}

/// How a program is attached, or why it is not and what that costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProgramStatus {
    /// Its name, as in `program` of events.
    pub program: String,
    /// The way that it is attached by; `None` where it is not.
    pub way: Option<String>,
    /// Better ways that this kernel refused, each with its reason; without a way, every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
    /// What its absence, or a worse way, costs the verdicts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
    /// Whose clock its events' times are of.
    pub times: TimeSource,
}

/// A network namespace came to be known, or went. A name that was known stays with its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Namespace {
    /// When.
    pub at_ns: u64,
    /// Which.
    pub netns: Netns,
    /// UID of the pod that has it, where a process's cgroup tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<String>,
    /// Id of a container in it, where a process's cgroup tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// It is no longer there.
    pub gone: bool,
}

/// An address joined the filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Watched {
    /// When the observer knew of it: the kernel watches it from earlier on, where its program saw the binding.
    pub at_ns: u64,
    /// The address; port 0 is every port.
    #[cfg_attr(test, schemars(with = "String"))]
    pub address: SocketAddr,
    /// The service that it is a backend of; `None` where it was asked for.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub backend_of: Option<SocketAddr>,
}

/// Something that was there before the observer: its begin was not seen, and its end may not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SnapshotTaken {
    /// When it was read.
    pub at_ns: u64,
    /// What.
    #[serde(flatten)]
    pub entry: SnapshotEntry,
}

/// See [`SnapshotTaken`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub enum SnapshotEntry {
    /// A conntrack entry.
    Conntrack(Conntrack),
    /// A service of IPVS.
    IpvsService {
        /// Where.
        netns: Netns,
        /// The service.
        service: IpvsService,
    },
    /// A destination of such a service.
    IpvsDest {
        /// Where.
        netns: Netns,
        /// The service.
        service: IpvsService,
        /// The destination.
        destination: Candidate,
    },
    /// A connection of IPVS.
    IpvsConn(IpvsConn),
    /// The snapshot of a namespace's IPVS is whole, or could not be taken.
    IpvsEnd {
        /// Where.
        netns: Netns,
        /// Services that are watched.
        services: u64,
        /// Their destinations.
        destinations: u64,
        /// Their connections.
        connections: u64,
        /// Why it is not whole.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// The snapshot of a namespace's conntrack is whole, or could not be taken.
    ConntrackEnd {
        /// Where.
        netns: Netns,
        /// Entries of watched addresses.
        entries: u64,
        /// Why it is not whole.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
}

/// An event as it was observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Observed {
    /// When, by the clock that the program's status names.
    pub at_ns: u64,
    /// The program that saw it.
    pub program: String,
    /// What.
    #[serde(flatten)]
    pub event: NodeEvent,
}

named! {
    /// Why events were lost.
    LossCause {
        /// The ring buffer was full: a record could not be reserved.
        RingFull = "ring-full",
        /// A table of the kernel's side was full.
        TableFull = "table-full",
        /// The kernel did not run the program: it was running already.
        Missed = "missed",
        /// The netlink socket's buffer was full (ENOBUFS).
        SocketFull = "socket-full",
        /// A record could not be understood.
        Undecodable = "undecodable",
        /// A reader of `/events` was slower than what is kept for it.
        SlowReader = "slow-reader",
    }
}

/// Events were lost somewhere in a span of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Gap {
    /// The program whose events they are.
    pub program: String,
    /// The processor that counted the loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Not before.
    pub from_ns: u64,
    /// Not after.
    pub to_ns: u64,
    /// How many; `None` where the kernel does not say.
    pub lost: Option<u64>,
    /// Why.
    pub cause: LossCause,
}

/// What a program recorded and lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProgramLoss {
    /// Its name.
    pub program: String,
    /// Events recorded.
    pub events: u64,
    /// Events known to be lost.
    pub lost: u64,
}

/// The end of an observer's journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NodeFooter {
    /// When everything was detached.
    pub ended_ns: u64,
    /// Of each program.
    pub programs: Vec<ProgramLoss>,
}
