//! What is measured of an observer, each part on its own. Changes when one of them does.

use super::{Client, PORT, RATE};
use crate::floor::{self, Server};
use crate::observer::{self, Figures, Observer};
use crate::process::Running;
use crate::suite::{GRACE, Options};
use crate::tg::{self, Engine};
use anyhow::{Context, ensure};
use serde::Deserialize;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

/// Connects where programs' run times are measured.
const MEASURED: u64 = 20_000;
/// Events of one that is refused: the SYN is dropped, a reset is sent and received, and the client's state changes
/// twice. By name of the program.
pub const REFUSED: [(&str, u64); 4] = [("drop", 1), ("receive-reset", 1), ("send-reset", 1), ("tcp-state", 2)];
const FLOOD: u64 = 200_000;
/// The seed's load.
const CONNS: u32 = 80;
const PACKETS: f64 = 5.0;
/// The observer reads the programs' figures at each tick of half a second.
const TICK: Duration = Duration::from_millis(600);

/// What the churning floor says.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Churned {
    connects: u64,
    seconds: f64,
    cpu_ns: u64,
    resets_sent: u64,
    attempts_failed: u64,
}

impl Churned {
    fn per_second(&self) -> f64 {
        self.connects as f64 / self.seconds
    }

    fn cpu_us(&self) -> f64 {
        self.cpu_ns as f64 / 1e3 / self.connects as f64
    }
}

fn churn(options: &Options, kind: &str, until: (&str, u64), rate: Option<u32>) -> anyhow::Result<Churned> {
    let mut command = Command::new(&options.programs.floor);
    command.args(["churn", kind, &PORT.to_string(), until.0, &until.1.to_string()]);
    command.args(rate.map(|r| r.to_string()));
    let limit = Duration::from_secs(u64::from(options.seconds) + 60) + GRACE;
    floor::parse(&Running::start(&mut command)?.finish(limit)?.stdout)
}

/// One client's turn: a figure for each of [`super::COLUMNS`].
pub fn turn(options: &Options, client: Client) -> anyhow::Result<Vec<f64>> {
    let observe = || client.vip().map(|vip| Observer::start(&options.programs.tg_cli, vip, false)).transpose();
    let seconds = u64::from(options.seconds);
    let limit = {
        let observer = observe()?;
        let churned = churn(options, "close", ("seconds", seconds), None)?;
        observer.map(Observer::end).transpose()?;
        churned
    };
    let observer = observe()?;
    let before = observer.as_ref().map(Observer::cpu_ns).transpose()?;
    let paced = churn(options, "close", ("seconds", seconds), Some(RATE))?;
    let used = observer.as_ref().map(Observer::cpu_ns).transpose()?.zip(before).map(|(now, before)| now - before);
    let told = observer.map(Observer::end).transpose()?;
    let share = used.map_or(f64::NAN, |ns| ns as f64 / 1e7 / paced.seconds);
    let lost = told.map_or(f64::NAN, |told| {
        let all: u64 = told.programs.values().map(|f| f.events + f.lost).sum();
        let lost: u64 = told.programs.values().map(|f| f.lost).sum();
        if all == 0 { f64::NAN } else { lost as f64 / all as f64 * 100.0 }
    });
    Ok(vec![limit.per_second() / 1e3, limit.cpu_us(), paced.per_second() / 1e3, paced.cpu_us(), share, lost])
}

/// The programs' own figures for so many connects.
#[derive(Debug)]
pub struct Programs {
    pub connects: u64,
    pub programs: observer::Programs,
}

/// Lets the kernel measure the programs.
pub fn programs(options: &Options, client: Client) -> anyhow::Result<Programs> {
    let connects = if options.smoke { 200 } else { MEASURED };
    let observer = Observer::start(&options.programs.tg_cli, client.vip().context("nobody observes")?, true)?;
    std::thread::sleep(TICK);
    let before = observer.metrics()?;
    churn(options, "close", ("count", connects), None)?;
    std::thread::sleep(TICK);
    let mut programs = observer.metrics()?;
    for (name, figures) in &mut programs {
        let earlier = before.get(name).copied().unwrap_or_default();
        *figures = Figures {
            events: figures.events - earlier.events,
            lost: figures.lost - earlier.lost,
            runs: figures.runs - earlier.runs,
            run_seconds: figures.run_seconds - earlier.run_seconds,
        };
    }
    observer.end()?;
    Ok(Programs { connects, programs })
}

