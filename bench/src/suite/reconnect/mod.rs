//! `reconnect`: how long a client goes without a connection that its server ended, seen on the wire. Changes
//! when the comparison does.

mod client;
mod page;

use super::{GRACE, Options, progress};
use crate::capture::Capture;
use crate::capture::endings::{How, Recovery, reactions, recovery};
use crate::echo::Echo;
use crate::process::{Running, realtime_ns};
use crate::quiet::Watch;
use crate::report::Page;
use crate::report::series::Series;
use crate::server::{self, Server};
use crate::stats::quantile;
use anyhow::{Context, ensure};
use client::Client;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

/// One connection: from the server's RST or FIN to the client's next SYN, ms.
pub const ONE: [&str; 7] = ["ends", "RST p50", "RST p99", "RST max", "FIN p50", "FIN p99", "FIN max"];
/// Many at once: from the first end, and from the server's return, to the last connection's return, ms.
pub const MANY: [&str; 5] = ["ends", "end→all p50", "end→all max", "return→all p50", "return→all max"];
const CONNS: u32 = 80;

/// Clients connect, and settle.
const SETTLE: Duration = Duration::from_millis(700);
/// From one end of the server to its next.
const CYCLE: Duration = Duration::from_secs(1);
/// A connection that is up is ended this long after at the earliest, and `SPREAD` later at the latest:
/// all moments between two packets come up.
const UP_AT_LEAST: Duration = Duration::from_millis(20);
const SPREAD: Duration = Duration::from_millis(200);

/// What one client gave over the rounds.
#[derive(Clone, Debug)]
pub struct Found {
    client: Client,
    one: Series,
    many: Series,
    skipped: Option<String>,
    /// Times that the server was ended and not all connections came back, of all times.
    incomplete: (usize, usize),
}

/// Runs the suite.
///
/// # Errors
/// A client that can be had here fails, or nothing can be captured.
pub fn run(options: &Options) -> anyhow::Result<Page> {
    let address = server::free_address()?;
    let mut found = clients(options, address)?;
    let mut diary = options.diary();
    for round in 0..options.rounds {
        diary.await_quiet()?;
        for one in found.iter_mut().filter(|f| f.skipped.is_none()) {
            let name = one.client.name();
            progress(round, options.rounds, &name);
            let watch = Watch::start(Duration::ZERO)?;
            let figures = one_connection(options, one.client, address).with_context(|| format!("{name}, one"))?;
            one.one.rounds.push(figures);
            let recoveries = many_connections(options, one.client, address).with_context(|| format!("{name}, many"))?;
            one.add(&recoveries);
            diary.note(watch.foreign(Duration::ZERO)?);
        }
    }
    Ok(page::make(options, &found, &diary))
}

fn clients(options: &Options, address: SocketAddr) -> anyhow::Result<Vec<Found>> {
    let _echo = Echo::start(address)?;
    let found = Client::ALL.into_iter().map(|client| {
        let series = Series { client: client.name(), rounds: Vec::new() };
        let skipped = client.unavailable(&options.programs, address)?;
        Ok(Found { client, one: series.clone(), many: series, skipped, incomplete: (0, 0) })
    });
    found.collect()
}

/// Of tcpdump: what begins and ends connections.
fn filter(address: SocketAddr) -> String {
    format!("tcp port {} and tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) != 0", address.port())
}

/// One connection, ended again and again, by RST and FIN in turn.
fn one_connection(options: &Options, client: Client, address: SocketAddr) -> anyhow::Result<Vec<f64>> {
    let echo = Echo::start(address)?;
    let capture = Capture::start(&filter(address))?;
    let seconds = options.seconds + client.idle_at_end_s();
    let running = Running::start(&mut client.command(&options.programs, address, 1, seconds)?)?;
    let until = Instant::now() + Duration::from_secs(options.seconds.into());
    end_in_turn(&echo, until, client.ends_at_most());
    running.finish(Duration::from_secs(client.idle_at_end_s().into()) + GRACE)?;
    let reactions = reactions(&capture.finish()?, address.port());
    ensure!(!reactions.is_empty(), "it never connected again");
    let mut figures = vec![reactions.len() as f64];
    for how in [How::Reset, How::Close] {
        let mut ns: Vec<u64> = reactions.iter().filter(|(h, _)| *h == how).map(|(_, ns)| *ns).collect();
        ns.sort_unstable();
        figures.extend([0.5, 0.99, 1.0].map(|q| quantile(&ns, q).map_or(f64::NAN, millis)));
    }
    Ok(figures)
}

