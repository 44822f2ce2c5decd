//! A whole run on simulated time: the driver, the simulated engine, and the lines that a real run would
//! write. For tests of the core, and of anything that reads journals.

use crate::driver::{Destination, Driver, Metrics, Setup};
use crate::engine::simulated::{PeerCounts, Script, Simulated};
use crate::engine::{Engine, Token};
use crate::pump::{Approach, Pump, Surroundings};
use crate::record::{self, EngineFacts, Place, State};
use crate::schedule::Share;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tg_model::journal::{Ending, Event, Header, Line, RunEvent};
use tg_model::plan::{Host, Plan};
use tg_model::time::Nanos;

/// What a simulated run gave.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The journal's first line.
    pub header: Header,
    /// The others.
    pub lines: Vec<Line>,
    /// What the peers counted, on their own.
    pub peers: PeerCounts,
}

/// When the simulated clock starts: not 0, so that times and spans cannot be taken for each other.
pub const START: Nanos = Nanos::from_secs(1000);
const SECOND: Nanos = Nanos::from_secs(1);

/// Runs `plan` against peers that follow `script`. Names resolve to 127.0.0.1, where they do. Without a
/// duration it runs for ten seconds. `stop_at`: stops in good order so long after the start.
///
/// # Errors
/// The simulation came to a halt: the driver waits for something that will never happen.
pub fn run(plan: &Plan, script: Script, stop_at: Option<Nanos>) -> io::Result<Outcome> {
    let share = Share { shard: 0, shards: 1, total: plan.conns };
    let destinations = plan.targets.iter().map(|t| match &t.host {
        Host::Ip(ip) => Destination::Address(SocketAddr::new(*ip, t.port)),
        Host::Name(_) => Destination::Name(0),
    });
    let setup = Setup { plan: Arc::new(plan.clone()), share, destinations: destinations.collect(), origin: START };
    let driver = Driver::new(setup);
    let engine = Simulated::new(plan.conns, START, driver.payload().clone(), script);
    let place = Place { monotonic: START, ..Place::default() };
    let facts = EngineFacts { name: engine.name().to_owned(), ..EngineFacts::default() };
    let header = record::header(plan, Vec::new(), facts, place);
    let limit = if plan.duration.is_none() { Some(Nanos::from_secs(10)) } else { None };
    let stop_at = stop_at.or(limit).map(|span| START + span);
    let mut run = Run { pump: Pump::new(driver, engine), around: Around::default(), zero: None, sampled: START };
    let stopped = run.until_finished(stop_at)?;
    let ending = if stopped { Ending::Stopped } else { Ending::Planned };
    run.finish(plan, ending);
    Ok(Outcome { header, lines: run.around.lines, peers: run.pump.engine.peer_counts() })
}

/// Keeps the lines, and what the resolver is asked.
#[derive(Default)]
struct Around {
    lines: Vec<Line>,
    asked: Vec<Token>,
    /// What it will say, and when.
    answers: Vec<(Nanos, Token, Result<SocketAddr, String>)>,
}

impl Surroundings for Around {
    fn record(&mut self, line: Line) {
        self.lines.push(line);
    }

    fn resolve(&mut self, token: Token, _target: usize) -> Result<(), String> {
        self.asked.push(token);
        Ok(())
    }
}

struct Run {
    pump: Pump<Simulated>,
    around: Around,
    zero: Option<Nanos>,
    sampled: Nanos,
}

impl Run {
    /// Drives to the end; true where it was stopped before the plan's.
    fn until_finished(&mut self, stop_at: Option<Nanos>) -> io::Result<bool> {
        let mut stop_at = stop_at;
        let mut stopped = false;
        while !self.pump.driver.is_finished() {
            let now = self.pump.engine.now();
            if stop_at.is_some_and(|at| at <= now) {
                self.pump.driver.stop(now);
                stopped |= stop_at.take().is_some();
            }
            let resolver = self.resolve(now);
            if self.zero.is_none() && self.pump.driver.first_attempts_over() {
                self.zero = Some(now);
                self.pump.driver.start_schedule(now, now);
                let event = RunEvent::ScheduleStart { zero_ns: now.since(START).0 };
                self.around.record(Line::Event(Event { at_ns: now.since(START).0, event }));
            }
            self.pump.carry_out(now, &mut self.around);
            let (now, wake) = self.pump.turn(&mut self.around)?;
            let next_sample = self.sampled + SECOND;
            if now >= next_sample {
                self.sample(now);
            }
            let next = wake.at.min(stop_at.unwrap_or(Nanos::MAX)).min(resolver);
            let schedule_starts = self.zero.is_none() && self.pump.driver.first_attempts_over();
            let until = match next {
                _ if schedule_starts || !self.around.asked.is_empty() || self.pump.driver.is_finished() => now,
                // Samples alone would go on for ever.
                Nanos::MAX if self.pump.engine.is_idle() => Nanos::MAX,
                next => next.min(next_sample),
            };
            self.pump.wait(until, Approach::ASLEEP, &mut self.around)?;
        }
        Ok(stopped)
    }

    /// Asks the resolver and hands out what it says by `now`. Gives when it says more.
    fn resolve(&mut self, now: Nanos) -> Nanos {
        for token in std::mem::take(&mut self.around.asked) {
            let (at, answer) = self.pump.engine.resolve();
            self.around.answers.push((at, token, answer));
        }
        let (over, later) = std::mem::take(&mut self.around.answers).into_iter().partition(|(at, ..)| *at <= now);
        self.around.answers = later;
        for (_, token, answer) in Vec::from_iter(over) {
            self.pump.driver.resolved(token, answer, now);
        }
        self.around.answers.iter().map(|(at, ..)| *at).min().unwrap_or(Nanos::MAX)
    }

    fn state(&self) -> State {
        let (active, connecting, totals) = self.pump.driver.live();
        State { active, connecting, totals }
    }

    fn sample(&mut self, now: Nanos) {
        let mut metrics = self.pump.driver.swap_metrics(Box::<Metrics>::default());
        metrics.settle();
        let (since, at) = (self.sampled.since(START).0, now.since(START).0);
        let sample = record::sample(since, at, Nanos(at), &self.state(), &metrics);
        self.around.lines.push(Line::Sample(Box::new(sample)));
        self.sampled = now;
    }

    fn finish(&mut self, plan: &Plan, ending: Ending) {
        let now = self.pump.engine.now();
        // What was asked for in the last turn is counted, too.
        self.resolve(now);
        self.sample(now);
        self.around.lines.extend(self.pump.driver.slot_totals().map(Line::Slot));
        let zero_ns = self.zero.map(|z| z.since(START).0);
        let planned = zero_ns.zip(plan.duration).map(|(zero, d)| zero + Nanos::from(d).0);
        let ended_ns = now.since(START).0;
        let end = record::End {
            ending,
            error: None,
            zero_ns,
            stopped_ns: planned.unwrap_or(ended_ns).min(ended_ns),
            ended_ns,
            records_lost: 0,
            cpu: Nanos::ZERO,
        };
        self.around.lines.push(record::footer(end, self.state().totals));
    }
}
