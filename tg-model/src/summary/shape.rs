//! The shape of a summary: its fields, their names in JSON and their units. Changes when what is
//! reported does.

use super::plan::PlanSummary;
use super::spread::{Outages, Spread};
use super::tallies::{Ended, FailedAttempts, Packets};
use serde::Serialize;
use std::collections::BTreeMap;

/// Connections whose server wrote no name are counted under this one.
pub const UNKNOWN_HOST: &str = "(unknown)";

/// What a journal's lines add up to. Every field is always there; one that is not known is null.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Summary {
    /// How the run ended.
    pub ending: RunEnding,
    /// The error where the engine failed.
    pub error: Option<String>,
    /// Version of the tg that ran.
    pub tg_version: String,
    /// `uring`, `epoll` or `simulated`.
    pub engine: String,
    /// Why that engine and no better one.
    pub engine_note: Option<String>,
    /// What was asked for.
    pub plan: PlanSummary,
    /// The run's start as RFC 3339 text.
    pub started: String,
    /// The same, in nanoseconds since the Unix epoch.
    pub started_realtime_ns: u64,
    /// From time zero to the end of sending; of a cut journal: to its last line.
    pub duration_ns: u64,
    /// Connections that ended by anything but the plan's end.
    pub lost: u64,
    /// Connections alive at the plan's end, `alive_at_cut` among them.
    pub lasting: u64,
    /// Of a cut journal: connections of which it has the beginning and no end.
    pub alive_at_cut: u64,
    /// Slots without a connection at the end.
    pub without_connection: u64,
    /// Slots that had no connection at any time.
    pub never_connected: u64,
    /// Connections established.
    pub established: u64,
    /// Those of them that replaced a lost one.
    pub reconnects: u64,
    /// Attempts begun.
    pub attempts: u64,
    /// Attempts that failed.
    pub failed_attempts: FailedAttempts,
    /// Connections by the name that their server gave.
    pub hosts: Hosts,
    /// Connections by the reason that ended them.
    pub ended: Ended,
    /// Packets.
    pub packets: Packets,
    /// TCP segments retransmitted, of the connections that have ended.
    pub retransmits: u64,
    /// Echo complete − intended.
    pub latency: Spread,
    /// Echo complete − sent.
    pub service_time: Spread,
    /// Sent − intended.
    pub lateness: Spread,
    /// Times without service.
    pub outages: Outages,
    /// Records that found their queue full: what is counted from single records is too low by these.
    pub records_lost: u64,
    /// CPU time of the packet threads.
    pub cpu_ns: u64,
    /// The same for each packet sent, µs.
    pub cpu_us_per_packet: Option<f64>,
    /// What became of the journal.
    pub journal: JournalState,
    /// Whether the numbers add up.
    pub accounting: Accounting,
}

/// How a run ended, as far as its journal says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RunEnding {
    /// At the end of the plan's duration.
    Planned,
    /// Stopped in good order before.
    Stopped,
    /// Stopped at once: echoes still out were not awaited.
    Aborted,
    /// The engine failed.
    Failed,
    /// The journal has no footer: the run was killed, or it still goes on.
    #[default]
    Cut,
}

/// Connections by host name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Hosts {
    /// Lost.
    pub lost: BTreeMap<String, u64>,
    /// Lasting.
    pub lasting: BTreeMap<String, u64>,
}

/// What became of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct JournalState {
    /// It has its footer, every line could be read and no record was lost.
    pub complete: bool,
    /// Its last line has no end.
    pub cut: bool,
    /// Lines that could not be read.
    pub unreadable_lines: u64,
    /// The first of them.
    pub unreadable: Vec<UnreadableLine>,
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UnreadableLine {
    /// Its number, from 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

/// Whether the numbers add up: by connection, by slot and over the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Accounting {
    /// No violation was found.
    pub ok: bool,
    /// What does not add up, in words: the first few.
    pub violations: Vec<String>,
    /// How many there are.
    pub violation_count: u64,
    /// What could not be checked, in words.
    pub unchecked: Vec<String>,
}
