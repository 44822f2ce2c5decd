//! tg's journal, as far as it is read, and what a capture says of the same packets. Changes when the journal does.

use crate::capture::pacing::Sends;
use crate::floor::Approach;
use anyhow::Context;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use tg_model::histogram::Histogram;
use tg_model::journal::{Line, Reader, RunEvent};

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
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
}
