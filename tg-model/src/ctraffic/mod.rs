//! ctraffic's statistics: read, written to the letter, analysed as ctraffic's own analyser does, and
//! made from a tg journal.
//!
//! | module | changes when |
//! |---|---|
//! | `json` | ctraffic's fields do |
//! | `go` | Go's way to print does |
//! | `analyze` | what ctraffic's analyser prints does |
//! | `from_journal` | a journal's lines do |

mod analyze;
mod from_journal;
mod go;
mod json;

pub use analyze::{Analysis, AnalyzeError, ROWS_MAX, Table, analyze};
pub use from_journal::{FromJournal, from_journal};
pub use json::{ConnStat, ReadError, Sample, Statistics};
