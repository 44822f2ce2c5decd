//! What can go wrong with a lab, and what to do about it. Changes when a kind of failure is added.

use std::io;

/// A lab that could not be set up, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// What was asked for cannot be: the plan is to blame.
    #[error("{0}")]
    Usage(String),
    /// This machine, or this user, lacks something; each entry says what and what to do.
    #[error("this machine lacks what the lab needs:\n  {}", .0.join("\n  "))]
    Missing(Vec<String>),
    /// An operation of the system failed.
    #[error("{what}: {error}")]
    Io {
        /// What was tried, as in `making the network namespace node-1`.
        what: String,
        /// Why it failed.
        error: io::Error,
    },
    /// A program that the lab ran failed.
    #[error("`{command}` failed: {why}")]
    Command {
        /// The command line.
        command: String,
        /// What it said, or how it ended.
        why: String,
    },
    /// Something else, in words that say what to do.
    #[error("{0}")]
    Failed(String),
}

impl LabError {
    /// For `map_err`: an operation, in words, that the system refused.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> LabError {
        let what = what.into();
        move |error| LabError::Io { what, error }
    }

    /// Whether the plan is to blame, and not this machine.
    pub fn is_usage(&self) -> bool {
        matches!(self, LabError::Usage(_))
    }
}
