//! `accuracy`: how exactly each client keeps its times, seen on the wire, and what that costs. Changes when
//! the comparison does.

mod client;
mod page;
mod targets;

use super::{GRACE, Options, progress};
use crate::capture::{Capture, pacing};
use crate::load::Load;
use crate::peers::Peer;
use crate::process::{Running, in_time};
use crate::quiet::{Diary, Watch};
use crate::report::Page;
use crate::report::series::Series;
use crate::server::{self, Server};
use crate::stats::quantile;
use crate::tg::{Agreement, Engine, Journal, Summary, micros};
use anyhow::{Context, ensure};
use client::{Client, Setting};
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

/// |interval − period| in µs, CPU in µs/packet, memory in MiB, and the most packets in any 1 ms.
pub const COLUMNS: [&str; 8] = ["p50", "p90", "p99", "p99.9", "max", "CPU", "RSS", "in 1ms"];
const CROWD_NS: u64 = 1_000_000;

/// What one client gave over the rounds.
#[derive(Clone, Debug)]
pub struct Found {
    client: Client,
    series: Series,
    /// tg only.
    agreements: Vec<Agreement>,
    /// Why tg's word could not be held against the wire's, the last time that it could not.
    disputed: Option<String>,
    skipped: Option<String>,
    /// Packets sent, as a share of what was asked for: the one farthest from 1.
    load: f64,
}

/// Runs the suite.
///
/// # Errors
/// A client that can be had here fails, or nothing can be captured.
pub fn run(options: &Options, realtime: bool) -> anyhow::Result<Page> {
    let address = server::free_address()?;
    let config = server::Config { tg_cli: options.programs.tg_cli.clone(), address, drain: "close" };
    let server = Server::start(&config)?;
    let directory = tempfile::tempdir().context("making a directory for the clients' files")?;
    let load = Load { conns: 80, rate: 5.0, size: 1024, seconds: options.seconds };
    let mut setting = Setting {
        programs: &options.programs,
        load,
        server: address,
        realtime,
        directory: directory.path(),
        approaches: [None; 2],
    };
    let mut found = clients(&setting)?;
    let mut diary = options.diary();
    for round in 0..options.rounds {
        diary.await_quiet()?;
        for one in found.iter_mut().filter(|f| f.skipped.is_none()) {
            progress(round, options.rounds, &one.series.client);
            let name = one.series.client.clone();
            in_time(|| measure(&mut setting, &server, &mut diary, one)).with_context(|| name)?;
        }
    }
    server.end()?;
    Ok(page::make(&setting, options.rounds, &found, &diary))
}

fn clients(setting: &Setting) -> anyhow::Result<Vec<Found>> {
    let own = [Engine::Epoll, Engine::Uring].into_iter().flat_map(|e| [Client::Tg(e), Client::Floor(e)]);
    // What peers do is compared without privileges.
    let peers = Peer::ALL.into_iter().filter(|_| !setting.realtime).map(Client::Peer);
    own.chain(peers)
        .map(|client| {
            let series = Series { client: client.name(), rounds: Vec::new() };
            let skipped = client.unavailable(setting.programs, setting.server)?;
            Ok(Found { client, series, agreements: Vec::new(), disputed: None, skipped, load: 1.0 })
        })
        .collect()
}

/// The part of a client's run that is judged: all are under way then, and none has ended. Two periods at
/// least, so that a run of one second has intervals, too.
fn judged(load: &Load, lead: Duration) -> Range<Duration> {
    let share = |part: f64| Duration::from_secs(1).mul_f64(f64::from(load.seconds) * part);
    lead + Duration::from_millis(300) + share(0.1)..lead + share(0.9) - Duration::from_millis(100)
}

/// One run of one client.
fn measure(setting: &mut Setting, server: &Server, diary: &mut Diary, found: &mut Found) -> anyhow::Result<()> {
    let load = setting.load;
    let seconds = found.client.seconds(load.seconds);
    let mut prepared = setting.prepare(found.client)?;
    let server_cpu = || server.cpu_ns().map(Duration::from_nanos);
    let watch = Watch::start(server_cpu()?)?;
    let capture = Capture::start(&filter(&prepared.ports))?;
    let mut running = Running::start(&mut prepared.command)?;
    let window = running.window(judged(&Load { seconds, ..load }, prepared.lead))?;
    let finished = running.finish(Duration::from_secs(seconds.into()) + GRACE)?;
    let segments = capture.finish()?;
    drop(prepared.server);
    diary.note(watch.foreign(server_cpu()?)?);

    let sends = pacing::sends(&segments, &prepared.ports, load.size);
    let deviations = pacing::deviations(&sends, load.period_ns(), &window.realtime_ns);
    let packets = pacing::count(&sends, &window.realtime_ns);
    ensure!(!deviations.is_empty(), "the capture has no two packets of one connection");
    let at = |q| quantile(&deviations, q).map_or(f64::NAN, micros);
    let cpu = micros(window.cpu_ns) / packets as f64;
    let rss = finished.peak_rss_kib as f64 / 1024.0;
    let crowd = pacing::most_within(&sends, CROWD_NS, &window.realtime_ns) as f64;
    found.series.rounds.push(vec![at(0.5), at(0.9), at(0.99), at(0.999), at(1.0), cpu, rss, crowd]);

    let share = packets as f64 / (load.total_rate() * window.seconds());
    if (share - 1.0).abs() > (found.load - 1.0).abs() {
        found.load = share;
    }
    if let Client::Tg(engine) = found.client {
        let journal = Journal::open(&setting.journal())?;
        *setting.approach_of(engine) = Some(journal.approach);
        let on_wire = journal.lateness_on_wire(&sends)?;
        match Agreement::of(&Summary::parse(&finished.stdout)?, &on_wire) {
            Ok(agreement) => found.agreements.push(agreement),
            Err(why) => found.disputed = Some(why.to_string()),
        }
    }
    Ok(())
}

/// Of tcpdump: what goes to the server.
fn filter(ports: &RangeInclusive<u16>) -> String {
    format!("tcp dst portrange {}-{}", ports.start(), ports.end())
}
