//! The binary as tests drive it: a process, its journal, and the cases that a test is held for.
//!
//! | module | what it is |
//! |---|---|
//! | [`process`] | one process: what it says, signals to it, how it ended |
//! | [`journal`] | what a run has recorded so far, and whether it hangs together |
//! | [`case`] | engine, protocol and family; a run of such a case |
//! | [`pod`] | `serve` as a pod that dies and comes back at its address |
//!
//! Nothing waits for a time: what is waited for is a line, a record, a process' end.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod case;
pub mod journal;
pub mod pod;
pub mod process;

use std::time::{Duration, Instant};

/// Nothing that a test waits for takes this long: it would be stuck.
pub const STUCK: Duration = Duration::from_secs(60);
/// Between two looks at what tells nobody that it changed.
const LOOK: Duration = Duration::from_millis(5);

/// Looks again and again until there is something.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < STUCK, "waited in vain: {what}");
        std::thread::sleep(LOOK);
    }
}
