//! A journal: one JSON object a line, appended while the run goes on. [`Line`] is what a line may be;
//! [`Reader`] reads a journal that may be cut, damaged or written by a newer version.
//!
//! Times named `*_ns` count from the run's start, on the monotonic clock.

mod codec;
mod line;
mod read;

pub use codec::{LINE_VERSION, LineError, decode_line, encode_line};
pub(crate) use codec::{decode, encode};
pub use line::{
    AttemptFailed, Closed, Ending, Established, Event, Footer, Header, Identified, Line, Outage, RunEvent, Sample,
    SlotTotals, Totals,
};
pub use read::{JournalError, JournalLine, Notes, Reader};
