//! A process that stood still counts no time-out while nobody could answer it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tg_core::driver::{Destination, Driver, Setup};
use tg_core::engine::{Completion, Engine, Event, Op, Token};
use tg_core::pump::{Approach, Pump, Surroundings};
use tg_core::schedule::Share;
use tg_model::journal::Line;
use tg_model::outcome::{AttemptFailure, EndReason};
use tg_model::plan::{Plan, PlanSpec};
use tg_model::time::Nanos;

const MS: fn(u64) -> Nanos = Nanos::from_millis;
const RESPONSE_TIMEOUT: Nanos = Nanos::from_secs(1);
const CONNECT_TIMEOUT: Nanos = Nanos::from_millis(1500);

/// Connects where it is to, sends everything, hears nothing, and oversleeps once when told to.
struct Mute {
    now: Nanos,
    connects: bool,
    oversleeps: Nanos,
    completions: VecDeque<Completion>,
}

impl Engine for Mute {
    fn name(&self) -> &'static str {
        "mute"
    }

    fn now(&self) -> Nanos {
        self.now
    }

    fn submit(&mut self, op: Op) {
        let local = SocketAddr::from(([127, 0, 0, 1], 1));
        let (token, event) = match op {
            Op::Connect(token, _) if self.connects => (token, Event::Connected { local }),
            Op::Connect(..) => return,
            Op::Send(token, _) => (token, Event::Sent { whole: true }),
            Op::Close(token, _) => (token, Event::Closed { info: None }),
        };
        self.completions.push_back(Completion { token, at: self.now, event });
    }

    fn wait(&mut self, until: Nanos, _: Nanos) -> io::Result<()> {
        if self.completions.is_empty() {
            self.now = self.now.max(until) + std::mem::take(&mut self.oversleeps);
        }
        Ok(())
    }

    fn linger(&mut self, until: Nanos) -> io::Result<()> {
        self.now = self.now.max(until);
        Ok(())
    }

    fn next(&mut self) -> Option<Completion> {
        self.completions.pop_front()
    }

    fn received(&self) -> &[u8] {
        &[]
    }

    fn closing(&self) -> usize {
        0
    }
}

#[derive(Default)]
struct Lines(Vec<Line>);

impl Surroundings for Lines {
    fn record(&mut self, line: Line) {
        self.0.push(line);
    }

    fn resolve(&mut self, _: Token, _: usize) -> Result<(), String> {
        Err("no name to resolve".into())
    }
}

/// One slot, a packet each 100 s: the first is due at once. Oversleeps in the wait for its echo (or for
/// the connection). What it recorded within 10 s.
fn run(connects: bool, oversleeps: Nanos) -> Vec<Line> {
    let remote: SocketAddr = "127.0.0.1:5003".parse().unwrap();
    let rate = tg_model::plan::Rate::PerConnection(0.01);
    let spec = PlanSpec { conns: 1, rate, reconnect: false, duration: None, ..PlanSpec::new([remote.into()]) };
    let share = Share { shard: 0, shards: 1, total: 1 };
    let (plan, destinations) = (Arc::new(Plan::try_from(spec).unwrap()), vec![Destination::Address(remote)]);
    let driver = Driver::new(Setup { plan, share, destinations, origin: Nanos::ZERO });
    let engine = Mute { now: Nanos::ZERO, connects, oversleeps: Nanos::ZERO, completions: VecDeque::new() };
    let mut pump = Pump::new(driver, engine);
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
        pump.wait(wake.at.min(now + MS(50)), Approach::ASLEEP, &mut lines).unwrap();
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
    assert!(response_timeout_at(&run(true, oversleeps)) >= oversleeps + RESPONSE_TIMEOUT);
    assert!(connect_timeout_at(&run(false, oversleeps)) >= oversleeps + CONNECT_TIMEOUT);
}

#[test]
fn a_short_stop_puts_nothing_off() {
    for oversleeps in [Nanos::ZERO, MS(400)] {
        assert_eq!(response_timeout_at(&run(true, oversleeps)), RESPONSE_TIMEOUT);
        assert_eq!(connect_timeout_at(&run(false, oversleeps)), CONNECT_TIMEOUT);
    }
}
