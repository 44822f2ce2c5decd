//! A process that stood still counts no time-out while nobody could answer it.

use crate::{Lines, MS, Mute, pump};
use tg_core::pump::Approach;
use tg_model::journal::Line;
use tg_model::outcome::{AttemptFailure, EndReason};
use tg_model::time::Nanos;

const RESPONSE_TIMEOUT: Nanos = Nanos::from_secs(1);
const CONNECT_TIMEOUT: Nanos = Nanos::from_millis(1500);
/// A stop within the first of two sleeps is seen after the second.
const NAPPING: Approach = Approach { nap: Nanos(200_000), spin: Nanos(50_000) };

/// The first packet is due at once. Oversleeps in the wait for its echo (or for the connection). What it recorded
/// within 10 s.
fn run(connects: bool, oversleeps: Nanos, approach: Approach) -> Vec<Line> {
    let mut pump = pump(Mute::new(connects));
    let mut lines = Lines::default();
    let mut told = false;
    while pump.engine.now < Nanos::from_secs(10) {
        if pump.driver.first_attempts_over() {
            pump.driver.start_schedule(Nanos::ZERO, pump.engine.now);
        }
        let (now, wake) = pump.turn(&mut lines).unwrap();
        let (_, _, totals) = pump.driver.live();
        if !told && (totals.counts.sent == 1 || !connects) {
            told = true;
            pump.engine.oversleeps = oversleeps;
        }
        // As a shard does: it looks around now and then.
        pump.wait(wake.at.min(now + MS(50)), approach, &mut lines).unwrap();
    }
    lines.0
}

fn response_timeout_at(lines: &[Line]) -> Nanos {
    let closed = lines.iter().find_map(|line| match line {
        Line::Closed(closed) if closed.reason == EndReason::ResponseTimeout => Some(Nanos(closed.ended_ns)),
        _ => None,
    });
    closed.unwrap()
}

fn connect_timeout_at(lines: &[Line]) -> Nanos {
    let failed = lines.iter().find_map(|line| match line {
        Line::AttemptFailed(a) if a.failure == AttemptFailure::Timeout => Some(Nanos(a.ended_ns)),
        _ => None,
    });
    failed.unwrap()
}

#[test]
fn after_a_long_stop_time_outs_begin_anew() {
    let oversleeps = Nanos::from_secs(3);
    for approach in [Approach::ASLEEP, NAPPING] {
        assert!(response_timeout_at(&run(true, oversleeps, approach)) >= oversleeps + RESPONSE_TIMEOUT);
        assert!(connect_timeout_at(&run(false, oversleeps, approach)) >= oversleeps + CONNECT_TIMEOUT);
    }
}

#[test]
fn a_short_stop_puts_nothing_off() {
    for oversleeps in [Nanos::ZERO, MS(400)] {
        for approach in [Approach::ASLEEP, NAPPING] {
            assert_eq!(response_timeout_at(&run(true, oversleeps, approach)), RESPONSE_TIMEOUT);
            assert_eq!(connect_timeout_at(&run(false, oversleeps, approach)), CONNECT_TIMEOUT);
        }
    }
}