/// What the seed's load costs, with one reset a second.
#[derive(Clone, Copy, Debug)]
pub struct Seed {
    pub seconds: f64,
    /// Of the observer's process, in per cent of a core.
    pub process: f64,
    /// Of its programs, likewise.
    pub programs: f64,
    pub resets: u64,
}

/// 80 connections with 5 packets/s each, and one connect a second that is refused.
pub fn seed(options: &Options) -> anyhow::Result<Seed> {
    let server = Server::start(&options.programs.floor, Engine::Epoll)?;
    let observer = Observer::start(&options.programs.tg_cli, server.address, true)?;
    let time = format!("{}s", options.seconds + 1);
    let mut run = tg::run(&options.programs.tg_cli, Engine::Epoll, server.address, CONNS, PACKETS, &time);
    let mut running = Running::start(&mut run)?;
    let resets = reset_each_second(options, server.address)?;
    let (began, cpu, before) = (Instant::now(), observer.cpu_ns()?, observer.metrics()?);
    let span = Duration::from_millis(500)..Duration::from_secs(options.seconds.into());
    running.window(span)?;
    let seconds = began.elapsed().as_secs_f64();
    let cpu = observer.cpu_ns()? - cpu;
    let run_seconds = |all: observer::Programs| all.values().map(|f| f.run_seconds).sum::<f64>();
    let programs = run_seconds(observer.metrics()?) - run_seconds(before);
    running.finish(Duration::from_secs(options.seconds.into()) + GRACE)?;
    resets.finish(Duration::from_secs(options.seconds.into()) + GRACE)?;
    server.finish()?;
    let told = observer.end()?;
    let resets = told.programs.get("receive-reset").map_or(0, |f| f.events);
    Ok(Seed { seconds, process: cpu as f64 / 1e7 / seconds, programs: programs * 100.0 / seconds, resets })
}

/// Nobody listens at that address in the floor's namespace.
fn reset_each_second(options: &Options, address: SocketAddr) -> anyhow::Result<Running> {
    let mut command = Command::new(&options.programs.floor);
    let seconds = options.seconds.to_string();
    Running::start(command.args(["churn", "refused", &address.port().to_string(), "seconds", &seconds, "1"]))
}

/// Events made, and what became of them.
#[derive(Debug)]
pub struct Flood {
    pub attempts: u64,
    pub seconds: f64,
    pub programs: Vec<Flooded>,
}

/// Of one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flooded {
    pub program: &'static str,
    /// By the kernel's counters.
    pub made: u64,
    pub recorded: u64,
    pub lost: u64,
    /// In the journal.
    pub lines: u64,
}

/// A million events, as fast as they can be made.
pub fn flood(options: &Options) -> anyhow::Result<Flood> {
    let attempts = if options.smoke { FLOOD / 100 } else { FLOOD };
    let vip = Client::Watched.vip().context("nobody observes")?;
    let observer = Observer::start(&options.programs.tg_cli, vip, false)?;
    let churned = churn(options, "refused", ("count", attempts), None)?;
    let told = observer.end()?;
    ensure!(
        churned.resets_sent == attempts && churned.attempts_failed == attempts,
        "of {attempts} attempts {} failed, and {} resets were sent",
        churned.attempts_failed,
        churned.resets_sent
    );
    let of = |(program, each): (&'static str, u64)| {
        let figures = told.programs.get(program).copied().unwrap_or_default();
        Flooded {
            program,
            made: attempts * each,
            recorded: figures.events,
            lost: figures.lost,
            lines: told.lines.get(program).copied().unwrap_or(0),
        }
    };
    Ok(Flood { attempts, seconds: churned.seconds, programs: REFUSED.map(of).into() })
}
