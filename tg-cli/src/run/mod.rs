//! `run`: from the options to a report. Changes when the order of these steps does.

mod args;
mod embedded;
mod expect;
mod live;
mod plan;
mod signals;
mod source;

pub use args::{Format, RunArgs};
pub use expect::{Expectation, failures};
pub use signals::{Stop, StopSignals};

use crate::exit::Problem;
use crate::output;
use crate::report::{self, Kept};
use anyhow::Context;
use live::Display;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use tg_core::run::{self as core, Options, Outcome, RunHandle, StartError};
use tg_model::summary::RunEnding;

pub fn run(args: &RunArgs) -> Result<(), Problem> {
    if args.output.as_deref() == Some(Path::new("-")) {
        return Err(Problem::usage_words("--output -: stdout has the report; name a file for the journal"));
    }
    let mut signals = StopSignals::catch()?;
    let server = if args.addresses.is_empty() { Some(embedded::start(args)?) } else { None };
    let targets = server.as_ref().map_or_else(|| args.addresses.clone(), |s| vec![s.target()]);
    let plan = plan::plan(args, targets)?;
    let command = std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect();
    let other_descriptors = if server.is_some() { embedded::descriptors(&plan) } else { 0 };
    let options = Options { command, journal: args.output.clone(), other_descriptors };
    let prepared = core::prepare(plan, options).map_err(start_problem)?;
    // Not after the start: from its first attempt on a run is ended in good order.
    signals.prepared();
    let handle = prepared.start().map_err(start_problem)?;
    if let Some(note) = &handle.header().engine_note {
        output::stderr(&format!("note: engine {}: {note}", handle.header().engine));
    }
    watch(&handle, &mut signals, Display::new(args.monitor));
    let outcome = handle.wait().map_err(Problem::failed)?;
    drop(server);
    signals.ended();
    finish(args, outcome)
}

fn start_problem(error: StartError) -> Problem {
    if error.is_usage() { Problem::usage(error) } else { Problem::failed(error) }
}

/// Until the run is over. Sleeps as long as there is nothing to show and no signal: whatever wakes up beside the
/// packet threads may delay a packet.
fn watch(handle: &RunHandle, signals: &mut StopSignals, display: Display) {
    let display = Mutex::new(display);
    let closer = signals.handle();
    let shown = || display.lock().unwrap_or_else(PoisonError::into_inner);
    let obey = || {
        while let Some(stop) = signals.wait() {
            match stop {
                Stop::InOrder => {
                    handle.stop();
                    let mut display = shown();
                    display.erase();
                    output::stderr("Stopping: echoes still out are awaited. Once more to stop at once.");
                }
                Stop::AtOnce => handle.abort(),
            }
        }
    };
    std::thread::scope(|scope| {
        if let Err(e) = std::thread::Builder::new().name("tg-signals".into()).spawn_scoped(scope, obey) {
            // Better none than one that could only be killed, and would tell nothing.
            handle.stop();
            output::stderr(&format!("error: starting the thread that waits for signals: {e}; the run is stopped"));
        }
        loop {
            let patience = shown().tick(|| handle.snapshot());
            if handle.wait_for(patience) {
                break;
            }
        }
        closer.close();
    });
    shown().erase();
}

/// The report, whatever else there is to complain about; then that.
fn finish(args: &RunArgs, mut outcome: Outcome) -> Result<(), Problem> {
    let summary = &outcome.summary;
    // A journal that lacks lines is nothing to look into.
    let kept = args.output.as_deref().filter(|_| outcome.journal_error.is_none()).map_or(Kept::Not, Kept::At);
    let shown = match args.format {
        Format::Text => output::stdout(report::text(summary, &kept).as_bytes()),
        Format::Json => output::stdout(&report::json(summary)),
        Format::Ctraffic => ctraffic(&mut outcome),
    };
    let summary = &outcome.summary;
    let mut failed = false;
    if let Some(error) = &outcome.journal_error {
        let path = args.output.as_deref().map_or("(temporary)".into(), |p| p.to_string_lossy());
        let report = match args.format {
            Format::Text | Format::Json => "the report is whole all the same",
            Format::Ctraffic => "ctraffic's statistics are made from it, and lack what it lacks",
        };
        output::stderr(&format!(
            "error: writing the journal {path}: {error}; {report}. Make room there, or choose another place with \
             --output (without it: TMPDIR)"
        ));
        failed = true;
    }
    if summary.ending == RunEnding::Failed {
        let why = summary.error.as_deref().unwrap_or("the engine failed");
        output::stderr(&format!("error: the run ended early: {why}"));
        failed = true;
    }
    let expectations = expect::failures(&args.expectations, summary);
    shown?;
    match (failed, expectations.is_empty()) {
        (false, true) => Ok(()),
        (false, false) => Err(Problem::Expectations(expectations)),
        (true, _) => {
            expectations.iter().for_each(|e| output::stderr(e));
            Err(Problem::Told)
        }
    }
}

fn ctraffic(outcome: &mut Outcome) -> Result<(), Problem> {
    let journal = outcome.journal.reader().context("reading the journal back")?;
    report::ctraffic_of_journal(journal).map_err(|problem| match problem {
        Problem::Failed(error) => Problem::Failed(error.context("reading the journal back")),
        other => other,
    })
}
