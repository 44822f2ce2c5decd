//! The driver keeps every slot of a shard connected and on schedule. It knows plan and engine, and no
//! IO: operations come out, completions and the time go in.
//!
//! Calling order: [`Driver::poll`] whenever the [`Wake`] that it gave has come, and after completions;
//! [`Driver::handle`] for each completion; after each of them the commands and lines that
//! [`Driver::commands`] and [`Driver::lines`] hold are taken out and carried out in order. Once
//! [`Driver::first_attempts_over`], [`Driver::start_schedule`]. [`Driver::is_finished`] ends it.

mod attempts;
mod deadlines;
mod endings;
mod errno;
mod interface;
mod metrics;
mod packets;
mod receiving;
mod slot;
mod timers;

pub use interface::{Command, Destination, Setup, Wake};
pub use metrics::Metrics;

use crate::connection::{Outstanding, Shared};
use crate::engine::{Completion, Event, Op, Token};
use crate::payload::Payload;
use crate::random::Random;
use crate::schedule::{Schedule, Share};
use slot::{Slot, State};
use std::collections::VecDeque;
use std::sync::Arc;
use tg_model::counts::Counts;
use tg_model::id::SlotId;
use tg_model::journal::{Closed, Line, SlotTotals, Totals};
use tg_model::plan::{Mode, Plan, Rate, Transport};
use tg_model::time::Nanos;
use timers::Timers;

/// Between two slots' first attempts, so that a server's accept queue is not filled in one go.
const STAGGER: Nanos = Nanos(20_000);
/// Deadlines looked at in one go: between them, what has come is taken in and what is due is sent.
const DEADLINES_AT_ONCE: usize = 64;
/// Room for commands at the start: all of it becomes resident. It grows where more packets are due at once.
const COMMANDS: u32 = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// First attempts are under way.
    Starting,
    /// Packets are intended until then.
    Running { end: Nanos },
    /// Sending has stopped; echoes still out are awaited.
    Draining,
    /// Every connection is closed.
    Finished,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Driver {
    plan: Arc<Plan>,
    share: Share,
    destinations: Vec<Destination>,
    origin: Nanos,
    payload: Payload,
    outstanding: Outstanding,
    /// Its room for each connection.
    places: u32,
    slots: Vec<Slot>,
    timers: Timers,
    schedule: Option<Schedule>,
    phase: Phase,
    /// Slots whose first attempt is not over.
    first_attempts_left: u32,
    /// Waiting times are counted from here at the earliest: see [`Driver::stood_still`].
    awake_since: Nanos,
    active: u32,
    connecting: u32,
    totals: Totals,
    metrics: Box<Metrics>,
    random: Random,
    /// Connections whose `Closed` event, with what the kernel knew, has not come yet.
    closing: VecDeque<(Token, Box<Closed>)>,
    commands: VecDeque<Command>,
    lines: VecDeque<Line>,
}

impl Driver {
    /// A driver whose slots make their first attempts from `setup.origin` on.
    pub fn new(setup: Setup) -> Driver {
        let Setup { plan, share, destinations, origin } = setup;
        let datagram = plan.transport == Transport::Udp;
        let gap = Nanos(Nanos::from(plan.ramp).0 / u64::from(plan.conns)).max(STAGGER);
        let turn = |local: u32| origin + Nanos(gap.0.saturating_mul(u64::from(share.global(local))));
        let slots: Vec<Slot> = (0..share.len()).map(|local| Slot::new(local, turn(local))).collect();
        let mut timers = Timers::new(share.len());
        (0..share.len()).for_each(|local| timers.arm(local, turn(local)));
        Driver {
            payload: Payload::new(plan.size, datagram, plan.seed),
            outstanding: Outstanding::new(share.len(), plan.places()),
            places: plan.places(),
            timers,
            schedule: None,
            phase: Phase::Starting,
            first_attempts_left: share.len(),
            awake_since: origin,
            active: 0,
            connecting: 0,
            totals: Totals::default(),
            metrics: Box::default(),
            random: Random::new(plan.seed ^ u64::from(share.shard)),
            closing: VecDeque::new(),
            commands: VecDeque::with_capacity(share.len().min(COMMANDS) as usize + 1),
            lines: VecDeque::new(),
            slots,
            plan,
            share,
            destinations,
            origin,
        }
    }

    /// What its packets are made of; engines send pieces of it.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// What is to be carried out, in order.
    pub fn commands(&mut self) -> &mut VecDeque<Command> {
        &mut self.commands
    }

    /// What is to be recorded, in order.
    pub fn lines(&mut self) -> &mut VecDeque<Line> {
        &mut self.lines
    }

    /// Every slot's first attempt has succeeded or failed.
    pub fn first_attempts_over(&self) -> bool {
        self.first_attempts_left == 0
    }

