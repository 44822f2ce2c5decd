//! SIGINT, SIGTERM and SIGHUP (a session that is gone): while things are being prepared they end the process; from then on the first one
//! ends in good order, the second one at once; once there is nothing left to end, they end the process
//! again.

use crate::exit::Problem;
use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Counts the signals that came.
#[derive(Debug)]
pub struct StopSignals {
    signals: Signals,
    count: usize,
    /// Nothing is under way that could be ended in good order.
    idle: Arc<AtomicBool>,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    InOrder,
    AtOnce,
}

impl StopSignals {
    /// Counts signals from here on. Until [`StopSignals::prepared`] they still end the process: a name
    /// may take long to resolve, and there is nothing to report yet.
    pub fn catch() -> Result<StopSignals, Problem> {
        let idle = Arc::new(AtomicBool::new(true));
        let register = || {
            let signals = caught(&std::fs::read_to_string("/proc/self/status").unwrap_or_default());
            for signal in &signals {
                // As a shell tells a process that a signal ended.
                flag::register_conditional_shutdown(*signal, 128 + signal, Arc::clone(&idle))?;
            }
            Signals::new(signals)
        };
        let signals = register().context("catching signals").map_err(Problem::Failed)?;
        Ok(StopSignals { signals, count: 0, idle })
    }

    /// What there is to end in good order has begun.
    pub fn prepared(&self) {
        self.idle.store(false, Ordering::SeqCst);
    }

    /// It has ended: what is left, a report to a reader who does not read, say, may be broken off.
    pub fn ended(&self) {
        self.idle.store(true, Ordering::SeqCst);
    }

    /// Waits for the next one. `None`: [`StopSignals::handle`] was closed.
    pub fn wait(&mut self) -> Option<Stop> {
        let mut came = 0;
        // It may wake up for a signal that it has told of already.
        while came == 0 && !self.signals.handle().is_closed() {
            came = self.signals.wait().count();
        }
        let before = self.count;
        self.count += came;
        asked(before, came)
    }

    /// Lets another thread end a [`StopSignals::wait`], which gives `None` then.
    pub fn handle(&self) -> signal_hook::iterator::Handle {
        self.signals.handle()
    }
}

/// SIGHUP only where it is not ignored, by the kernel's word on this process: `nohup` has it ignored.
fn caught(status: &str) -> Vec<c_int> {
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    let is_ignored = ignored.unwrap_or(0) >> (SIGHUP - 1) & 1 == 1;
    [SIGINT, SIGTERM].into_iter().chain((!is_ignored).then_some(SIGHUP)).collect()
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
    fn sighup_stays_ignored_where_it_was() {
        assert_eq!(caught("SigBlk:\t0\nSigIgn:\t0000000000001001\n"), [SIGINT, SIGTERM]);
        assert_eq!(caught("SigIgn:\t0000000000001000\n"), [SIGINT, SIGTERM, SIGHUP]);
    }

    #[test]
    fn a_signal_that_came_is_seen_once() {
        let mut signals = StopSignals::catch().unwrap();
        signals.prepared();
        signal_hook::low_level::raise(SIGTERM).unwrap();
        assert_eq!(signals.wait(), Some(Stop::InOrder));
        signal_hook::low_level::raise(SIGTERM).unwrap();
        assert_eq!(signals.wait(), Some(Stop::AtOnce));
        signals.handle().close();
        assert_eq!(signals.wait(), None);
    }
}
