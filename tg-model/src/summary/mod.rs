//! What a journal's lines add up to. [`Summary`] is the object that `--format json` prints and that
//! `--expect` looks at; [`SummaryBuilder`] folds lines into it as they come.
//!
//! The fold keeps one entry a slot, one an open connection and one a host name: reconnects have no
//! limit and cost it nothing.
//!
//! ```
//! use tg_model::journal::{JournalError, Reader};
//! use tg_model::summary::Summary;
//!
//! fn lost(journal: &[u8]) -> Result<u64, JournalError> {
//!     Ok(Summary::read(Reader::new(journal)?)?.lost)
//! }
//! assert!(matches!(lost(b""), Err(JournalError::Empty)));
//! ```

mod accounting;
mod builder;
mod calendar;
mod finish;
mod plan;
mod shape;
mod slots;
mod spread;
mod tallies;

#[cfg(test)]
pub(crate) mod tests;

pub use builder::SummaryBuilder;
pub use plan::PlanSummary;
pub use shape::{Accounting, Hosts, JournalState, RunEnding, Summary, UNKNOWN_HOST, UnreadableLine};
pub use spread::{Outages, Part, Spread};
pub use tallies::{Dropped, Ended, FailedAttempts, Packets};
