//! The lines of a journal. Changes when what is recorded does; each kind has its JSON Schema in
//! `tg-model/schema`.

use crate::counts::Counts;
use crate::histogram::EncodedHistogram;
use crate::id::{ConnId, SlotId};
use crate::outcome::{AttemptFailure, EndReason};
use crate::plan::Plan;
use crate::tcp_info::TcpInfo;
use crate::wire::Identity;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Line {
    /// The first line.
    Header(Box<Header>),
    /// A connection was established.
    Established(Established),
    /// A connection's first echo told who answers.
    Identified(Identified),
    /// A connection ended.
    Closed(Box<Closed>),
    /// An attempt to connect failed.
    AttemptFailed(AttemptFailed),
    /// A slot's time without service is over, or the run is.
    Outage(Outage),
    /// Once a second: totals so far and the interval's histograms.
    Sample(Box<Sample>),
    /// Something happened to the run as a whole.
    Event(Event),
    /// A slot's totals, at the end of the run.
    Slot(SlotTotals),
    /// The last line of a run that ended in order.
    Footer(Footer),
}

/// What was run, where and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Header {
    /// Version of tg.
    pub tg_version: String,
    /// The command line; empty for an embedded run.
    pub command: Vec<String>,
    /// The plan; slot s of N is due `s / N` of a period after the schedule's start, then each period.
    pub plan: Plan,
    /// Time from one packet of a slot to its next; `None` where the rate is unlimited.
    pub period_ns: Option<u64>,
    /// `uring`, `epoll` or `simulated`.
    pub engine: String,
    /// Why that engine and no better one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_note: Option<String>,
    /// A sleep of more than twice this length before a packet was made as two, the last of this length; 0: it was not.
    #[serde(default)]
    pub nap_ns: u64,
    /// Busy-wait window before a packet is due.
    pub spin_ns: u64,
    /// Host name of the machine.
    pub machine: String,
    /// Kernel release.
    pub kernel: String,
    /// The kernel's boot id: monotonic times of one boot can be compared.
    pub boot_id: String,
    /// CLOCK_MONOTONIC at the run's start, the origin of every `*_ns` of the journal.
    pub monotonic_ns: u64,
    /// CLOCK_REALTIME read with it, since the Unix epoch.
    pub realtime_ns: u64,
}

/// A connection was established.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Established {
    /// The connection.
    pub conn: ConnId,
    /// When its slot first tried for it: failed attempts lie between this and `attempt_ns`.
    pub first_attempt_ns: u64,
    /// When the successful attempt began.
    pub attempt_ns: u64,
    /// When it was established.
    pub established_ns: u64,
    /// Attempts of this slot that failed in between.
    pub failed_attempts: u64,
    /// This end.
    #[cfg_attr(test, schemars(with = "String"))]
    pub local: SocketAddr,
    /// The address connected to.
    #[cfg_attr(test, schemars(with = "String"))]
    pub remote: SocketAddr,
}

/// A connection's first echo told who answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Identified {
    /// The connection.
    pub conn: ConnId,
    /// When.
    pub at_ns: u64,
    /// What the server calls itself; `None` where it wrote no name.
    pub host: Option<String>,
    /// What a tg server says beyond that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
}

/// A connection ended. Holds all of it, so that this line alone can be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Closed {
    /// As in its `established` line.
    #[serde(flatten)]
    pub established: Established,
    /// When it ended.
    pub ended_ns: u64,
    /// Why.
    pub reason: EndReason,
    /// The error number where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// More about it in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// From the last sign of service (the sending of the oldest packet without an echo) to the end.
    pub detection_ns: u64,
    /// What the server calls itself.
    pub host: Option<String>,
    /// What a tg server says beyond that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// Its packets.
    pub counts: Counts,
    /// What the kernel knew of it (TCP).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpInfo>,
}

