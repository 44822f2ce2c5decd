//! The lab as a whole: from a plan to the journals of what happened. Changes when the order of its phases does.
//!
//! ```text
//! pods start ─▶ traffic ─▶ settle ─▶ upgrade … complete, and the last old pod gone ─▶ settle ─▶ traffic ends
//! ```
//!
//! ```no_run
//! use tg_lab::lab::{self, Options};
//! use tg_model::lab_plan::{LabPlan, LabSpec};
//!
//! let plan = LabPlan::try_from(LabSpec { replicas: 4, conns: 16, ..LabSpec::default() })?;
//! let outcome = lab::run(&plan, Options::new("target/debug/tg-cli"))?;
//! println!("{} connections were lost", outcome.summary.lost);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | what it is | |
//! |---|---|---|
//! | [`ground`] | what the lab asks of what gives pods a place and balances traffic to them | |
//! | [`cluster`] | obeys the Deployment, runs the pods, tells balancer and journal | |
//! | [`kubelet`] | what becomes of pods, and when | pure |
//! | [`process`] | a pod's process | |
//! | [`traffic`] | the run of tg-core | |
//! | [`faults`] | what goes wrong on purpose | |
//! | [`journal`], [`truth`], [`folder`] | the files | |
//! | [`names`] | pods' names | pure |

mod cluster;
mod error;
mod faults;
mod folder;
mod ground;
mod journal;
mod kubelet;
mod names;
mod process;
mod progress;
mod traffic;
mod truth;

pub use error::LabError;
pub use ground::{Enter, Ground, NetworkFault, PodHome, PodPlace, SERVICE_PORT};
pub use journal::{CLUSTER, PLAN, RUN, TRUTH, node_file};
pub use progress::{Phase, PodProgress, Progress};
pub use truth::{Truth, TruthLine};

use crate::director::namespaces::{self, Namespaces};
use crate::director::userspace::Userspace;
use cluster::Cluster;
use faults::Faults;
use folder::Folder;
use journal::Journals;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tg_core::run::RunHandle;
use tg_core::sys::{clock, limits};
use tg_model::lab_plan::{DirectorKind, LabPlan};
use tg_model::plan::Plan;
use tg_model::summary::{RunEnding, Summary};
use tg_model::time::Nanos;

/// How often the progress is told, and a stop looked for.
const TICK: Duration = Duration::from_millis(100);
/// So long nothing may happen where something must: as `progressDeadlineSeconds` of a Deployment.
const DEADLINE: Duration = Duration::from_secs(600);
/// So long all connections may take to be there.
const CONNECT_DEADLINE: Duration = Duration::from_secs(60);

/// How a lab is run.
pub struct Options {
    /// The program `tg-cli`, which the pods run.
    pub program: PathBuf,
    /// Where the files go: a folder that is empty or not there; `None`: a temporary one, removed with the outcome.
    pub output: Option<PathBuf>,
    /// The command line, for the journals' headers.
    pub command: Vec<String>,
    /// A connection whose echo is out longer is lost.
    pub response_timeout: Duration,
    /// Set from outside, it ends the lab early and in good order.
    pub stop: Arc<AtomicBool>,
    /// Is told how it goes, ten times a second.
    pub watch: Box<dyn FnMut(&Progress) + Send>,
}

impl Options {
    /// Nothing is kept, nobody watches.
    pub fn new(program: impl Into<PathBuf>) -> Options {
        Options {
            program: program.into(),
            output: None,
            command: Vec::new(),
            response_timeout: Duration::from_secs(1),
            stop: Arc::default(),
            watch: Box::new(|_| {}),
        }
    }
}

/// What a lab gave.
#[derive(Debug)]
pub struct Outcome {
    /// Of the traffic.
    pub summary: Summary,
    /// The upgrade was broken off: by a stop, or by the end of the traffic.
    pub interrupted: bool,
    /// Where and why the run's journal could not be written to its end.
    pub journal_error: Option<String>,
    /// What should be known of how it was run.
    pub notes: Vec<String>,
    folder: Folder,
}

impl Outcome {
    /// The folder with its files; a temporary one goes with this.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder stays.
    pub fn is_kept(&self) -> bool {
        self.folder.is_kept()
    }
}

