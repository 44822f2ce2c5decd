//! `tg-cli observe` as a process: what it uses, and what it says at its end. Changes when it is started or ended
//! in another way.

use crate::process::{CannotMeasure, Guard};
use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tg_model::node_event::{NodeLine, NodeReader};

const END_LIMIT: Duration = Duration::from_secs(60);
const END_TICK: Duration = Duration::from_millis(5);

/// Whether there can be an observer here.
///
/// # Errors
/// [`CannotMeasure`], with what is missing.
pub fn check(tg_cli: &Path) -> anyhow::Result<()> {
    let output = Command::new(tg_cli).args(["observe", "--check"]).output().context("asking tg-cli observe --check")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let needed: Vec<&str> = said.lines().filter(|l| l.contains("NEEDED") || l.contains("missing")).collect();
    Err(CannotMeasure(format!("no observer can run here: {}", needed.join("; "))).into())
}

/// One that observes.
pub struct Observer {
    guard: Guard,
    dir: TempDir,
    // Held open: it writes there.
    _stderr: Box<dyn Read>,
}

/// Programs by name.
pub type Programs = BTreeMap<String, Figures>;

/// What a program did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    pub events: u64,
    pub lost: u64,
    /// Only where run time is measured, as the next.
    pub runs: u64,
    pub run_seconds: f64,
}

/// What it left.
#[derive(Debug)]
pub struct Told {
    /// As its footer has them.
    pub programs: Programs,
    /// Events that are in its journal, by program.
    pub lines: BTreeMap<String, u64>,
}

impl Observer {
    /// Waits until it observes.
    ///
    /// # Errors
    /// It does not come to observe.
    pub fn start(tg_cli: &Path, vip: SocketAddr, run_time: bool) -> anyhow::Result<Observer> {
        let dir = tempfile::tempdir().context("making a directory for the observer's journal")?;
        let mut command = Command::new(tg_cli);
        command.args(["observe", "--vip", &vip.to_string(), "--output"]).arg(dir.path().join("node.jsonl"));
        command.arg("--listen").arg(format!("unix:{}", dir.path().join("socket").display()));
        command.args(run_time.then_some("--run-time"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut guard = Guard(child.context("starting the observer")?);
        let mut stderr = BufReader::new(guard.0.stderr.take().context("the observer has no stderr")?);
        let mut line = String::new();
        while line.trim() != "observing" {
            let last = std::mem::take(&mut line);
            if stderr.read_line(&mut line).context("reading the observer's stderr")? == 0 {
                bail!("the observer ended: {}", last.trim().trim_start_matches("error: "));
            }
        }
        Ok(Observer { guard, dir, _stderr: Box::new(stderr) })
    }

    /// CPU time of the process so far, ns; what its programs use counts for whom they interrupt.
    ///
    /// # Errors
    /// It has ended.
    pub fn cpu_ns(&self) -> anyhow::Result<u64> {
        self.guard.cpu_ns()
    }

    /// As of its last tick, half a second ago at most.
    ///
    /// # Errors
    /// It does not answer.
    pub fn metrics(&self) -> anyhow::Result<Programs> {
        let mut stream = UnixStream::connect(self.dir.path().join("socket")).context("connecting to the observer")?;
        write!(stream, "GET /metrics HTTP/1.0\r\n\r\n").context("asking the observer")?;
        let mut all = String::new();
        stream.read_to_string(&mut all).context("reading the observer's answer")?;
        Ok(parse(&all))
    }

    /// Ends it.
    ///
    /// # Errors
    /// It does not end well, or left no whole journal.
    pub fn end(mut self) -> anyhow::Result<Told> {
        self.guard.signal(Signal::SIGTERM)?;
        let status = self.guard.wait(END_LIMIT, END_TICK, |_| {}).context("ending the observer")?;
        if !status.success() {
            bail!("the observer failed: {status}");
        }
        let file = File::open(self.dir.path().join("node.jsonl")).context("opening the observer's journal")?;
        told(BufReader::new(file))
    }
}

fn told(journal: impl BufRead) -> anyhow::Result<Told> {
    let mut reader = NodeReader::open(journal)?;
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    let mut programs = None;
    while let Some(line) = reader.next_line()? {
        match line.line {
            NodeLine::Event(event) => *lines.entry(event.program).or_default() += 1,
            NodeLine::Footer(footer) => {
                let figures = footer
                    .programs
                    .into_iter()
                    .map(|p| (p.program, Figures { events: p.events, lost: p.lost, ..Figures::default() }));
                programs = Some(figures.collect());
            }
            _ => {}
        }
    }
    Ok(Told { programs: programs.context("the observer's journal has no end")?, lines })
}

/// Of Prometheus' text form: `NAME{program="PROGRAM"} VALUE`.
fn parse(text: &str) -> Programs {
    let mut programs = Programs::new();
    for line in text.lines() {
        let Some((name, rest)) = line.split_once("{program=\"") else { continue };
        let Some((program, value)) = rest.split_once("\"} ") else { continue };
        let figures = programs.entry(program.to_owned()).or_default();
        let whole = || value.parse().unwrap_or(0);
        match name {
            "tg_observer_events_total" => figures.events = whole(),
            "tg_observer_lost_total" => figures.lost = whole(),
            "tg_observer_runs_total" => figures.runs = whole(),
            "tg_observer_run_seconds_total" => figures.run_seconds = value.parse().unwrap_or(0.0),
            _ => {}
        }
    }
    programs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_metrics_are_read() {
        let text = "HTTP/1.0 200 OK\r\n\r\n# HELP x\ntg_observer_events_total{program=\"drop\"} 3\n\
                    tg_observer_lost_total{program=\"drop\"} 1\ntg_observer_runs_total{program=\"drop\"} 9\n\
                    tg_observer_run_seconds_total{program=\"drop\"} 0.000000450\ntg_observer_lines_total 7\n";
        let want = Figures { events: 3, lost: 1, runs: 9, run_seconds: 4.5e-7 };
        assert_eq!(parse(text), [("drop".to_owned(), want)].into());
    }

    #[test]
    fn a_journal_without_an_end_is_refused() {
        assert!(told(&b""[..]).is_err());
    }
}
