//! The pump, with an engine whose time is made up: how it waits.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod approach;
mod stood_still;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tg_core::driver::{Destination, Driver, Setup};
use tg_core::engine::{Completion, Engine, Event, Op, Token};
use tg_core::pump::{Pump, Surroundings};
use tg_core::schedule::Share;
use tg_model::journal::Line;
use tg_model::plan::{Plan, PlanSpec};
use tg_model::time::Nanos;

const MS: fn(u64) -> Nanos = Nanos::from_millis;

/// Connects where it is to, sends everything, hears nothing, and oversleeps once when told to.
struct Mute {
    now: Nanos,
    connects: bool,
    oversleeps: Nanos,
    completions: VecDeque<Completion>,
    /// What it was asked to wait for: until when, and awake for how long before.
    waits: Vec<(Nanos, Nanos)>,
}

impl Mute {
    fn new(connects: bool) -> Mute {
        Mute { now: Nanos::ZERO, connects, oversleeps: Nanos::ZERO, completions: VecDeque::new(), waits: Vec::new() }
    }
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

    fn wait(&mut self, until: Nanos, spin: Nanos) -> io::Result<()> {
        self.waits.push((until, spin));
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

/// A pump with one slot, a packet each 100 s; nothing is lost and made anew.
fn pump(engine: Mute) -> Pump<Mute> {
    let remote: SocketAddr = "127.0.0.1:5003".parse().unwrap();
    let rate = tg_model::plan::Rate::PerConnection(0.01);
    let spec = PlanSpec { conns: 1, rate, reconnect: false, duration: None, ..PlanSpec::new([remote.into()]) };
    let share = Share { shard: 0, shards: 1, total: 1 };
    let (plan, destinations) = (Arc::new(Plan::try_from(spec).unwrap()), vec![Destination::Address(remote)]);
    Pump::new(Driver::new(Setup { plan, share, destinations, origin: Nanos::ZERO }), engine)
}
