//! The lab's traffic: a run of tg-core where the client is. Changes when what is run does.

use super::error::LabError;
use super::ground::Enter;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tg_core::run::{self, Options, RunHandle, StartError};
use tg_model::lab_plan::LabPlan;
use tg_model::plan::{Backoff, Plan, PlanSpec, Rate, Spin};

/// After a failed attempt: soon, so that the outage is the service's and not the client's; but no hammering.
const BACKOFF: Backoff = Backoff { min: Duration::from_millis(10), max: Duration::from_millis(100) };

/// The run that a lab makes; it ends when it is stopped.
///
/// # Errors
/// The lab's numbers are more than a run can have.
pub fn plan(lab: &LabPlan, vips: &[SocketAddr], response_timeout: Duration) -> Result<Plan, LabError> {
    let spec = PlanSpec {
        transport: lab.transport,
        conns: lab.conns,
        rate: Rate::PerConnection(lab.rate),
        duration: None,
        response_timeout,
        backoff: BACKOFF,
        spin: spin(),
        seed: lab.seed,
        ..PlanSpec::new(vips.iter().map(|a| (*a).into()))
    };
    Plan::try_from(spec).map_err(|e| LabError::Usage(e.to_string()))
}

/// Where there is one processor, waiting awake would keep the pods from answering.
fn spin() -> Spin {
    match std::thread::available_parallelism() {
        Ok(processors) if processors.get() == 1 => Spin::WindowNs(0),
        _ => Spin::Auto,
    }
}

/// Starts it on a thread that first goes where the client is: the run's threads inherit that.
///
/// # Errors
/// The thread cannot get there, or the run cannot start.
pub fn start(plan: Plan, enter: Enter, journal: &Path, others: u64, command: &[String]) -> Result<RunHandle, LabError> {
    let options = Options { command: command.to_vec(), journal: Some(journal.to_owned()), other_descriptors: others };
    let body = move || {
        enter()?;
        run::start(plan, options).map_err(problem)
    };
    let thread = std::thread::Builder::new().name("tg-client".into()).spawn(body);
    let thread = thread.map_err(LabError::io("starting the client's thread"))?;
    thread.join().unwrap_or_else(|_| Err(LabError::Failed("the client's thread panicked: a defect of tg".into())))
}

fn problem(error: StartError) -> LabError {
    if error.is_usage() { LabError::Usage(error.to_string()) } else { LabError::Failed(error.to_string()) }
}
