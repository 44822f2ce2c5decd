//! tg as a client under measurement: its command line, its word on itself, and how that is held against
//! the wire. Changes when tg's command line or journal does.

use crate::capture::pacing::Sends;
use crate::floor::Approach;
use crate::stats::quantile;
use anyhow::{Context, bail};
use clap::ValueEnum;
use serde::Deserialize;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use tg_model::histogram::Histogram;
use tg_model::journal::{Line, Reader, RunEvent};

/// How sockets are driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Engine {
    Epoll,
    Uring,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Engine::Epoll => "epoll",
            Engine::Uring => "uring",
        })
    }
}

/// `tg-cli run` with its defaults, but for these. `rate` is packets/s on each connection, or `max`.
pub fn run(
    tg_cli: &Path,
    engine: Engine,
    server: SocketAddr,
    conns: u32,
    rate: impl fmt::Display,
    time: &str,
) -> Command {
    let mut command = Command::new(tg_cli);
    command.args(["run", "--address", &server.to_string(), "--engine", &engine.to_string(), "--format", "json"]);
    command.args(["--conns", &conns.to_string(), "--rate", &rate.to_string(), "--duration", time]);
    command
}

/// Whether this tg's `run` knows the option.
///
/// # Errors
/// Its help cannot be had.
pub fn knows(tg_cli: &Path, option: &str) -> anyhow::Result<bool> {
    let help = Command::new(tg_cli).args(["run", "--help"]).output().context("asking tg-cli for its help")?;
    Ok(String::from_utf8_lossy(&help.stdout).split_whitespace().any(|word| word == option))
}

/// The part of tg's JSON report that is read.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Summary {
    /// Of the schedule, from its start to its end.
    pub duration_ns: u64,
    pub lost: u64,
    pub failed_attempts: Total,
    pub packets: Packets,
    pub latency: Times,
    pub service_time: Times,
    /// Sent − intended, as tg has it.
    pub lateness: Times,
    pub accounting: Accounting,
}

/// See tg-model's summary.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Packets {
    pub intended: u64,
    pub sent: u64,
    pub received: u64,
    pub dropped: Dropped,
    pub lost_in_flight: u64,
}

/// Due, but not sent.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Dropped {
    pub total: u64,
    /// Because this machine came to them more than a period too late.
    pub late: u64,
}

/// The sum of several counters.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Total {
    pub total: u64,
}

/// A histogram, by its quantiles.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Times {
    pub p50_ns: u64,
    pub p90_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
    pub max_ns: u64,
}

/// Whether tg's counters add up.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Accounting {
    pub ok: bool,
}

impl Summary {
    /// # Errors
    /// It is no such report.
    pub fn parse(json: &str) -> anyhow::Result<Summary> {
        serde_json::from_str(json).context("reading tg's JSON report")
    }
}

/// The part of tg's journal that is read.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(Default))]
pub struct Journal {
    /// What tg chose.
    pub approach: Approach,
    period_ns: u64,
    conns: u64,
    /// Time zero of the schedule, ns since the Unix epoch.
    zero_realtime_ns: u64,
    slots: HashMap<u16, u32>,
    /// How long each attempt took that made a connection, ns, sorted.
    pub connects_ns: Vec<u64>,
    /// Of the whole run.
    pub latency: Histogram,
    pub service_time: Histogram,
}

impl Journal {
    /// Of this file.
    ///
    /// # Errors
    /// As [`Journal::read`].
    pub fn open(path: &Path) -> anyhow::Result<Journal> {
        let file = File::open(path).with_context(|| format!("opening tg's journal {}", path.display()))?;
        Journal::read(BufReader::new(file))
    }