/// What this machine lacks for a plan, each with what to do; empty: nothing.
pub fn missing(plan: &LabPlan, program: &Path, command: &[String]) -> Vec<String> {
    let mut missing = namespaces::lacks(plan.director, program, command);
    if !program.is_file() {
        missing.push(format!("the program {}, which pods run: build tg-cli, or give its path", program.display()));
    }
    let need = descriptors(plan);
    match limits::raise_descriptors(need + limits::open_descriptors()) {
        Ok(have) if have >= need => {}
        Ok(have) => missing.push(format!("{need} file descriptors, of which {have} may be had: `ulimit -n {need}`")),
        Err(e) => missing.push(format!("{need} file descriptors: {e}")),
    }
    missing
}

/// Of the proxy, of the pods' output, of the files; the traffic's own come beside.
fn descriptors(plan: &LabPlan) -> u64 {
    let pods = u64::from(plan.replicas) * 2 + u64::from(plan.surge());
    // Three sockets a connection: the client's, and both of the proxy. Lost ones may linger beside new ones.
    u64::from(plan.conns) * 6 + pods * 4 + u64::from(plan.nodes) + 64
}

/// Runs a lab: makes everything, carries the plan out, takes everything down.
///
/// # Errors
/// The plan cannot be carried out here ([`LabError::is_usage`]; [`LabError::Missing`] says what is missing), or
/// something failed on the way. Nothing is left behind then either, but for the files in `output`.
pub fn run(plan: &LabPlan, options: Options) -> Result<Outcome, LabError> {
    let Options { program, output, command, response_timeout, stop, watch } = options;
    let lacks = missing(plan, &program, &command);
    if !lacks.is_empty() {
        return Err(LabError::Missing(lacks));
    }
    let folder = Folder::open(output.as_deref())?;
    let ground = ground_for(plan, folder.path(), &program, &command)?;
    let notes = ground.notes();
    let vips = ground.vips();
    let journals = Journals::create(folder.path(), plan, names::DEPLOYMENT, &vips, &command)?;
    let mut cluster = Cluster::new(plan, program, ground, journals)?;
    let traffic = traffic::plan(plan, &vips, response_timeout)?;
    let folder_path = folder.path().to_owned();
    let mut lab = Lab { plan, traffic, stop, watch, command, folder: folder_path, phase: Phase::Starting };
    let carried_out = lab.carry_out(&mut cluster);
    let finished = cluster.finish();
    let (handle, interrupted) = carried_out?;
    let ran = handle.map(|h| h.wait().map_err(|e| LabError::Failed(e.to_string()))).transpose()?;
    finished?;
    let Some(ran) = ran else {
        return Err(LabError::Failed("stopped before there was traffic: there is nothing to report".into()));
    };
    if ran.summary.ending == RunEnding::Failed {
        let why = ran.summary.error.unwrap_or_default();
        return Err(LabError::Failed(format!("the traffic ended early: {why}")));
    }
    Ok(Outcome { summary: ran.summary, interrupted, journal_error: ran.journal_error, notes, folder })
}

fn ground_for(plan: &LabPlan, folder: &Path, program: &Path, command: &[String]) -> Result<Box<dyn Ground>, LabError> {
    match plan.director {
        DirectorKind::Userspace => Ok(Box::new(Userspace::start(plan, folder, command)?)),
        DirectorKind::Nft | DirectorKind::Ipvs => Ok(Box::new(Namespaces::start(plan, folder, Some(program))?)),
    }
}

/// A lab under way.
struct Lab<'a> {
    plan: &'a LabPlan,
    traffic: Plan,
    stop: Arc<AtomicBool>,
    watch: Box<dyn FnMut(&Progress) + Send>,
    command: Vec<String>,
    folder: PathBuf,
    phase: Phase,
}

/// The traffic and what goes wrong beside it.
struct Under {
    handle: RunHandle,
    faults: Faults,
}