/// An attempt to connect failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AttemptFailed {
    /// The slot.
    pub slot: SlotId,
    /// When it began.
    pub started_ns: u64,
    /// When it failed.
    pub ended_ns: u64,
    /// Why.
    pub failure: AttemptFailure,
    /// The error number where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// More about it in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The address tried; `None` where the name gave none.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub remote: Option<SocketAddr>,
}

/// A slot's time without service, in its parts. From the start of service lost (or the slot's first
/// attempt) to the first packet sent on the replacement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Outage {
    /// The slot.
    pub slot: SlotId,
    /// The connection lost; `None` before the slot's first one.
    pub lost: Option<ConnId>,
    /// The one that replaced it; `None` where the run ended before.
    pub replacement: Option<ConnId>,
    /// When service was lost.
    pub since_ns: u64,
    /// When the slot first tried for a replacement; `None` where it never did.
    pub first_attempt_ns: Option<u64>,
    /// From there to the moment that the loss was known.
    pub detection_ns: u64,
    /// From there to the replacement's establishment, failed attempts and back-off included.
    pub reconnect_ns: u64,
    /// From there to the first packet sent on it: the schedule's part.
    pub wait_ns: u64,
    /// Attempts that failed in between.
    pub failed_attempts: u64,
    /// A packet was sent on the replacement: service is back.
    pub over: bool,
}

/// Totals of a run so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Totals {
    /// Attempts begun.
    pub attempts: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// Connections established.
    pub established: u64,
    /// Connections lost.
    pub lost: u64,
    /// Packets.
    pub counts: Counts,
}

/// Once a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Sample {
    /// End of the interval.
    pub at_ns: u64,
    /// Start of the interval.
    pub since_ns: u64,
    /// CLOCK_REALTIME at its end: shows where that clock was stepped.
    pub realtime_ns: u64,
    /// Slots with a connection.
    pub active: u64,
    /// Slots with an attempt under way.
    pub connecting: u64,
    /// Totals since the run's start.
    pub totals: Totals,
    /// Echo complete − intended, of the interval's echoes.
    pub latency: EncodedHistogram,
    /// Echo complete − sent.
    pub service_time: EncodedHistogram,
    /// Sent − intended, of the interval's packets.
    pub lateness: EncodedHistogram,
}

/// Something happened to the run as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Event {
    /// When.
    pub at_ns: u64,
    /// What.
    #[serde(flatten)]
    pub event: RunEvent,
}

/// See [`Event`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum RunEvent {
    /// Every slot's first attempt was over: packets are intended from `zero_ns` on.
    ScheduleStart {
        /// Time zero.
        zero_ns: u64,
    },
    /// A name was resolved.
    Resolved {
        /// The name and port.
        target: String,
        /// What the resolver gave, in its order.
        #[cfg_attr(test, schemars(with = "Vec<String>"))]
        addresses: Vec<SocketAddr>,
    },
    /// Somebody ended the run before the plan's end.
    StopRequested,
    /// The plan's end: sending stopped, echoes still out are awaited.
    SendingStopped,
}

/// A slot's totals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SlotTotals {
    /// The slot.
    pub slot: SlotId,
    /// Its totals.
    pub totals: Totals,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// At the end of the plan's duration.
    Planned,
    /// Stopped in good order before.
    Stopped,
    /// Stopped at once: echoes still out were not awaited.
    Aborted,
    /// The engine failed.
    Failed,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Footer {
    /// How it ended.
    pub ending: Ending,
    /// The error where the engine failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Time zero; `None` where the schedule never started.
    pub zero_ns: Option<u64>,
    /// When sending stopped.
    pub stopped_ns: u64,
    /// When the last connection was closed.
    pub ended_ns: u64,
    /// Totals of the run, counted on their own.
    pub totals: Totals,
    /// Records that found their queue full: the journal lacks them.
    pub records_lost: u64,
    /// CPU time of the packet threads.
    pub cpu_ns: u64,
}
