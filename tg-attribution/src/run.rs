//! The run as verdicts need it: its connections, failed attempts and times without service. Changes when a
//! verdict needs more of a run's journal.

mod untold;

pub use untold::Untold;

use crate::input::Journal;
use crate::moment::signed;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use tg_model::counts::Counts;
use tg_model::histogram::Histogram;
use tg_model::id::{ConnId, SlotId};
use tg_model::journal::{AttemptFailed, Established, Footer, Line, Outage, Sample};
use tg_model::outcome::EndReason;
use tg_model::plan::{Source, Transport};
use tg_model::tcp_info::TcpInfo;
use tg_model::wire::Identity;

/// IP's number of TCP.
pub const TCP: u8 = 6;
/// IP's number of UDP.
pub const UDP: u8 = 17;

/// A connection of the run.
#[derive(Clone, Debug)]
pub struct Conn {
    pub id: ConnId,
    pub attempt_ns: i64,
    pub established_ns: i64,
    pub failed_attempts: u64,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub host: Option<String>,
    pub identity: Option<Identity>,
    /// Of its `established` line, or of the only one that tells of it.
    pub line: u64,
    /// `None`: the journal has no end of it.
    pub end: Option<End>,
}

/// How a connection ended.
#[derive(Clone, Debug)]
pub struct End {
    pub ns: i64,
    pub reason: EndReason,
    pub detection_ns: u64,
    pub counts: Counts,
    pub tcp: Option<TcpInfo>,
    pub line: u64,
}