    /// # Errors
    /// It cannot be read, or the run's schedule never began.
    pub fn read(input: impl BufRead) -> anyhow::Result<Journal> {
        let mut reader = Reader::new(input)?;
        let header = reader.header().clone();
        let mut zero = None;
        let mut slots = HashMap::new();
        let mut connects_ns = Vec::new();
        let (mut latency, mut service_time) = (Histogram::default(), Histogram::default());
        while let Some(line) = reader.next_line()? {
            match line {
                Line::Event(event) => {
                    if let RunEvent::ScheduleStart { zero_ns } = event.event {
                        zero = Some(zero_ns);
                    }
                }
                Line::Established(made) => {
                    slots.insert(made.local.port(), made.conn.slot.0);
                    connects_ns.push(made.established_ns.saturating_sub(made.attempt_ns));
                }
                Line::Sample(sample) => {
                    latency.add(&Histogram::decode(&sample.latency)?);
                    service_time.add(&Histogram::decode(&sample.service_time)?);
                }
                _ => {}
            }
        }
        connects_ns.sort_unstable();
        Ok(Journal {
            approach: Approach { nap_ns: header.nap_ns, spin_ns: header.spin_ns },
            period_ns: header.period_ns.context("the journal's rate is unlimited")?,
            conns: u64::from(header.plan.conns),
            zero_realtime_ns: header.realtime_ns + zero.context("the journal has no start of the schedule")?,
            slots,
            connects_ns,
            latency,
            service_time,
        })
    }

    /// From when each packet was due to when the capture saw it leave: ns, sorted. Both clocks of the
    /// journal are slewed alike, so they stay as far apart as they were at its start.
    ///
    /// # Errors
    /// A connection that tg does not know.
    pub fn lateness_on_wire(&self, sends: &[Sends]) -> anyhow::Result<Vec<u64>> {
        let mut lateness = Vec::new();
        for connection in sends {
            let port = connection.port;
            let slot =
                self.slots.get(&port).with_context(|| format!("tg's journal has no connection from port {port}"))?;
            let phase_ns = self.period_ns * u64::from(*slot) / self.conns;
            let first_ns = self.zero_realtime_ns + phase_ns;
            lateness.extend(
                connection.packets.iter().map(|(number, at)| at.saturating_sub(first_ns + number * self.period_ns)),
            );
        }
        lateness.sort_unstable();
        Ok(lateness)
    }
}

/// tg's word on its lateness, and the wire's: µs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    pub own_p50: f64,
    pub wire_p50: f64,
    pub own_p99: f64,
    pub wire_p99: f64,
}

impl Agreement {
    /// # Errors
    /// They speak of different packets: a connection was lost, or packets were not sent or not captured.
    pub fn of(summary: &Summary, on_wire: &[u64]) -> anyhow::Result<Agreement> {
        let Packets { intended, sent, .. } = summary.packets;
        if summary.lost > 0 || intended != sent || sent != on_wire.len() as u64 {
            let captured = on_wire.len();
            bail!("{} connections lost, {intended} packets due, {sent} sent, {captured} captured", summary.lost);
        }
        let wire = |q| quantile(on_wire, q).map(micros).context("no packet was sent");
        Ok(Agreement {
            own_p50: micros(summary.lateness.p50_ns),
            wire_p50: wire(0.5)?,
            own_p99: micros(summary.lateness.p99_ns),
            wire_p99: wire(0.99)?,
        })
    }
}

/// Whether two latenesses are close enough to be the same: within 5 µs or 10 %.
pub fn agree(own: f64, wire: f64) -> bool {
    (own - wire).abs() <= f64::max(5.0, wire * 0.1)
}

