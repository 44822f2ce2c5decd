//! SIGINT and SIGTERM: the first one ends in good order, the second one at once.

use crate::exit::Problem;
use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Counts the signals that came.
#[derive(Debug)]
pub struct StopSignals {
    signals: Signals,
    count: usize,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    InOrder,
    AtOnce,
}

impl StopSignals {
    /// From here on both signals are counted and end nothing by themselves.
    pub fn catch() -> Result<StopSignals, Problem> {
        let signals =
            Signals::new([SIGINT, SIGTERM]).context("catching SIGINT and SIGTERM").map_err(Problem::Failed)?;
        Ok(StopSignals { signals, count: 0 })
    }

    /// What signals since the last call ask for; does not wait.
    pub fn pending(&mut self) -> Option<Stop> {
        let came = self.signals.pending().count();
        self.asked(came)
    }

    /// Waits for the next one.
    pub fn wait(&mut self) -> Option<Stop> {
        let came = self.signals.wait().count();
        self.asked(came)
    }

    fn asked(&mut self, came: usize) -> Option<Stop> {
        let before = self.count;
        self.count += came;
        asked(before, came)
    }

    /// Lets another thread end a [`StopSignals::wait`], which gives `None` then.
    pub fn handle(&self) -> signal_hook::iterator::Handle {
        self.signals.handle()
    }
}

fn asked(before: usize, came: usize) -> Option<Stop> {
    match (before, came) {
        (_, 0) => None,
        (0, 1) => Some(Stop::InOrder),
        _ => Some(Stop::AtOnce),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ends_in_order_and_any_further_one_at_once() {
        assert_eq!(asked(0, 0), None);
        assert_eq!(asked(0, 1), Some(Stop::InOrder));
        assert_eq!(asked(0, 2), Some(Stop::AtOnce));
        assert_eq!(asked(1, 1), Some(Stop::AtOnce));
    }

    #[test]
    fn a_signal_that_came_is_seen_once() {
        let mut signals = StopSignals::catch().unwrap();
        assert_eq!(signals.pending(), None);
        signal_hook::low_level::raise(SIGTERM).unwrap();
        assert_eq!(signals.wait(), Some(Stop::InOrder));
        assert_eq!(signals.pending(), None);
    }
}
