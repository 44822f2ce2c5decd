//! `capacity`: how many round trips each client makes when every echo is answered at once, and what one
//! costs. Changes when the comparison does.

mod client;
mod page;

use super::turn::{Turn, uring_refused};
use super::{Options, progress};
use crate::load::Load;
use crate::programs::Programs;
use crate::quiet::Diary;
use crate::report::Page;
use crate::report::series::Series;
use crate::tg::{Engine, micros};
use anyhow::Context;
use client::Client;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

/// Round trips/s in thousands, CPU of the client in µs a round trip, its peak memory in MiB.
pub const COLUMNS: [&str; 3] = ["1000/s", "CPU µs", "RSS MiB"];
const CONNS: u32 = 80;
const SIZE: u32 = 1024;

/// What clients need to be started.
pub struct Setting<'a> {
    programs: &'a Programs,
    load: Load,
    directory: &'a Path,
}

/// What one client gave over the rounds, against one server.
#[derive(Clone, Debug)]
pub struct Found {
    server: Engine,
    client: Client,
    series: Series,
    skipped: Option<String>,
    /// Where its count is not the server's, the last time.
    disputed: Option<String>,
}

/// Runs the suite.
///
/// # Errors
/// A client that can be had here fails.
pub fn run(options: &Options) -> anyhow::Result<Page> {
    let directory = tempfile::tempdir().context("making a directory for the clients' files")?;
    let load = Load { conns: CONNS, rate: f64::INFINITY, size: SIZE, seconds: options.seconds };
    let setting = Setting { programs: &options.programs, load, directory: directory.path() };
    let refused = uring_refused(&options.programs);
    let mut found = clients(refused.as_deref());
    let mut diary = options.diary();
    for round in 0..options.rounds {
        diary.await_quiet()?;
        for one in found.iter_mut().filter(|f| f.skipped.is_none()) {
            let name = format!("{} to {}", one.series.client, server_name(one.server));
            progress(round, options.rounds, &name);
            measure(&setting, &mut diary, one).with_context(|| name)?;
        }
    }
    Ok(page::make(options, &setting, &found, &diary))
}

fn clients(refused: Option<&str>) -> Vec<Found> {
    let servers = [Engine::Epoll, Engine::Uring];
    let pairs = servers.into_iter().flat_map(|server| Client::ALL.map(|client| (server, client)));
    pairs
        .map(|(server, client)| {
            let series = Series { client: client.name(), rounds: Vec::new() };
            let server_refused = if server == Engine::Uring { refused.map(str::to_owned) } else { None };
            let skipped = server_refused.or_else(|| client.unavailable(refused));
            Found { server, client, series, skipped, disputed: None }
        })
        .collect()
}

fn server_name(engine: Engine) -> String {
    format!("floor serve {engine}")
}

/// All are under way then, and none has ended.
fn judged(seconds: u32) -> Range<Duration> {
    let time = Duration::from_secs(seconds.into());
    Duration::from_millis(400) + time / 10..time - Duration::from_millis(50)
}

/// One run of one client.
fn measure(setting: &Setting, diary: &mut Diary, found: &mut Found) -> anyhow::Result<()> {
    let load = &setting.load;
    let turn = Turn {
        floor: &setting.programs.floor,
        server: found.server,
        span: judged(load.seconds),
        seconds: load.seconds,
        conns: load.conns,
        // All threads are busy: the scheduler keeps them apart itself, where there are as many cores.
        cores: None,
    };
    let taken = turn.take(diary, |server| found.client.command(setting, server))?;
    let said = found.client.said(load, &taken)?;
    let cpu = micros(taken.window.cpu_ns) / (said.rate * taken.window.seconds());
    let rss = taken.finished.peak_rss_kib as f64 / 1024.0;
    found.series.rounds.push(vec![said.rate / 1e3, cpu, rss]);
    if let Some(received) = said.received {
        let echoed = taken.served.bytes / u64::from(load.size);
        if received != echoed {
            found.disputed = Some(format!("{received} echoes, {echoed} by the server's count"));
        }
    }
    Ok(())
}
