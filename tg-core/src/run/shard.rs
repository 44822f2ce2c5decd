//! One packet thread: drives the driver with a real engine, and hands out what it records. The packet
//! path takes no lock and allocates nothing.

use super::lines::Lines;
use super::live::Live;
use super::orders::Orders;
use super::resolver::Resolver;
use crate::driver::{Metrics, Wake};
use crate::engine::{Engine, Token};
use crate::pump::{Approach, Pump, Surroundings};
use crate::record::State;
use crate::sys::clock;
use crossbeam::channel::{Receiver, Sender};
use std::io;
use std::sync::Arc;
use tg_model::journal::{Event, Line, RunEvent, SlotTotals};
use tg_model::plan::{Plan, lull_ns};
use tg_model::time::Nanos;

/// How long an order to stop may go unheard.
const ORDERS_EVERY: Nanos = Nanos::from_millis(50);
/// While another thread's word is awaited: a resolver's, or that of the last shard to start.
const HURRY: Nanos = Nanos::from_millis(1);
const SAMPLE_EVERY: Nanos = Nanos::from_secs(1);

/// What a shard tells the recorder.
#[derive(Debug)]
pub(super) enum Report {
    /// An interval's figures.
    Interval { shard: usize, at: Nanos, state: State, metrics: Box<Metrics> },
    /// The shard is through.
    End(Box<ShardEnd>),
}

/// How a shard ended.
#[derive(Debug)]
pub(super) struct ShardEnd {
    pub shard: usize,
    pub state: State,
    pub metrics: Box<Metrics>,
    pub slots: Vec<SlotTotals>,
    pub cpu: Nanos,
    pub stopped: Nanos,
    pub ended: Nanos,
    pub error: Option<String>,
}

/// What a shard shares with other threads.
#[derive(Debug)]
pub(super) struct Links {
    pub shard: usize,
    pub live: Arc<Live>,
    pub orders: Arc<Orders>,
    pub lines: Arc<Lines>,
    pub report: Sender<Report>,
    pub fresh: Receiver<Box<Metrics>>,
}

/// A resolver, once one is needed, and the way to the recorder.
struct Around {
    plan: Arc<Plan>,
    lines: Arc<Lines>,
    resolver: Option<Resolver>,
}

impl Surroundings for Around {
    fn record(&mut self, line: Line) {
        self.lines.push(line);
    }

    fn resolve(&mut self, token: Token, target: usize) -> Result<(), String> {
        if self.resolver.is_none() {
            let started = Resolver::start(self.plan.clone(), self.plan.conns);
            self.resolver = Some(started.map_err(|e| format!("starting the resolver: {e}"))?);
        }
        let asked = self.resolver.as_mut().is_some_and(|r| r.ask(token, target));
        if asked { Ok(()) } else { Err("too many names wait for the resolver".to_owned()) }
    }
}

pub(super) struct Shard<E> {
    pump: Pump<E>,
    around: Around,
    links: Links,
    origin: Nanos,
    approach: Approach,
    /// Batched: after something came, what comes within so long is taken in together.
    lull: Nanos,
    /// Something came last time.
    came: bool,
    next_sample: Nanos,
    announced: bool,
    scheduled: bool,
    stopped: Option<Nanos>,
}

impl<E: Engine> Shard<E> {
    pub fn new(plan: Arc<Plan>, pump: Pump<E>, links: Links, origin: Nanos, approach: Approach) -> Shard<E> {
        Shard {
            pump,
            lull: Nanos(lull_ns(Nanos::from(plan.batch).0)),
            came: false,
            around: Around { plan, lines: links.lines.clone(), resolver: None },
            links,
            origin,
            approach,
            next_sample: origin + SAMPLE_EVERY,
            announced: false,
            scheduled: false,
            stopped: None,
        }
    }

