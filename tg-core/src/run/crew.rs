//! The packet threads of a run: started together, so that a plan that cannot be carried out fails before
//! the first attempt.

use super::approach;
use super::error::StartError;
use super::lines::Lines;
use super::live::Live;
use super::orders::Orders;
use super::select::Choice;
use super::shard::{self, Links, Report};
use crate::driver::{Destination, Driver, Metrics, Setup};
use crate::engine::{Engine, epoll, uring};
use crate::pump::{Approach, Pump};
use crate::schedule::Share;
use crate::sys::thread;
use crossbeam::channel::{self, Receiver, Sender};
use std::sync::Arc;
use std::thread::JoinHandle;
use tg_model::plan::{Plan, Transport};
use tg_model::time::Nanos;

/// What all shards are made from.
#[derive(Clone, Debug)]
pub(super) struct ShardSetup {
    pub plan: Arc<Plan>,
    pub engine: Choice,
    pub destinations: Vec<Destination>,
}

/// Reports that may wait: one interval a shard is usual.
const REPORTS_A_SHARD: usize = 4;

/// Packet threads whose engines stand, waiting for the word to go.
#[derive(Debug)]
pub(super) struct Crew {
    /// How they get to the time when a packet is due: the longest nap and the longest window of any.
    pub approach: Approach,
    /// What they report.
    pub reports: Receiver<Report>,
    /// What they record.
    pub lines: Arc<Lines>,
    /// Takes emptied histograms back to each.
    pub fresh: Vec<Sender<Box<Metrics>>>,
    go: Vec<Sender<Nanos>>,
    threads: Vec<JoinHandle<()>>,
}

impl Crew {
    /// Starts the threads and waits until each has its engine.
    pub fn start(setup: &ShardSetup, live: &Arc<Live>, orders: &Arc<Orders>) -> Result<Crew, StartError> {
        let shards = setup.plan.threads;
        let (report, reports) = channel::bounded(shards as usize * REPORTS_A_SHARD);
        let lines = Arc::new(Lines::default());
        let mut crew = Crew { approach: Approach::ASLEEP, reports, lines, fresh: vec![], go: vec![], threads: vec![] };
        for shard in 0..shards {
            let (go, gone) = channel::bounded(1);
            let (spare, fresh) = channel::bounded(2);
            let (stands, stood) = channel::bounded(1);
            // One in use by the shard, one to swap with.
            let _ = spare.send(Box::default());
            let links = Links {
                shard: shard as usize,
                live: live.clone(),
                orders: orders.clone(),
                lines: crew.lines.clone(),
                report: report.clone(),
                fresh,
            };
            let setup = setup.clone();
            let share = Share { shard, shards, total: setup.plan.conns };
            let body = move || shard_thread(&setup, share, links, &stands, &gone);
            let thread = std::thread::Builder::new().name(format!("tg-shard-{shard}")).spawn(body);
            crew.threads.push(thread.map_err(StartError::Thread)?);
            crew.go.push(go);
            crew.fresh.push(spare);
            let lost = || StartError::Thread(std::io::Error::other("it ended before it had begun"));
            let Approach { nap, spin } = stood.recv().unwrap_or_else(|_| Err(lost()))?;
            crew.approach = Approach { nap: crew.approach.nap.max(nap), spin: crew.approach.spin.max(spin) };
        }
        Ok(crew)
    }

    /// The run starts now: `origin` is its start on the monotonic clock.
    pub fn go(&mut self, origin: Nanos) {
        for go in self.go.drain(..) {
            // A thread that is gone shows when it is joined.
            let _ = go.send(origin);
        }
    }

    /// Waits until every thread has ended. False where one panicked.
    pub fn join(&mut self) -> bool {
        let mut whole = true;
        for thread in self.threads.drain(..) {
            whole &= thread.join().is_ok();
        }
        whole
    }
}

fn shard_thread(
    setup: &ShardSetup,
    share: Share,
    links: Links,
    stands: &Sender<Result<Approach, StartError>>,
    gone: &Receiver<Nanos>,
) {
    thread::set_timer_slack_1ns();
    if approach::is_timed(&setup.plan) {
        thread::set_short_slice();
    }
    if setup.plan.realtime
        && let Err(e) = thread::set_realtime()
    {
        let _ = stands.send(Err(StartError::Realtime(e)));
        return;
    }
    let plan = &setup.plan;
    let payload = crate::payload::Payload::new(plan.size, plan.transport == Transport::Udp, plan.seed).bytes();
    let slots = share.len() as usize;
    let failed = |engine, why: String| StartError::Engine { engine, why };
    match setup.engine {
        Choice::Epoll => match epoll::Epoll::new(slots, payload) {
            Ok(engine) => stand(setup, share, links, (stands, gone), engine),
            Err(e) => drop(stands.send(Err(failed("epoll", e.to_string())))),
        },
        Choice::Uring => {
            let (packet_size, datagram) = (plan.size as usize, plan.transport == Transport::Udp);
            match uring::UringEngine::new(uring::Config { slots, payload, packet_size, datagram }) {
                Ok(engine) => stand(setup, share, links, (stands, gone), engine),
                Err(e) => drop(stands.send(Err(failed("uring", e.to_string())))),
            }
        }
    }
}

/// Chooses how it gets to a packet, says that the shard stands, waits for the word, and runs.
fn stand<E: Engine>(
    setup: &ShardSetup,
    share: Share,
    links: Links,
    (stands, gone): (&Sender<Result<Approach, StartError>>, &Receiver<Nanos>),
    mut engine: E,
) {
    let approach = approach::choose(&setup.plan, share, &mut engine);
    let _ = stands.send(Ok(approach));
    let Ok(origin) = gone.recv() else { return };
    let plan = setup.plan.clone();
    let driver = Driver::new(Setup { plan, share, destinations: setup.destinations.clone(), origin });
    shard::Shard::new(setup.plan.clone(), Pump::new(driver, engine), links, origin, approach).run();
}