/// A run.
#[derive(Debug)]
pub struct Run<'a> {
    pub protocol: u8,
    pub slots: u32,
    pub response_timeout_ns: u64,
    ends: &'a [Source],
    /// Time from one packet of a slot to its next; where there is none, a second.
    pub period_ns: i64,
    /// By id: a connection's predecessor is before it.
    pub conns: Vec<Conn>,
    pub by_id: HashMap<ConnId, usize>,
    /// By both ends, in the order of time.
    by_ends: HashMap<(SocketAddr, SocketAddr), Vec<usize>>,
    /// With the number of their lines.
    pub attempts: Vec<(u64, &'a AttemptFailed)>,
    pub samples: Vec<(u64, &'a Sample)>,
    pub outages: Vec<&'a Outage>,
    pub footer: Option<&'a Footer>,
    /// The last moment that the journal tells of.
    pub last_ns: i64,
    /// What it does not tell of.
    pub untold: Untold,
    lateness: OnceCell<Vec<Late>>,
}

/// How late packets were sent at worst, in the time of a sample.
#[derive(Clone, Copy, Debug)]
pub struct Late {
    pub line: u64,
    pub since_ns: i64,
    pub at_ns: i64,
    pub max_ns: u64,
}

impl Conn {
    /// The end of a connection that was lost.
    pub fn loss(&self) -> Option<&End> {
        self.end.as_ref().filter(|e| e.reason.is_lost())
    }

    fn new(e: &Established, line: u64) -> Conn {
        Conn {
            id: e.conn,
            attempt_ns: signed(e.attempt_ns),
            established_ns: signed(e.established_ns),
            failed_attempts: e.failed_attempts,
            local: canonical(e.local),
            remote: canonical(e.remote),
            host: None,
            identity: None,
            line,
            end: None,
        }
    }
}

/// Without what does not tell two addresses apart: IPv4 inside IPv6, flow and scope.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl<'a> Run<'a> {
    pub fn new(journal: &'a Journal<Line>) -> Run<'a> {
        let plan = &journal.header.plan;
        let mut run = Run {
            protocol: if plan.transport == Transport::Tcp { TCP } else { UDP },
            slots: plan.conns,
            response_timeout_ns: u64::try_from(plan.response_timeout.as_nanos()).unwrap_or(u64::MAX),
            ends: &plan.sources,
            period_ns: signed(journal.header.period_ns.unwrap_or(1_000_000_000)),
            conns: Vec::new(),
            by_id: HashMap::new(),
            by_ends: HashMap::new(),
            attempts: Vec::new(),
            samples: Vec::new(),
            outages: Vec::new(),
            footer: None,
            last_ns: 0,
            untold: Untold::default(),
            lateness: OnceCell::new(),
        };
        journal.lines.iter().for_each(|(number, line)| run.take(*number, line));
        run.conns.sort_by_key(|c| c.id);
        run.by_id = run.conns.iter().enumerate().map(|(at, c)| (c.id, at)).collect();
        for (at, conn) in run.conns.iter().enumerate() {
            run.by_ends.entry((conn.local, conn.remote)).or_default().push(at);
        }
        for uses in run.by_ends.values_mut() {
            uses.sort_by_key(|at| run.conns[*at].attempt_ns);
        }
        run.untold = untold::of(&run, journal);
        run
    }

    fn take(&mut self, number: u64, line: &'a Line) {
        match line {
            Line::Established(e) => {
                self.seen(e.established_ns);
                self.conn(e, number);
            }
            Line::Identified(i) => {
                self.seen(i.at_ns);
                if let Some(conn) = self.by_id.get(&i.conn).and_then(|at| self.conns.get_mut(*at)) {
                    (conn.host, conn.identity) = (i.host.clone(), i.identity.clone());
                }
            }
            Line::Closed(c) => {
                self.seen(c.ended_ns);
                let conn = self.conn(&c.established, number);
                // Of two ends the first is it: the other is damage.
                if conn.end.is_some() {
                    return;
                }
                conn.host = c.host.clone().or(conn.host.take());
                conn.identity = c.identity.clone().or(conn.identity.take());
                conn.end = Some(End {
                    ns: signed(c.ended_ns),
                    reason: c.reason,
                    detection_ns: c.detection_ns,
                    counts: c.counts,
                    tcp: c.tcp,
                    line: number,
                });
            }
            Line::AttemptFailed(a) => {
                self.seen(a.ended_ns);
                self.attempts.push((number, a));
            }
            Line::Outage(o) => self.outages.push(o),
            Line::Sample(s) => {
                self.seen(s.at_ns);
                self.samples.push((number, s));
            }
            Line::Event(e) => self.seen(e.at_ns),
            Line::Footer(f) => self.footer = Some(f),
            Line::Header(_) | Line::Slot(_) => {}
        }
    }

    fn conn(&mut self, e: &Established, number: u64) -> &mut Conn {
        let conns = &mut self.conns;
        let at = *self.by_id.entry(e.conn).or_insert_with(|| {
            conns.push(Conn::new(e, number));
            conns.len() - 1
        });
        &mut self.conns[at]
    }

    fn seen(&mut self, ns: u64) {
        self.last_ns = self.last_ns.max(signed(ns));
    }

    /// The worst lateness of each sample that can be read, in the order of time. Read once: it takes long.
    pub fn lateness(&self) -> &[Late] {
        self.lateness.get_or_init(|| {
            let worst = |(line, s): &(u64, &Sample)| {
                let max_ns = Histogram::decode(&s.lateness).ok()?.max();
                Some(Late { line: *line, since_ns: signed(s.since_ns), at_ns: signed(s.at_ns), max_ns })
            };
            let mut all: Vec<Late> = self.samples.iter().filter_map(worst).collect();
            all.sort_by_key(|l| (l.at_ns, l.since_ns));
            all
        })
    }

    /// The worst lateness of the samples that touch a span, and whether every sample of it is there.
    pub fn late_in(&self, from: i64, to: i64) -> (Option<Late>, bool) {
        let lateness = self.lateness();
        let first = lateness.partition_point(|l| l.at_ns < from);
        let touched = lateness[first..].iter().take_while(|l| l.since_ns <= to);
        let (mut worst, mut whole_to): (Option<Late>, i64) = (None, from);
        for late in touched {
            if late.since_ns <= whole_to {
                whole_to = whole_to.max(late.at_ns);
            }
            if worst.is_none_or(|w| late.max_ns >= w.max_ns) {
                worst = Some(*late);
            }
        }
        (worst, whole_to >= to)
    }

    /// The local end that the plan gave a slot; port 0: the kernel's choice of it.
    pub fn source(&self, slot: SlotId) -> Option<SocketAddr> {
        self.ends.get(slot.0 as usize).map(|s| canonical(s.0))
    }

    /// Where a connection is in `conns`.
    pub fn position(&self, id: ConnId) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    /// The last connection before this one that had the same two ends, as far as is told.
    pub fn same_ends_before(&self, conn: &Conn) -> Option<usize> {
        let uses = self.by_ends.get(&(conn.local, conn.remote))?;
        let before = uses.partition_point(|at| self.conns[*at].attempt_ns < conn.attempt_ns);
        uses.get(before.checked_sub(1)?).copied()
    }

    /// The connection that replaced this one.
    pub fn replacement(&self, id: ConnId) -> Option<&Conn> {
        let next = ConnId { slot: id.slot, nth: id.nth.checked_add(1)? };
        self.position(next).map(|at| &self.conns[at])
    }
}
