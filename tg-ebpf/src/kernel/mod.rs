//! The observer as it runs: programs in the kernel, netlink, namespaces; all of it on the caller's thread.
//! Changes when what is brought together here does.
//!
//! Order of calls: [`Observer::start`], then [`Observer::wait`] and [`Observer::poll`] in turns and
//! [`Observer::tick`] about once a second, at the end [`Observer::stop`]. Each gives lines for the journal.

mod directors;
mod enter;
mod error;
mod fields;
mod filter;
mod flows;
mod host;
mod legacy_tc;
mod losses;
mod maps;
mod module_fields;
mod modules;
mod namespaces;
mod observer;
mod probes;
mod programs;
mod question;
mod rights;
mod tables;
mod trackers;
mod uevents;

pub use error::ObserveError;
pub use host::{Finding, findings};
pub use losses::Figures;
pub use observer::{Observer, Settings};
pub use rights::drop_unneeded;
