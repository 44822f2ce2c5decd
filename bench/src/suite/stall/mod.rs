//! `stall`: a server that stands still once, and what its clients tell of it. Changes when the stall does.

mod client;
mod facts;
mod page;

use super::turn::uring_refused;
use super::{GRACE, Options, progress};
use crate::echo::Echo;
use crate::load::Load;
use crate::process::Running;
use crate::quiet::{Diary, Watch};
use crate::report::Page;
use crate::report::series::Series;
use crate::server::free_address;
use crate::tg::{Journal, Summary};
use anyhow::Context;
use client::Client;
use facts::Stall;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Latency and service time in ms, and packets that were due but dropped.
pub const COLUMNS: [&str; 8] = ["p50", "p90", "p99", "p99.9", "max", "svc p99.9", "svc max", "dropped"];
const STALL: Duration = Duration::from_millis(500);
/// The stall begins after this share of the load's time.
const BEGIN: f64 = 0.3;

/// What one client gave over the rounds.
#[derive(Clone, Debug)]
pub struct Found {
    client: Client,
    series: Series,
    skipped: Option<String>,
    /// Facts that do not hold, the last time that any did not.
    wrong: Vec<String>,
}

/// Runs the suite.
///
/// # Errors
/// A client that can be had here fails.
pub fn run(options: &Options) -> anyhow::Result<Page> {
    let directory = tempfile::tempdir().context("making a directory for the clients' files")?;
    let load = Load { conns: 80, rate: 50.0, size: 1024, seconds: options.seconds };
    let refused = uring_refused(&options.programs);
    let found = |client: Client| {
        let series = Series { client: client.name(), rounds: Vec::new() };
        Found { client, series, skipped: client.unavailable(refused.as_deref()), wrong: Vec::new() }
    };
    let mut found: Vec<Found> = Client::ALL.into_iter().map(found).collect();
    let mut diary = options.diary();
    for round in 0..options.rounds {
        diary.await_quiet()?;
        for one in found.iter_mut().filter(|f| f.skipped.is_none()) {
            let name = one.client.name();
            progress(round, options.rounds, &name);
            measure(options, load, directory.path(), &mut diary, one).with_context(|| name)?;
        }
    }
    Ok(page::make(options, &Stall { load, time: STALL }, &found, &diary))
}

/// One run of one client, with one stall.
fn measure(
    options: &Options,
    load: Load,
    directory: &Path,
    diary: &mut Diary,
    found: &mut Found,
) -> anyhow::Result<()> {
    let watch = Watch::start(Duration::ZERO)?;
    let address = free_address()?;
    let echo = Echo::start(address)?;
    let running = Running::start(&mut found.client.command(&options.programs, &load, address, directory)?)?;
    for _ in 0..load.conns {
        anyhow::ensure!(echo.accepted(GRACE), "it did not come to have {} connections", load.conns);
    }
    thread::sleep(Duration::from_secs(load.seconds.into()).mul_f64(BEGIN));
    let time = echo.stall(STALL)?;
    let finished = running.finish(Duration::from_secs(load.seconds.into()) + GRACE)?;
    drop(echo);
    diary.note(watch.foreign(Duration::ZERO)?);
    found.series.rounds.push(found.client.figures(&finished.stdout)?);
    if let Client::Tg { closed_loop, .. } = found.client {
        let summary = Summary::parse(&finished.stdout)?;
        let journal = Journal::open(&directory.join("run.jsonl"))?;
        let wrong = facts::failures(&Stall { load, time }, closed_loop, &summary, &journal);
        if !wrong.is_empty() {
            found.wrong = wrong;
        }
    }
    Ok(())
}
