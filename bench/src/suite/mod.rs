//! The suites, and what they have in common. Changes when a suite comes.

pub mod accuracy;
pub mod capacity;
pub mod observer;
pub mod reconnect;
pub mod scale;
pub mod stall;
mod turn;

use crate::programs::Programs;
use crate::quiet::Diary;
use std::time::Duration;

/// What every suite is asked.
#[derive(Clone, Debug)]
pub struct Options {
    pub rounds: u32,
    pub seconds: u32,
    /// Loads may be smaller, as only their working counts.
    pub smoke: bool,
    /// How long each round waits for a quiet machine.
    pub quiet_wait: Duration,
    pub programs: Programs,
}

impl Options {
    fn diary(&self) -> Diary {
        Diary::new(self.quiet_wait)
    }
}

/// A program that should have ended so long after its time has failed.
const GRACE: Duration = Duration::from_secs(10);

fn progress(round: u32, rounds: u32, client: &str) {
    eprintln!("round {} of {rounds}: {client}", round + 1);
}