impl Lab<'_> {
    /// All phases; the traffic, ended but for its outcome, and whether it was broken off.
    fn carry_out(&mut self, cluster: &mut Cluster) -> Result<(Option<RunHandle>, bool), LabError> {
        let replicas = self.plan.replicas;
        if !self.until(cluster, None, Ends::Deadline(DEADLINE), &|c, _| c.ready() >= replicas)? {
            return Ok((None, true));
        }
        let enter = cluster.ground.client()?;
        let others = descriptors(self.plan);
        let handle = traffic::start(self.traffic.clone(), enter, &self.folder.join(RUN), others, &self.command)?;
        let start = Nanos(handle.header().monotonic_ns);
        let mut under = Under { handle, faults: Faults::new(&self.plan.faults, start, self.plan.seed) };
        let whole = self.under_traffic(cluster, &mut under, start)?;
        self.phase = Phase::Ending;
        under.handle.stop();
        while !under.handle.is_finished() {
            self.step(cluster, Some(&mut under), None)?;
        }
        Ok((Some(under.handle), !whole))
    }

    /// From the first connection to the end of the last phase; false where it was broken off.
    fn under_traffic(&mut self, cluster: &mut Cluster, under: &mut Under, start: Nanos) -> Result<bool, LabError> {
        let settle = Nanos::from(self.plan.settle);
        let conns = u64::from(self.plan.conns);
        self.phase = Phase::Settling;
        let all_there =
            |_: &Cluster, h: Option<&RunHandle>| h.is_some_and(|h| h.snapshot().totals.established >= conns);
        if !self.until(cluster, Some(under), Ends::Deadline(CONNECT_DEADLINE), &all_there)?
            || !self.until(cluster, Some(under), Ends::At(start + settle), &|_, _| false)?
        {
            return Ok(false);
        }
        self.phase = Phase::Upgrading;
        let now = clock::monotonic();
        cluster.upgrade(now)?;
        under.faults.upgrade(now);
        if !self.until(cluster, Some(under), Ends::Deadline(DEADLINE), &|c, _| c.is_upgraded())? {
            return Ok(false);
        }
        self.phase = Phase::SettlingAgain;
        self.until(cluster, Some(under), Ends::At(clock::monotonic() + settle), &|_, _| false)
    }

    /// Goes on until it is so; false where the lab was stopped, or the traffic ended.
    fn until(
        &mut self,
        cluster: &mut Cluster,
        mut under: Option<&mut Under>,
        ends: Ends,
        is_so: &dyn Fn(&Cluster, Option<&RunHandle>) -> bool,
    ) -> Result<bool, LabError> {
        let entered = clock::monotonic();
        let limit = match ends {
            Ends::At(at) => at,
            Ends::Deadline(span) => entered + span.into(),
        };
        loop {
            let handle = under.as_ref().map(|u| &u.handle);
            if is_so(cluster, handle) {
                return Ok(true);
            }
            if self.stop.load(Ordering::SeqCst) || handle.is_some_and(RunHandle::is_finished) {
                return Ok(false);
            }
            if clock::monotonic() >= limit {
                return match ends {
                    Ends::At(_) => Ok(true),
                    Ends::Deadline(span) => Err(LabError::Failed(format!(
                        "{} took longer than {} s: {}",
                        self.phase.name(),
                        span.as_secs(),
                        self.state(cluster, handle).summary(),
                    ))),
                };
            }
            self.step(cluster, under.as_deref_mut(), Some(limit))?;
        }
    }

    /// Does what is due, tells how it goes, waits for what comes next.
    fn step(
        &mut self,
        cluster: &mut Cluster,
        mut under: Option<&mut Under>,
        limit: Option<Nanos>,
    ) -> Result<(), LabError> {
        let now = clock::monotonic();
        if let Some(under) = &mut under {
            under.faults.advance(now, cluster)?;
        }
        cluster.advance(now)?;
        let state = self.state(cluster, under.as_ref().map(|u| &u.handle));
        (self.watch)(&state);
        let faults = under.and_then(|u| u.faults.wake_at());
        let next = [cluster.wake_at(now), faults, limit].into_iter().flatten().min();
        cluster.wait(next.unwrap_or(Nanos::MAX).min(now + TICK.into()))
    }

    fn state(&self, cluster: &mut Cluster, handle: Option<&RunHandle>) -> Progress {
        Progress::new(self.phase, cluster, handle.map(RunHandle::snapshot))
    }
}

/// What ends a phase besides its condition.
#[derive(Clone, Copy)]
enum Ends {
    /// Time: that is its end.
    At(Nanos),
    /// Time: that is an error.
    Deadline(Duration),
}
