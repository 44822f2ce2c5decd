//! What is said of a run's lost connections, and why: verdicts. [`RunVerdict`] is the object that
//! `report --format json` prints of a run with what nodes and the cluster told beside it.
//!
//! A verdict of a connection has two findings: what ended it, and what had put it where it was. Each has a
//! grade and the journal lines that it rests on, so that a reader can look them up.
//!
//! Times named `*_ns` of type `i64` are on the run's clock, from the run's start: what happened before it is
//! negative. Times of other journals were moved there; how well that could be done is in [`InputState`].

mod cause;
mod conformance;
mod decision;
mod finding;
mod pods;
mod run;
#[cfg(test)]
mod schema;

pub use cause::Cause;
pub use conformance::{Conformance, Deviation};
pub use decision::{Chance, Decision, Director, Lineage, Verdict};
pub use finding::{Evidence, Finding, Grade};
pub use pods::{PodRef, PodShare};
pub use run::{
    CauseTally, Clock, ClockWay, Effect, EvidenceLost, InputKind, InputState, LossTotals, NotCovered, RunVerdict,
    ServiceTime, TROUBLES_MAX, Trouble, TroubleKind,
};