/// Until then, but so often at most.
fn end_in_turn(echo: &Echo, until: Instant, ends_at_most: u32) {
    let left = || until.saturating_duration_since(Instant::now());
    let mut ends = 0u32;
    while echo.accepted(left()) {
        if ends == ends_at_most {
            thread::sleep(left());
            return;
        }
        // Multiples of the golden ratio, without their whole part, fill the range evenly.
        let part = (f64::from(ends) * 0.618_033_988_75).fract();
        let pause = UP_AT_LEAST + SPREAD.mul_f64(part);
        if pause >= left() {
            return;
        }
        thread::sleep(pause);
        echo.end(if ends.is_multiple_of(2) { How::Reset } else { How::Close });
        ends += 1;
    }
}

/// Many connections, whose server is ended and started again at once, by both drains in turn.
fn many_connections(options: &Options, client: Client, address: SocketAddr) -> anyhow::Result<Vec<Recovery>> {
    let drains = ["close", "reset"];
    let tg_cli = &options.programs.tg_cli;
    let config = |turn: usize| server::Config { tg_cli: tg_cli.clone(), address, drain: drains[turn % drains.len()] };
    let ends = options.seconds.div_ceil(2).max(1);
    let seconds = ends + 1 + client.idle_at_end_s();
    let mut server = Server::start(&config(0))?;
    let capture = Capture::start(&filter(address))?;
    let running = Running::start(&mut client.command(&options.programs, address, CONNS, seconds)?)?;
    thread::sleep(SETTLE);
    let mut windows = Vec::new();
    for turn in 1..=ends as usize {
        let (began, began_ns) = (Instant::now(), realtime_ns());
        server.end()?;
        server = Server::start(&config(turn))?;
        // The last run's end must not fall into it.
        thread::sleep(CYCLE.saturating_sub(began.elapsed()));
        windows.push(began_ns..realtime_ns());
    }
    running.finish(Duration::from_secs(seconds.into()) + GRACE)?;
    server.end()?;
    let segments = capture.finish()?;
    Ok(windows.iter().map(|window| recovery(&segments, address.port(), window)).collect())
}

impl Found {
    fn add(&mut self, recoveries: &[Recovery]) {
        let complete: Vec<&[u64]> = recoveries
            .iter()
            .filter(|r| r.ended == CONNS as usize && r.back_ns.len() == CONNS as usize)
            .map(|r| r.back_ns.as_slice())
            .collect();
        self.incomplete.0 += recoveries.len() - complete.len();
        self.incomplete.1 += recoveries.len();
        let of = |value: fn(&[u64]) -> u64| {
            let mut ns: Vec<u64> = complete.iter().map(|back_ns| value(back_ns)).collect();
            ns.sort_unstable();
            [0.5, 1.0].map(|q| quantile(&ns, q).map_or(f64::NAN, millis))
        };
        let [end_p50, end_max] = of(last);
        let [return_p50, return_max] = of(|back_ns| last(back_ns) - back_ns.first().copied().unwrap_or_default());
        self.many.rounds.push(vec![recoveries.len() as f64, end_p50, end_max, return_p50, return_max]);
    }
}

fn last(back_ns: &[u64]) -> u64 {
    back_ns.last().copied().unwrap_or_default()
}

/// Nanoseconds in ms.
fn millis(ns: u64) -> f64 {
    ns as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_recoveries_have_figures() {
        let name = Series { client: "x".into(), rounds: Vec::new() };
        let mut found =
            Found { client: Client::Floor, one: name.clone(), many: name, skipped: None, incomplete: (0, 0) };
        let back_ns = |first: u64| (0..80).map(|i| first + i * 100_000).collect::<Vec<u64>>();
        let whole = |first| Recovery { ended: 80, back_ns: back_ns(first) };
        let part = Recovery { ended: 80, back_ns: vec![99_000_000; 79] };
        found.add(&[whole(2_000_000), part, whole(5_000_000), whole(3_000_000)]);
        assert_eq!(found.many.rounds, [[4.0, 10.9, 12.9, 7.9, 7.9]]);
        assert_eq!(found.incomplete, (1, 4));
    }
}