/// Nanoseconds in µs.
pub fn micros(ns: u64) -> f64 {
    ns as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use tg_model::id::{ConnId, SlotId};
    use tg_model::journal::{Established, Event, Header, encode_line};
    use tg_model::plan::{Plan, PlanSpec};

    fn journal() -> Vec<u8> {
        let target = SocketAddr::from(([127, 0, 0, 1], 5003)).into();
        let plan = Plan::try_from(PlanSpec { conns: 4, ..PlanSpec::new([target]) }).unwrap();
        let header = Header {
            tg_version: "1".into(),
            command: Vec::new(),
            plan,
            period_ns: Some(200),
            engine: "epoll".into(),
            engine_note: None,
            nap_ns: 41,
            spin_ns: 42,
            machine: String::new(),
            kernel: String::new(),
            boot_id: String::new(),
            monotonic_ns: 9,
            realtime_ns: 1_000_000,
        };
        let made = |slot, port| {
            Line::Established(Established {
                conn: ConnId { slot: SlotId(slot), nth: 0 },
                first_attempt_ns: 0,
                attempt_ns: 0,
                established_ns: 1,
                failed_attempts: 0,
                local: SocketAddr::from(([127, 0, 0, 1], port)),
                remote: SocketAddr::from(([127, 0, 0, 1], 5003)),
            })
        };
        let start = Line::Event(Event { at_ns: 60, event: RunEvent::ScheduleStart { zero_ns: 50 } });
        let lines = [Line::Header(Box::new(header)), made(0, 700), made(3, 703), start];
        let mut bytes = Vec::new();
        for line in lines {
            encode_line(&line, &mut bytes);
        }
        bytes
    }

    #[test]
    fn lateness_is_from_a_slots_own_times() {
        let journal = Journal::read(journal().as_slice()).unwrap();
        assert_eq!(journal.approach, Approach { nap_ns: 41, spin_ns: 42 });
        assert_eq!(journal.connects_ns, [1, 1]);
        let sends = [
            Sends { port: 700, packets: vec![(0, 1_000_050), (1, 1_000_257), (3, 1_000_653)] },
            Sends { port: 703, packets: vec![(0, 1_000_201), (1, 1_000_399)] },
        ];
        // The last one left before it was due, by the error of reading two clocks.
        assert_eq!(journal.lateness_on_wire(&sends).unwrap(), [0, 0, 1, 3, 7]);
        let stranger = [Sends { port: 9, packets: Vec::new() }];
        assert!(journal.lateness_on_wire(&stranger).unwrap_err().to_string().contains("port 9"));
    }

    #[test]
    fn a_journal_without_a_schedule_is_refused() {
        let bytes = journal();
        let header = &bytes[..=bytes.iter().position(|b| *b == b'\n').unwrap()];
        assert!(Journal::read(header).unwrap_err().to_string().contains("schedule"));
        assert!(Journal::read(&b""[..]).is_err());
    }

    const REPORT: &str = r#"{"lost":0,"duration_ns":9,"failed_attempts":{"total":0,"refused":0},
        "packets":{"intended":3,"sent":3,"received":3,"dropped":{"total":0,"late":0},"lost_in_flight":0},
        "latency":{"count":3,"p50_ns":1,"p90_ns":1,"p99_ns":1,"p999_ns":1,"max_ns":1,"clamped":0},
        "service_time":{"count":3,"p50_ns":1,"p90_ns":1,"p99_ns":1,"p999_ns":1,"max_ns":1,"clamped":0},
        "lateness":{"count":3,"p50_ns":2000,"p90_ns":2500,"p99_ns":3000,"p999_ns":1,"max_ns":1,"clamped":0},
        "accounting":{"ok":true,"violations":[]}}"#;

    #[test]
    fn only_the_same_packets_are_compared() {
        let summary = Summary::parse(REPORT).unwrap();
        let agreement = Agreement::of(&summary, &[1000, 7000, 9000]).unwrap();
        let want = Agreement { own_p50: 2.0, wire_p50: 7.0, own_p99: 3.0, wire_p99: 9.0 };
        assert_eq!(agreement, want);
        assert!(Agreement::of(&summary, &[1000]).unwrap_err().to_string().contains("1 captured"));
        let lost = Summary { lost: 1, ..summary };
        assert!(Agreement::of(&lost, &[1, 2, 3]).is_err());
        assert!(Summary::parse("{}").is_err());
    }

    #[test]
    fn close_means_within_5_us_or_a_tenth() {
        assert!(agree(2.0, 7.0) && !agree(2.0, 7.1) && agree(110.0, 100.0) && !agree(89.0, 100.0));
    }
}
