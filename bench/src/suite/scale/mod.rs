//! `scale`: what many connections do to precision, cost and memory. Changes when the loads do.

mod client;
mod limit;
mod page;
mod picture;
mod wire;

use super::turn::{Turn, uring_refused};
use super::{Options, progress};
use crate::cores::Cores;
use crate::floor::Approach;
use crate::load::Load;
use crate::programs::Programs;
use crate::quiet::Diary;
use crate::report::Page;
use crate::report::series::Series;
use crate::tg::{self, Engine};
use anyhow::Context;
use client::{BATCH, Client, Figures, Who};
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Lateness in µs, packets without an echo, CPU in µs/packet, memory in MiB.
pub const MANY: [&str; 6] = ["late p50", "p99", "max", "missing", "CPU", "RSS"];
/// Failures; connects in ms; lateness in µs; CPU in µs/packet; memory in MiB, and bytes a connection more
/// than with the fewest.
pub const SIZES: [&str; 8] = ["failed", "conn p50", "p99", "late p50", "late p99", "CPU", "RSS", "B/conn"];
const SIZE: u32 = 1024;
/// From a client's start until all of its connections are there.
const CONNECT_EACH: Duration = Duration::from_micros(100);

/// The loads.
#[derive(Clone, Debug)]
pub struct Loads {
    /// Many packets.
    pub many: Load,
    /// The same packets/s over ever more connections; the first one is what memory is compared with.
    pub growth: Vec<Load>,
    /// As many connections as may be had.
    pub limit: Load,
    /// What limits them.
    pub limited_by: String,
}

impl Loads {
    fn of(options: &Options) -> anyhow::Result<Loads> {
        let (most, limited_by) = limit::connections()?;
        let seconds = options.seconds;
        let (many, total, counts): (u32, f64, [u32; 3]) =
            if options.smoke { (100, 500.0, [20, 100, 500]) } else { (1000, 10_000.0, [100, 1000, 10_000]) };
        let load = |conns, rate| Load { conns, rate, size: SIZE, seconds };
        let growth = counts.into_iter().filter(|conns| *conns <= most);
        let growth = growth.map(|conns| load(conns, total / f64::from(conns))).collect();
        let most = if options.smoke { most.min(1000) } else { most };
        Ok(Loads { many: load(many.min(most), 50.0), growth, limit: load(most, 1.0), limited_by })
    }

    /// Those that are compared by size.
    fn sizes(&self) -> impl Iterator<Item = &Load> {
        self.growth.iter().chain([&self.limit])
    }
}

/// What clients need to be started.
pub struct Setting<'a> {
    programs: &'a Programs,
    directory: &'a Path,
    /// Who runs where.
    cores: Option<Cores>,
    /// What tg chose last for each load; the floors' too.
    approaches: HashMap<String, Approach>,
}

impl Setting<'_> {
    /// Where tg leaves its journal.
    fn journal(&self) -> PathBuf {
        self.directory.join("run.jsonl")
    }
}

/// What one client gave over the rounds.
#[derive(Clone, Debug)]
pub struct Found {
    client: Client,
    many: Series,
    /// A series for each size; none where packets leave in batches.
    sizes: Vec<Series>,
    skipped: Option<String>,
    /// Turns that came to nothing, and why.
    broken: Vec<String>,
}

/// Runs the suite.
///
/// # Errors
/// The machine cannot be asked what it has.
pub fn run(options: &Options) -> anyhow::Result<Page> {
    let directory = tempfile::tempdir().context("making a directory for the clients' files")?;
    let mut setting = Setting {
        programs: &options.programs,
        directory: directory.path(),
        cores: Cores::apart()?,
        approaches: HashMap::new(),
    };
    let loads = Loads::of(options)?;
    let mut found = clients(options, &loads)?;
    let mut diary = options.diary();
    for round in 0..options.rounds {
        diary.await_quiet()?;
        for one in found.iter_mut().filter(|f| f.skipped.is_none()) {
            progress(round, options.rounds, &format!("{}, {}", one.client.name(), loads.many));
            if let Some(figures) = one.keep(turn(&mut setting, &mut diary, one.client, &loads.many)) {
                one.add_many(&figures);
            }
        }
        for one in found.iter_mut().filter(|f| f.skipped.is_none() && !f.sizes.is_empty()) {
            let mut least = None;
            for (index, load) in loads.sizes().enumerate() {
                progress(round, options.rounds, &format!("{}, {load}", one.client.name()));
                let outcome = turn(&mut setting, &mut diary, one.client, load);
                let Some(figures) = one.keep(outcome) else { continue };
                let least = *least.get_or_insert((load.conns, figures.rss_kib));
                one.sizes[index].rounds.push(by_size(load.conns, &figures, least));
            }
        }
    }
    let wire = wire::compare(&setting, &mut diary, &loads.many, &found);
    Ok(page::make(options, &loads, &found, &wire, setting.cores.is_some(), &diary))
}

