//! ctraffic's statistics from a tg journal, as a fold over its lines. Changes when those do.
//!
//! A cut journal (no footer) gives what it holds: connections not known to have ended are alive at
//! the last time seen, with 0 packets of their own, for a journal counts those at the end.

use super::json::{ConnStat, Sample, Statistics};
use crate::id::{ConnId, SlotId};
use crate::journal::{Closed, Established, Header, JournalError, Line, Outage, Reader, Totals};
use crate::outcome::EndReason;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::io::BufRead;

/// Reads the rest of a journal.
pub fn from_journal<R: BufRead>(journal: &mut Reader<R>) -> Result<Statistics, JournalError> {
    let mut fold = FromJournal::new(journal.header());
    while let Some(line) = journal.next_line()? {
        fold.push(&line);
    }
    Ok(fold.finish())
}

/// The fold: [`FromJournal::new`] with the header, [`FromJournal::push`] for each line in order, then
/// [`FromJournal::finish`]. It holds what ctraffic's file holds: an entry a connection.
#[derive(Debug)]
pub struct FromJournal {
    started: Timestamp,
    rate: f64,
    connections: u64,
    packet_size: u64,
    /// `ended_ns` is 0 where it is the run's end, which is not known yet.
    entries: Vec<ConnStat>,
    samples: Vec<Sample>,
    open: BTreeMap<ConnId, ConnStat>,
    /// Slots between connections, with no word yet of how that ended: when each first tried in vain.
    trying: BTreeMap<SlotId, u64>,
    lost: u64,
    failed_attempts: u64,
    totals: Totals,
    last_ns: u64,
    ended_ns: Option<u64>,
}

impl FromJournal {
    /// An empty run.
    pub fn new(header: &Header) -> FromJournal {
        let plan = &header.plan;
        FromJournal {
            // In range: nanoseconds in 64 bits end in the year 2554.
            started: Timestamp::from_nanosecond(i128::from(header.realtime_ns)).unwrap_or_default(),
            rate: plan.total_rate().unwrap_or_default() * f64::from(plan.size) / 1024.0,
            connections: u64::from(plan.conns),
            packet_size: u64::from(plan.size),
            entries: Vec::new(),
            samples: Vec::new(),
            open: BTreeMap::new(),
            trying: BTreeMap::new(),
            lost: 0,
            failed_attempts: 0,
            totals: Totals::default(),
            last_ns: 0,
            ended_ns: None,
        }
    }

    /// Takes the next line.
    pub fn push(&mut self, line: &Line) {
        match line {
            Line::Header(_) | Line::Slot(_) => {}
            Line::Established(established) => {
                self.seen(established.established_ns);
                self.trying.remove(&established.conn.slot);
                self.open.insert(established.conn, entry(established, None));
            }
            Line::Identified(identified) => {
                self.seen(identified.at_ns);
                if let (Some(entry), Some(host)) = (self.open.get_mut(&identified.conn), &identified.host) {
                    entry.host.clone_from(host);
                }
            }
            Line::Closed(closed) => self.closed(closed),
            Line::AttemptFailed(attempt) => {
                self.seen(attempt.ended_ns);
                self.failed_attempts += 1;
                self.trying.entry(attempt.slot).or_insert(attempt.started_ns);
            }
            Line::Outage(outage) => self.outage(outage),
            Line::Sample(sample) => {
                self.seen(sample.at_ns);
                self.totals = sample.totals;
                let counts = &sample.totals.counts;
                let (sent, received, dropped) = (counts.sent, counts.received, counts.dropped.total());
                self.samples.push(Sample { time_ns: sample.at_ns, sent, received, dropped });
            }
            Line::Event(event) => self.seen(event.at_ns),
            Line::Footer(footer) => {
                self.totals = footer.totals;
                self.ended_ns = Some(footer.ended_ns);
            }
        }
    }

    fn seen(&mut self, at_ns: u64) {
        self.last_ns = self.last_ns.max(at_ns);
    }

    fn closed(&mut self, closed: &Closed) {
        self.seen(closed.ended_ns);
        self.lost += u64::from(closed.reason.is_lost());
        self.open.remove(&closed.established.conn);
        self.entries.push(ConnStat {
            ended_ns: closed.ended_ns.max(1),
            err: error_text(closed),
            sent: closed.counts.sent,
            received: closed.counts.received,
            dropped: closed.counts.dropped.total(),
            retransmits: closed.tcp.map_or(0, |tcp| u64::from(tcp.total_retrans)),
            ..entry(&closed.established, closed.host.as_deref())
        });
    }

    /// A slot that was still trying when the run ended has an entry that never connected.
    fn outage(&mut self, outage: &Outage) {
        self.seen(outage.since_ns);
        if outage.replacement.is_some() {
            return;
        }
        self.trying.remove(&outage.slot);
        if let Some(first_attempt_ns) = outage.first_attempt_ns {
            self.entries.push(never_connected(first_attempt_ns));
        }
    }

    /// The statistics.
    pub fn finish(mut self) -> Statistics {
        let end_ns = self.ended_ns.unwrap_or(self.last_ns);
        self.entries.extend(self.open.into_values());
        self.entries.extend(self.trying.into_values().map(never_connected));
        for entry in self.entries.iter_mut().filter(|e| e.ended_ns == 0) {
            entry.ended_ns = end_ns.max(1);
        }
        self.entries.sort_by_key(|e| e.started_ns);
        let sum = |of: fn(&ConnStat) -> u64| self.entries.iter().map(of).fold(0, u64::saturating_add);
        let counts = &self.totals.counts;
        Statistics {
            started: self.started,
            duration_ns: end_ns,
            rate: self.rate,
            connections: self.connections,
            packet_size: self.packet_size,
            // Totals may be a second older than the last lines, and lines may be missing: both count
            // only what happened, so the larger one is nearer.
            failed_connections: self.lost.max(self.totals.lost),
            sent: counts.sent.max(sum(|e| e.sent)),
            received: counts.received.max(sum(|e| e.received)),
            dropped: counts.dropped.total().max(sum(|e| e.dropped)),
            retransmits: sum(|e| e.retransmits),
            failed_connects: self.failed_attempts.max(self.totals.failed_attempts),
            conn_stats: self.entries,
            samples: self.samples,
        }
    }
}

fn entry(established: &Established, host: Option<&str>) -> ConnStat {
    ConnStat {
        started_ns: established.first_attempt_ns,
        // 0 would say that it never was.
        connect_ns: established.established_ns.max(1),
        local: established.local.to_string(),
        remote: established.remote.to_string(),
        host: host.unwrap_or_default().to_owned(),
        ..ConnStat::default()
    }
}

fn never_connected(started_ns: u64) -> ConnStat {
    ConnStat { started_ns, ..ConnStat::default() }
}

/// Empty for a connection that lasted. Scripts know ctraffic's "EOF" for a server that closed.
fn error_text(closed: &Closed) -> String {
    match closed.reason {
        EndReason::Completed => return String::new(),
        EndReason::ClosedByPeer => return "EOF".to_owned(),
        _ => {}
    }
    let mut text = closed.reason.name().to_owned();
    if let Some(errno) = closed.errno {
        let words = std::io::Error::from_raw_os_error(errno).to_string();
        let words = words.split(" (os error").next().unwrap_or_default();
        text = format!("{text}: {words}");
    }
    if let Some(detail) = &closed.detail {
        text = format!("{text}: {detail}");
    }
    text
}
