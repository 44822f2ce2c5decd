//! How late this machine wakes a sleeper, and the busy-wait window that makes up for it.

use crate::engine::Engine;
use std::io;
use tg_model::time::Nanos;

/// Wake-ups measured: about 30 ms in all.
const ROUNDS: usize = 40;
const ASLEEP: Nanos = Nanos(700_000);
/// A longer window would burn more than it gains: beyond it lie the scheduler's own delays.
const WINDOW_MAX_NS: u64 = 150_000;

/// The error of waking up at a set time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WakeUp {
    /// Median, nanoseconds.
    pub p50_ns: u64,
    /// 90th percentile.
    pub p90_ns: u64,
    /// The largest measured.
    pub max_ns: u64,
    /// The window that `--spin auto` takes: the 90th percentile, at most 150 µs.
    pub suggested_spin_ns: u64,
}

/// Measures with an engine that has nothing else to do.
///
/// # Errors
/// The engine failed.
pub(crate) fn measure(engine: &mut impl Engine) -> io::Result<WakeUp> {
    let mut errors = [0u64; ROUNDS];
    for error in &mut errors {
        let until = engine.now() + ASLEEP;
        while engine.now() < until {
            engine.wait(until, Nanos::ZERO)?;
        }
        *error = engine.now().since(until).0;
    }
    errors.sort_unstable();
    let at = |percent: usize| errors[(ROUNDS * percent / 100).min(ROUNDS - 1)];
    Ok(WakeUp {
        p50_ns: at(50),
        p90_ns: at(90),
        max_ns: errors[ROUNDS - 1],
        suggested_spin_ns: at(90).min(WINDOW_MAX_NS),
    })
}