fn clients(options: &Options, loads: &Loads) -> anyhow::Result<Vec<Found>> {
    let refused = uring_refused(&options.programs);
    let knows_batch = tg::knows(&options.programs.tg_cli, "--batch")?;
    let found = |client: Client| {
        let series = Series { client: client.name(), rounds: Vec::new() };
        let sizes = if client.batch { Vec::new() } else { loads.sizes().map(|_| series.clone()).collect() };
        let no_batch = client.who == Who::Tg && client.batch && !knows_batch;
        let no_batch = no_batch.then(|| format!("this `tg-cli run` does not know `--batch {BATCH}`"));
        let no_uring = if client.engine == Engine::Uring { refused.clone() } else { None };
        Found { client, many: series, sizes, skipped: no_uring.or(no_batch), broken: Vec::new() }
    };
    Ok(Client::all().into_iter().map(found).collect())
}

/// One run of one client. The server is the epoll one, the cheaper one.
fn turn(setting: &mut Setting, diary: &mut Diary, client: Client, load: &Load) -> anyhow::Result<Figures> {
    let turn = Turn {
        floor: &setting.programs.floor,
        server: Engine::Epoll,
        span: judged(load),
        seconds: load.seconds,
        conns: load.conns,
        cores: setting.cores,
    };
    let taken = turn.take(diary, |server| Ok(client.command(setting, load, server)));
    let taken = taken.and_then(|taken| client.figures(setting, load, &taken));
    taken.with_context(|| format!("{}, {load}", client.name()))
}

/// All are connected and under way then, and none has ended.
fn judged(load: &Load) -> Range<Duration> {
    let end = Duration::from_secs(load.seconds.into());
    let begin = Duration::from_millis(500) + CONNECT_EACH * load.conns;
    begin.min(end.mul_f64(0.7))..end
}

fn by_size(conns: u32, figures: &Figures, (fewest, least_kib): (u32, u64)) -> Vec<f64> {
    let [connect_p50, connect_p99] = figures.connect_us.map(|us| us / 1e3);
    let [late_p50, late_p99, _] = figures.late_us;
    let rss_kib = figures.rss_kib as f64;
    // Not a number for the fewest themselves.
    let each = (rss_kib - least_kib as f64) * 1024.0 / f64::from(conns - fewest);
    let failures = figures.failures as f64;
    vec![failures, connect_p50, connect_p99, late_p50, late_p99, figures.cpu_us, rss_kib / 1024.0, each]
}

impl Found {
    /// One size too many for a client does not take the others from it.
    fn keep(&mut self, outcome: anyhow::Result<Figures>) -> Option<Figures> {
        outcome.map_err(|why| self.broken.push(format!("{why:#}"))).ok()
    }

    fn add_many(&mut self, figures: &Figures) {
        let [p50, p99, max] = figures.late_us;
        let rss = figures.rss_kib as f64 / 1024.0;
        let missing = (figures.missing + figures.failures) as f64;
        self.many.rounds.push(vec![p50, p99, max, missing, figures.cpu_us, rss]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_by_what_connections_added() {
        let figures = Figures {
            failures: 2,
            missing: 0,
            connect_us: [100.0, 2000.0],
            late_us: [5.0, 50.0, 500.0],
            cpu_us: 30.0,
            rss_kib: 24_096,
        };
        let row = by_size(10_000, &figures, (100, 4096));
        assert_eq!(row[..5], [2.0, 0.1, 2.0, 5.0, 50.0]);
        assert!((row[7] - 20_000.0 * 1024.0 / 9900.0).abs() < 1e-6);
        assert!(by_size(100, &figures, (100, 24_096))[7].is_nan());
    }

    #[test]
    fn the_time_judged_is_never_empty() {
        for (conns, seconds) in [(1, 1), (100, 1), (10_000, 6), (19_900, 6), (19_900, 1)] {
            let span = judged(&Load { conns, rate: 1.0, size: 64, seconds });
            assert!(span.end - span.start >= Duration::from_millis(300), "{span:?}");
        }
    }
}