    /// Runs to the plan's end, and reports.
    pub fn run(mut self) {
        let error = self.until_finished().err();
        if error.is_some() {
            // What is known of each connection is still recorded.
            let now = self.pump.engine.now();
            self.links.orders.abort();
            self.pump.driver.abort(now);
            self.pump.carry_out(now, &mut self.around);
            self.pump.take_completions(&mut self.around);
        }
        let ended = self.pump.engine.now();
        let end = ShardEnd {
            shard: self.links.shard,
            state: self.state(),
            metrics: self.pump.driver.swap_metrics(Box::default()),
            slots: self.pump.driver.slot_totals().collect(),
            cpu: clock::thread_cpu(),
            stopped: self.stopped.unwrap_or(ended),
            ended,
            error: error.map(|e| format!("engine {}: {e}", self.pump.engine.name())),
        };
        // The recorder outlives the shards; without it there is nobody to tell.
        let _ = self.links.report.send(Report::End(Box::new(end)));
    }

    fn until_finished(&mut self) -> io::Result<()> {
        loop {
            self.obey();
            let (now, wake) = self.pump.turn(&mut self.around)?;
            self.links.live.publish(self.links.shard, &self.state());
            if now >= self.next_sample {
                self.sample(now);
            }
            if self.pump.driver.is_stopping() && self.stopped.is_none() {
                self.stopped = Some(now);
                self.note(now, RunEvent::SendingStopped);
            }
            if self.pump.driver.is_finished() && self.pump.engine.closing() == 0 {
                return Ok(());
            }
            self.wait(now, wake)?;
        }
    }

    /// Does what other threads want: start the schedule, stop, take a resolved name.
    fn obey(&mut self) {
        let now = self.pump.engine.now();
        let driver = &mut self.pump.driver;
        let orders = &self.links.orders;
        let first_attempts_over = !self.announced && driver.first_attempts_over();
        let starts = first_attempts_over && orders.first_attempts_over(now);
        self.announced |= first_attempts_over;
        if self.announced
            && !self.scheduled
            && let Some(zero) = orders.zero()
        {
            driver.start_schedule(zero, now);
            self.scheduled = true;
        }
        if orders.is_aborted() {
            driver.abort(now);
        } else if orders.is_stopped() {
            driver.stop(now);
        }
        if starts {
            let zero_ns = self.links.orders.zero().unwrap_or(now).since(self.origin).0;
            self.note(now, RunEvent::ScheduleStart { zero_ns });
        }
        while let Some(answer) = self.around.resolver.as_mut().and_then(Resolver::answer) {
            self.pump.driver.resolved(answer.token, answer.outcome, now);
            if let Some(event) = answer.event {
                self.note(now, event);
            }
        }
    }

    fn wait(&mut self, now: Nanos, wake: Wake) -> io::Result<()> {
        let awaits_zero = !self.scheduled && self.pump.driver.first_attempts_over();
        let awaits_name = self.around.resolver.as_ref().is_some_and(Resolver::waiting);
        let patience = if awaits_zero || awaits_name { HURRY } else { ORDERS_EVERY };
        let until = wake.at.min(self.next_sample).min(now + patience);
        let approach = if wake.packet && until == wake.at { self.approach } else { Approach::ASLEEP };
        if self.came && self.scheduled && self.lull > Nanos::ZERO {
            self.pump.engine.linger(until.min(now + self.lull))?;
        }
        self.came = self.pump.wait(until, approach, &mut self.around)?;
        Ok(())
    }

    fn note(&self, now: Nanos, event: RunEvent) {
        self.links.lines.push(Line::Event(Event { at_ns: now.since(self.origin).0, event }));
    }

    fn state(&self) -> State {
        let (active, connecting, totals) = self.pump.driver.live();
        State { active, connecting, totals }
    }

    /// Hands the interval's histograms over, if there are empty ones to go on with: else the interval
    /// gets longer.
    fn sample(&mut self, now: Nanos) {
        while self.next_sample <= now {
            self.next_sample = self.next_sample + SAMPLE_EVERY;
        }
        if self.links.report.is_full() {
            return;
        }
        let Ok(fresh) = self.links.fresh.try_recv() else { return };
        let metrics = self.pump.driver.swap_metrics(fresh);
        let report = Report::Interval { shard: self.links.shard, at: now, state: self.state(), metrics };
        // Not full a moment ago, and other shards have room of their own: it is taken.
        let _ = self.links.report.try_send(report);
    }
}
