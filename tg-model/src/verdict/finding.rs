//! What a verdict rests on: grades and references to journal lines. Changes when those do.

use super::cause::Cause;
use crate::named::named;
use serde::Serialize;

named! {
    /// How sure a finding is.
    Grade {
        /// The exact evidence that the cause asks for is there, and none of it was lost.
        Confirmed = "confirmed",
        /// What is there speaks for it; a piece is missing, or was lost.
        Suspected = "suspected",
        /// Nothing says.
        Unattributed = "unattributed",
    }
}

/// A journal line that a finding rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Evidence {
    /// The journal, by the name that it was read under.
    pub file: String,
    /// Its line, from 1.
    pub line: u64,
    /// The line's own number, in an observer's journal.
    pub seq: Option<u64>,
    /// When, on the run's clock.
    pub at_ns: i64,
    /// What it says, in words.
    pub words: String,
}

/// A cause, how sure it is, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    /// The cause.
    pub cause: Cause,
    /// How sure.
    pub grade: Grade,
    /// What it rests on, in the order of time.
    pub evidence: Vec<Evidence>,
    /// What it lacks to be confirmed, in words; empty where it is.
    pub missing: Vec<String>,
}

impl Finding {
    /// Nothing is known, for these reasons.
    pub fn unattributed(missing: Vec<String>) -> Finding {
        Finding { cause: Cause::Unattributed, grade: Grade::Unattributed, evidence: Vec::new(), missing }
    }
}
