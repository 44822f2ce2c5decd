//! The fold from lines to a summary. Changes when a kind of line comes or means something else.

use super::accounting::Violations;
use super::calendar::rfc3339;
use super::plan::PlanSummary;
use super::shape::{Hosts, Summary, UNKNOWN_HOST};
use super::slots::Slots;
use super::spread::OutageFold;
use super::tallies::{Ended, FailedAttempts};
use crate::histogram::{EncodedHistogram, Histogram};
use crate::id::ConnId;
use crate::journal::{Closed, Footer, Header, JournalError, Line, Reader, RunEvent, Sample, Totals};
use std::collections::{BTreeMap, HashMap};
use std::io::BufRead;

/// Folds a journal's lines, in the order in which they were written.
///
/// Calling order: [`SummaryBuilder::new`], then [`SummaryBuilder::push`] for each line after the header,
/// then [`SummaryBuilder::finish`].
#[derive(Debug)]
pub struct SummaryBuilder {
    /// What the header tells, and nothing else yet.
    pub(super) base: Summary,
    pub(super) slots: Slots,
    /// Connections without an end so far, with their hosts' names where these are known.
    pub(super) open: HashMap<ConnId, Option<String>>,
    pub(super) hosts: Hosts,
    pub(super) ended: Ended,
    pub(super) failed_attempts: FailedAttempts,
    pub(super) established: u64,
    pub(super) reconnects: u64,
    pub(super) retransmits: u64,
    pub(super) outages: OutageFold,
    pub(super) latency: Histogram,
    pub(super) service_time: Histogram,
    pub(super) lateness: Histogram,
    pub(super) sampled: Option<Totals>,
    pub(super) zero_ns: Option<u64>,
    pub(super) stopped_ns: Option<u64>,
    pub(super) last_ns: u64,
    pub(super) footer: Option<Footer>,
    pub(super) violations: Violations,
}

impl Summary {
    /// Reads a journal to its end. Errors: see [`Reader::next_line`].
    pub fn read<R: BufRead>(mut journal: Reader<R>) -> Result<Summary, JournalError> {
        let mut builder = SummaryBuilder::new(journal.header());
        while let Some(line) = journal.next_line()? {
            builder.push(&line);
        }
        Ok(builder.finish(journal.notes()))
    }
}

impl SummaryBuilder {
    /// The summary of a run of which nothing but the header is known.
    pub fn new(header: &Header) -> SummaryBuilder {
        let base = Summary {
            tg_version: header.tg_version.clone(),
            engine: header.engine.clone(),
            engine_note: header.engine_note.clone(),
            plan: PlanSummary::new(&header.plan, header.plan.total_rate(), header.period_ns),
            started: rfc3339(header.realtime_ns),
            started_realtime_ns: header.realtime_ns,
            ..Summary::default()
        };
        SummaryBuilder {
            slots: Slots::new(header.plan.conns),
            base,
            open: HashMap::new(),
            hosts: Hosts::default(),
            ended: Ended::default(),
            failed_attempts: FailedAttempts::default(),
            established: 0,
            reconnects: 0,
            retransmits: 0,
            outages: OutageFold::default(),
            latency: Histogram::default(),
            service_time: Histogram::default(),
            lateness: Histogram::default(),
            sampled: None,
            zero_ns: None,
            stopped_ns: None,
            last_ns: 0,
            footer: None,
            violations: Violations::default(),
        }
    }

    /// Takes the next line.
    pub fn push(&mut self, line: &Line) {
        match line {
            Line::Header(_) => self.violations.note(|| "a second header: two journals in one file".into()),
            Line::Established(e) => {
                self.seen(e.established_ns);
                self.established += 1;
                self.reconnects += u64::from(e.conn.predecessor().is_some());
                self.open.insert(e.conn, None);
                self.slots.established(e, &mut self.violations);
            }
            Line::Identified(i) => {
                self.seen(i.at_ns);
                if let Some(host) = self.open.get_mut(&i.conn) {
                    host.clone_from(&i.host);
                }
            }
            Line::Closed(c) => self.closed(c),
            Line::AttemptFailed(a) => {
                self.seen(a.ended_ns);
                self.failed_attempts.total += 1;
                *self.failed_attempts.counter(a.failure) += 1;
                self.slots.attempt_failed(a, &mut self.violations);
            }
            Line::Outage(o) => self.slots.outage(o, &mut self.outages, &mut self.violations),
            Line::Sample(s) => self.sample(s),
            Line::Event(e) => {
                self.seen(e.at_ns);
                match e.event {
                    RunEvent::ScheduleStart { zero_ns } => self.zero_ns = Some(zero_ns),
                    RunEvent::SendingStopped => self.stopped_ns = Some(e.at_ns),
                    RunEvent::Resolved { .. } | RunEvent::StopRequested => {}
                }
            }
            Line::Slot(s) => self.slots.stated(s, &mut self.violations),
            Line::Footer(f) => {
                if self.footer.replace(f.clone()).is_some() {
                    self.violations.note(|| "a second footer: two journals in one file".into());
                }
            }
        }
    }

    fn seen(&mut self, at_ns: u64) {
        self.last_ns = self.last_ns.max(at_ns);
    }

    fn closed(&mut self, line: &Closed) {
        self.seen(line.ended_ns);
        let conn = line.established.conn;
        if self.open.remove(&conn).is_none() {
            self.violations.note(|| format!("connection {conn} ended and was not established"));
        }
        self.violations.check(format_args!("connection {conn}"), &line.counts);
        *self.ended.counter(line.reason) += 1;
        let hosts = if line.reason.is_lost() { &mut self.hosts.lost } else { &mut self.hosts.lasting };
        count_host(hosts, line.host.as_deref());
        let retransmits = line.tcp.map_or(0, |tcp| u64::from(tcp.total_retrans));
        self.retransmits = self.retransmits.saturating_add(retransmits);
        self.slots.closed(line, &mut self.violations);
    }

    /// Adds a sample whose histograms are at hand, as [`SummaryBuilder::push`] does by reading their text.
    pub fn push_sample(&mut self, line: &Sample, [latency, service_time, lateness]: [&Histogram; 3]) {
        self.sampled_at(line);
        self.latency.add(latency);
        self.service_time.add(service_time);
        self.lateness.add(lateness);
    }

    fn sampled_at(&mut self, line: &Sample) {
        self.seen(line.at_ns);
        self.sampled = Some(line.totals);
    }

    fn sample(&mut self, line: &Sample) {
        self.sampled_at(line);
        let at_ns = line.at_ns;
        let mut add = |sum: &mut Histogram, name: &str, text: &EncodedHistogram| match Histogram::decode(text) {
            Ok(interval) => sum.add(&interval),
            Err(error) => self.violations.note(|| format!("sample at {at_ns} ns, {name}: {error}")),
        };
        add(&mut self.latency, "latency", &line.latency);
        add(&mut self.service_time, "service time", &line.service_time);
        add(&mut self.lateness, "lateness", &line.lateness);
    }
}

pub(super) fn count_host(hosts: &mut BTreeMap<String, u64>, host: Option<&str>) {
    let host = host.unwrap_or(UNKNOWN_HOST);
    match hosts.get_mut(host) {
        Some(n) => *n += 1,
        None => {
            hosts.insert(host.to_owned(), 1);
        }
    }
}
