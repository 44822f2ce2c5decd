//! The lab as a whole: from a plan to the journals of what happened. Changes when what an embedder asks for does.
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
//! | `ground` | what the lab asks of what gives pods a place and balances traffic to them | |
//! | `phases` | the phases above | |
//! | `cluster` | obeys the Deployment, runs the pods, tells balancer and journal | |
//! | `kubelet` | what becomes of pods, and when | pure |
//! | `monitor` | which nodes are ready | pure |
//! | `member`, `process` | a pod, and its process | |
//! | `traffic` | the run of tg-core | |
//! | `faults` | what goes wrong on purpose | |
//! | `journal`, `truth`, `folder` | the files | |
//! | `names` | pods' names | pure |

mod cluster;
mod error;
mod faults;
mod folder;
mod ground;
mod journal;
mod kubelet;
mod member;
mod monitor;
mod names;
mod phases;
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
use folder::Folder;
use journal::Journals;
use phases::Lab;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tg_core::sys::limits;
use tg_model::lab_plan::{DirectorKind, LabPlan};
use tg_model::summary::{RunEnding, Summary};

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
    /// What could not be ended, or written, in order: an observer that died, say.
    pub end_error: Option<String>,
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
    let mut notes = ground.notes();
    let vips = ground.vips();
    let journals = Journals::create(folder.path(), plan, names::DEPLOYMENT, &vips, &command)?;
    let mut cluster = Cluster::new(plan, program, ground, journals)?;
    let traffic = traffic::plan(plan, &vips, response_timeout)?;
    let folder_path = folder.path().to_owned();
    let mut lab =
        Lab { plan, traffic, stop, watch, command, folder: folder_path, phase: Phase::Starting, notes: Vec::new() };
    let carried_out = lab.carry_out(&mut cluster);
    let finished = cluster.finish();
    let (handle, interrupted) = carried_out?;
    let ran = handle.map(|h| h.wait().map_err(|e| LabError::Failed(e.to_string()))).transpose()?;
    let Some(ran) = ran else {
        finished?;
        return Err(LabError::Failed("stopped before there was traffic: there is nothing to report".into()));
    };
    if ran.summary.ending == RunEnding::Failed {
        let why = ran.summary.error.unwrap_or_default();
        return Err(LabError::Failed(format!("the traffic ended early: {why}")));
    }
    notes.extend(lab.notes);
    let end_error = finished.err().map(|e| e.to_string());
    Ok(Outcome { summary: ran.summary, interrupted, journal_error: ran.journal_error, end_error, notes, folder })
}

fn ground_for(plan: &LabPlan, folder: &Path, program: &Path, command: &[String]) -> Result<Box<dyn Ground>, LabError> {
    match plan.director {
        DirectorKind::Userspace => Ok(Box::new(Userspace::start(plan, folder, command)?)),
        DirectorKind::Nft | DirectorKind::Ipvs => Ok(Box::new(Namespaces::start(plan, folder, Some(program))?)),
    }
}
