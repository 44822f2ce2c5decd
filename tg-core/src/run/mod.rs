//! Runs a plan on threads of its own, with real sockets, and writes its journal.
//!
//! ```no_run
//! use tg_core::run;
//! use tg_model::plan::{Plan, PlanSpec};
//!
//! let target = "127.0.0.1:5003".parse().map_err(std::io::Error::other)?;
//! let plan = Plan::try_from(PlanSpec { conns: 8, ..PlanSpec::new([target]) })?;
//! let handle = run::start(plan, run::Options::default())?;
//! println!("{} connections are up", handle.snapshot().active);
//! let outcome = handle.wait()?;
//! println!("{} connections were lost", outcome.summary.lost);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A run has no globals, catches no signals, prints nothing and needs no privileges.

mod approach;
mod crew;
mod error;
mod lines;
mod live;
mod orders;
mod prepare;
mod recorder;
mod resolver;
mod select;
mod shard;

pub use approach::WakeUp;
pub(crate) use approach::{NAPS_FROM_PAUSE, measure as measure_wake_up};
pub use error::{RunError, StartError};
pub use live::Snapshot;
pub use recorder::JournalFile;

use crate::record::{self, EngineFacts, Place};
use crate::sys::{clock, host};
use crew::{Crew, ShardSetup};
use crossbeam::channel::{self, Receiver, RecvTimeoutError, Sender};
use live::Live;
use orders::Orders;
use recorder::Recorder;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tg_model::journal::{Event, Header, Line, RunEvent};
use tg_model::plan::Plan;
use tg_model::summary::Summary;

/// How a run is recorded.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The command line, for the journal's header.
    pub command: Vec<String>,
    /// Where the journal goes; `None`: an unlinked temporary file.
    pub journal: Option<PathBuf>,
    /// File descriptors that this process will want besides the run's own: for servers of its own, say.
    pub other_descriptors: u64,
}

/// What a run gave.
#[derive(Debug)]
pub struct Outcome {
    /// What the journal adds up to.
    pub summary: Summary,
    /// Where and why the journal could not be written to its end. The summary is whole all the same.
    pub journal_error: Option<String>,
    /// The journal.
    pub journal: JournalFile,
}

/// A run under way. Dropping it ends the run at once.
#[derive(Debug)]
pub struct RunHandle {
    header: Header,
    live: Arc<Live>,
    orders: Arc<Orders>,
    recorder: Option<JoinHandle<Result<Outcome, RunError>>>,
    /// Disconnected once the recorder is through.
    over: Receiver<Infallible>,
}

/// A run whose engines stand and whose names are resolved, before its first attempt. Dropping it ends it.
#[derive(Debug)]
pub struct Prepared {
    plan: Arc<Plan>,
    command: Vec<String>,
    engine: select::Choice,
    note: Option<String>,
    live: Arc<Live>,
    orders: Arc<Orders>,
    crew: Crew,
    journal: JournalFile,
    resolved: Vec<RunEvent>,
}

/// Does what can fail, and what may take long, before a run's first attempt.
///
/// # Errors
/// The plan cannot be carried out here; [`StartError::is_usage`] tells whether the plan is to blame.
pub fn prepare(plan: Plan, options: Options) -> Result<Prepared, StartError> {
    let prepare::Prepared { destinations, resolved } = prepare::prepare(&plan, options.other_descriptors)?;
    let (engine, note) = select::select(plan.engine)?;
    let plan = Arc::new(plan);
    let live = Arc::new(Live::new(plan.threads as usize));
    let orders = Arc::new(Orders::new(plan.threads));
    let setup = ShardSetup { plan: plan.clone(), engine, destinations };
    let crew = Crew::start(&setup, &live, &orders)?;
    let journal = JournalFile::create(options.journal.as_deref())?;
    Ok(Prepared { plan, command: options.command, engine, note, live, orders, crew, journal, resolved })
}

/// [`prepare`] and [`Prepared::start`] in one.
///
/// # Errors
/// Those of either.
pub fn start(plan: Plan, options: Options) -> Result<RunHandle, StartError> {
    prepare(plan, options)?.start()
}

impl Prepared {
    /// Starts the run. Does not wait for the first attempts.
    ///
    /// # Errors
    /// The recorder's thread cannot be had.
    pub fn start(self) -> Result<RunHandle, StartError> {
        let Prepared { plan, command, engine, note, live, orders, crew, journal, resolved } = self;
        let (monotonic, realtime) = clock::both();
        let (machine, kernel, boot_id) = (host::name(), host::kernel(), host::boot_id());
        let place = Place { machine, kernel, boot_id, monotonic, realtime };
        let facts = EngineFacts { name: engine.name().to_owned(), note, approach: crew.approach };
        let header = record::header(&plan, command, facts, place);
        let resolved = resolved.into_iter().map(|event| Line::Event(Event { at_ns: 0, event })).collect();
        let recorder = Recorder::new(journal, header.clone(), crew, live.clone(), orders.clone());
        let (until_over, over) = channel::bounded(0);
        let record = move || {
            let _until_over: Sender<Infallible> = until_over;
            recorder.run(resolved)
        };
        let recorder = std::thread::Builder::new().name("tg-recorder".into()).spawn(record);
        let recorder = Some(recorder.map_err(StartError::Thread)?);
        Ok(RunHandle { header, live, orders, recorder, over })
    }
}

impl RunHandle {
    /// The journal's header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Figures of this moment; latency and lateness are those of the last second.
    pub fn snapshot(&self) -> Snapshot {
        self.live.snapshot(clock::monotonic().since(tg_model::time::Nanos(self.header.monotonic_ns)))
    }

    /// Ends the run in good order: sending stops, echoes still out are awaited.
    pub fn stop(&self) {
        self.orders.stop();
    }

    /// Ends the run at once.
    pub fn abort(&self) {
        self.orders.abort();
    }

    /// Waits for the run's end, at most so long. True where it is over.
    pub fn wait_for(&self, patience: Duration) -> bool {
        matches!(self.over.recv_timeout(patience), Err(RecvTimeoutError::Disconnected))
    }

    /// The run is over; [`RunHandle::wait`] will not block.
    pub fn is_finished(&self) -> bool {
        self.recorder.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the run's end.
    ///
    /// # Errors
    /// The engine failed, or a thread panicked; the journal holds what was recorded until then.
    pub fn wait(mut self) -> Result<Outcome, RunError> {
        let recorder = self.recorder.take().ok_or(RunError::Panicked)?;
        recorder.join().map_err(|_| RunError::Panicked)?
    }
}

impl Drop for RunHandle {
    fn drop(&mut self) {
        if let Some(recorder) = self.recorder.take() {
            self.orders.abort();
            // Its outcome is not asked for.
            drop(recorder.join());
        }
    }
}
