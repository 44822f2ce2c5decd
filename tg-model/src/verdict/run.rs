//! The verdict of a whole run: its fields, their names in JSON and their units. Changes when what is said of a
//! run does.

use super::cause::Cause;
use super::conformance::Conformance;
use super::decision::Verdict;
use super::finding::Finding;
use super::pods::PodShare;
use crate::id::SlotId;
use crate::named::named;
use serde::Serialize;

/// What is said of a run. Every field is always there; one that is not known is null.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunVerdict {
    /// The journals that it rests on, the run's first.
    pub inputs: Vec<InputState>,
    /// Perfect against observed.
    pub totals: LossTotals,
    /// Why, in sentences made from the data.
    pub sentences: Vec<String>,
    /// How often each cause ended a connection, most frequent first.
    pub ended_by: Vec<CauseTally>,
    /// How often each cause had put a lost connection where it was.
    pub placed_by: Vec<CauseTally>,
    /// How often each cause was found of what went wrong without a loss.
    pub troubles_by: Vec<CauseTally>,
    /// What went wrong without a loss: the first [`TROUBLES_MAX`].
    pub troubles: Vec<Trouble>,
    /// Each pod's share, in the order in which they came.
    pub pods: Vec<PodShare>,
    /// Each scheduler on each node: whether it did what its name says.
    pub conformance: Vec<Conformance>,
    /// Time without service.
    pub service: ServiceTime,
    /// What followed each thing that the cluster did.
    pub effects: Vec<Effect>,
    /// Evidence that was lost, and what that cost.
    pub evidence_lost: Vec<EvidenceLost>,
    /// Causes that cannot be told, or not be confirmed, with these inputs.
    pub not_covered: Vec<NotCovered>,
    /// What else a reader must know, in words.
    pub notes: Vec<String>,
    /// Each lost connection, in the order in which they ended.
    pub verdicts: Vec<Verdict>,
}

/// So many troubles are listed, all are counted: a slot that cannot connect tries without end.
pub const TROUBLES_MAX: usize = 1000;

named! {
    /// What went wrong without a connection being lost.
    TroubleKind {
        /// An attempt to connect failed.
        FailedAttempt = "failed-attempt",
        /// A connection was slow to be established.
        SlowConnect = "slow-connect",
        /// UDP: another server answers.
        Moved = "moved",
    }
}

/// Something that went wrong without a connection being lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Trouble {
    /// What.
    pub kind: TroubleKind,
    /// The slot.
    pub slot: SlotId,
    /// When it began.
    pub started_ns: i64,
    /// When it was over.
    pub ended_ns: i64,
    /// Why.
    pub finding: Finding,
}

named! {
    /// What a journal is.
    InputKind {
        /// A generator's.
        Run = "run",
        /// A node's.
        Node = "node",
        /// A cluster's.
        Cluster = "cluster",
    }
}

/// A journal that a verdict rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InputState {
    /// The name that it was read under.
    pub file: String,
    /// What it is.
    pub kind: InputKind,
    /// Whose: the machine's name.
    pub machine: String,
    /// Lines that were read.
    pub lines: u64,
    /// Lines that could not be read.
    pub unreadable_lines: u64,
    /// It has no end: who wrote it was killed, or still writes.
    pub cut: bool,
    /// How its times came to the run's clock.
    pub clock: Clock,
}

named! {
    /// How a journal's times came to the run's clock.
    ClockWay {
        /// It is the run's own.
        Own = "own",
        /// The same kernel's monotonic clock: exact.
        SameBoot = "same-boot",
        /// Another clock: its offset was estimated from events that both journals tell of.
        Matched = "matched",
        /// Another clock, and no such events: both headers' real time, as good as those clocks agree.
        RealTime = "real-time",
    }
}

/// How a journal's times came to the run's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Clock {
    /// How.
    pub way: ClockWay,
    /// Added to its times.
    pub offset_ns: i64,
    /// The sum may be wrong by so much either way; null where nothing tells.
    pub error_ns: Option<u64>,
    /// Pairs of events that the estimate rests on.
    pub pairs: u64,
}

/// Perfect against observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LossTotals {
    /// Connections lost.
    pub lost: u64,
    /// Connections alive at the end.
    pub lasting: u64,
    /// Connections that replaced a lost one.
    pub reconnects: u64,
    /// Losses that no balancer could have saved: connections on a pod that went, unless they had replaced a lost
    /// one and were put there when the pod was to go already. Null where it is not known which pods went.
    pub perfect: Option<u64>,
    /// Lost beyond that.
    pub more: Option<u64>,
    /// Those of them whose decision had a ready candidate that was to stay.
    pub avoidable: u64,
    /// Those of them whose decision had none.
    pub unavoidable: u64,
    /// Those of them of which that is not known.
    pub not_known: u64,
    /// Losses whose end is confirmed.
    pub confirmed: u64,
    /// Losses whose end is suspected.
    pub suspected: u64,
    /// Losses of which nothing is known.
    pub unattributed: u64,
}

/// How often a cause was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CauseTally {
    /// The cause.
    pub cause: Cause,
    /// Confirmed.
    pub confirmed: u64,
    /// Suspected.
    pub suspected: u64,
    /// Neither.
    pub unattributed: u64,
}

impl CauseTally {
    /// Of every grade.
    pub fn total(&self) -> u64 {
        self.confirmed + self.suspected + self.unattributed
    }
}

/// Time without service: of single connections, and of the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ServiceTime {
    /// Times without service of single slots.
    pub outages: u64,
    /// Their sum.
    pub total_ns: u64,
    /// Their median.
    pub p50_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// So many slots at most were out at the same time.
    pub slots_out_max: u64,
    /// Slots of the run.
    pub slots: u64,
    /// Time in which no slot had service at all: the service was out.
    pub service_out_ns: u64,
    /// The longest such time.
    pub service_out_max_ns: u64,
}

/// What followed something that the cluster did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Effect {
    /// What the cluster did, in words.
    pub event: String,
    /// When.
    pub at_ns: i64,
    /// Losses that follow from it.
    pub lost: u64,
    /// The first of them, after the event; null where nothing was lost.
    pub first_after_ns: Option<i64>,
    /// The last of them, after the event.
    pub last_after_ns: Option<i64>,
}

/// Evidence that was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EvidenceLost {
    /// The journal.
    pub file: String,
    /// The program whose events they are; null where lines of the file itself are missing.
    pub program: Option<String>,
    /// Not before.
    pub from_ns: i64,
    /// Not after.
    pub to_ns: i64,
    /// How many; null where nothing says.
    pub lost: Option<u64>,
    /// Why, in words.
    pub why: String,
    /// Findings that it lowered.
    pub lowered: u64,
}

/// A cause that cannot be told, or not be confirmed, with these inputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NotCovered {
    /// The cause.
    pub cause: Cause,
    /// Why, in words.
    pub why: String,
}