    /// Packets are intended from `zero` on.
    pub fn start_schedule(&mut self, zero: Nanos, now: Nanos) {
        if self.phase != Phase::Starting {
            return;
        }
        let end = self.plan.duration.map_or(Nanos::MAX, |d| zero + Nanos::from(d));
        self.phase = Phase::Running { end };
        match self.plan.total_rate() {
            Some(total) => {
                let rate = total / f64::from(self.plan.conns);
                self.schedule = Some(Schedule::new(zero, rate, self.plan.batch.into(), self.share));
            }
            None => (0..self.share.len()).for_each(|slot| self.send_unlimited(slot, now)),
        }
    }

    /// Does what is due at `now` and says when there is more.
    pub fn poll(&mut self, now: Nanos) -> Wake {
        for _ in 0..DEADLINES_AT_ONCE {
            let Some(slot) = self.timers.expired(now) else { break };
            self.slot_deadline(slot, now);
        }
        let mut wake = Wake { at: Nanos::MAX, packet: false };
        if let Phase::Running { end } = self.phase {
            self.send_due(now, end);
            if now >= end {
                self.stop(now);
            } else {
                let leaves = self.schedule.as_ref().map_or(Nanos::MAX, |s| s.leaves(s.peek().at));
                wake = Wake { at: leaves.min(end), packet: leaves < end };
            }
        }
        let timer = self.next_deadline(now, wake.at);
        if timer < wake.at { Wake { at: timer, packet: false } } else { wake }
    }

    /// Takes a completion. `bytes` are those of a [`Event::Received`].
    pub fn handle(&mut self, completion: Completion, bytes: &[u8]) {
        let Completion { token, at, event } = completion;
        if let Event::Closed { info } = event {
            return self.closed(token, info);
        }
        let slot = token.slot;
        if self.slots.get(slot as usize).is_none_or(|s| s.token != token) {
            return;
        }
        match event {
            Event::Connected { local } => self.connected(slot, local, at),
            Event::ConnectFailed { errno } => self.attempt_failed(slot, Some(errno), None, at),
            Event::Sent { whole } => self.sent(slot, whole, at),
            Event::SentRest => self.sent_rest(slot, at),
            Event::Unsent { errno } => self.unsent(slot, errno, at),
            Event::Received => self.receive(slot, at, bytes),
            Event::PeerClosed => self.peer_closed(slot, at),
            Event::Failed { errno } => self.failed(slot, errno, at),
            Event::Closed { .. } => {}
        }
    }

    /// Sending has stopped.
    pub fn is_stopping(&self) -> bool {
        matches!(self.phase, Phase::Draining | Phase::Finished)
    }

    /// Every connection is closed and recorded.
    pub fn is_finished(&self) -> bool {
        self.phase == Phase::Finished && self.closing.is_empty()
    }

    /// Slots with a connection, slots with an attempt under way, totals so far.
    pub fn live(&self) -> (u64, u64, Totals) {
        (u64::from(self.active), u64::from(self.connecting), self.totals)
    }

    /// The histograms since the last call; `fresh` (empty) takes their place.
    pub fn swap_metrics(&mut self, fresh: Box<Metrics>) -> Box<Metrics> {
        std::mem::replace(&mut self.metrics, fresh)
    }

    /// Each slot's totals.
    pub fn slot_totals(&self) -> impl Iterator<Item = SlotTotals> + '_ {
        let global = |local: usize| SlotId(self.share.global(local as u32));
        self.slots.iter().enumerate().map(move |(i, s)| SlotTotals { slot: global(i), totals: s.all_totals() })
    }

    fn rel(&self, at: Nanos) -> u64 {
        at.since(self.origin).0
    }

    fn transport(&self) -> Transport {
        self.plan.transport
    }

    fn is_unlimited(&self) -> bool {
        self.plan.rate == Rate::Unlimited
    }

    fn is_closed_loop(&self) -> bool {
        self.plan.mode == Mode::ClosedLoop
    }

    fn op(&mut self, op: Op) {
        self.commands.push_back(Command::Engine(op));
    }

    /// Counts something of a slot: for its connection or, where it has none, for itself; and for the run.
    fn count(&mut self, slot: u32, count: impl Fn(&mut Counts)) {
        let s = &mut self.slots[slot as usize];
        match &mut s.state {
            State::Up(connection) => count(&mut connection.counts),
            _ => count(&mut s.totals.counts),
        }
        count(&mut self.totals.counts);
    }

    /// Counts something of a slot's attempts and connections: for itself, and for the run.
    fn tally(&mut self, slot: u32, count: impl Fn(&mut Totals)) {
        count(&mut self.slots[slot as usize].totals);
        count(&mut self.totals);
    }

    fn shared(&mut self, slot: u32) -> (&mut Slot, Shared<'_>) {
        let shared = Shared { payload: &self.payload, outstanding: &mut self.outstanding, slot };
        (&mut self.slots[slot as usize], shared)
    }
}
