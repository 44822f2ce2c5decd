//! Runs made up by proptest: what each slot goes through, the journal that tells it, and what a summary
//! must say, counted from the story and not from the journal.

use crate::counts::Counts;
use crate::histogram::Histogram;
use crate::id::{ConnId, SlotId};
use crate::journal::{
    AttemptFailed, Closed, Ending, Established, Event, Footer, Header, Identified, Line, Outage, RunEvent, Sample,
    SlotTotals, Totals, encode_line,
};
use crate::outcome::{AttemptFailure, DropReason, EndReason};
use crate::plan::{Plan, PlanSpec, Target};
use crate::tcp_info::TcpInfo;
use proptest::prelude::*;

pub const ZERO_NS: u64 = 1_000_000;
pub const STOPPED_NS: u64 = 10_001_000_000;

/// One connection: the attempts that failed before it, its packets, its end.
#[derive(Clone, Debug)]
pub struct ConnStory {
    pub failures: Vec<AttemptFailure>,
    pub host: Option<&'static str>,
    pub received: u8,
    pub lost_in_flight: u8,
    pub dropped: Vec<DropReason>,
    pub retransmits: u8,
    pub parts_ns: [u32; 3],
    pub reason: EndReason,
    /// Its closing takes longer than its replacement's connecting.
    pub closes_late: bool,
    /// It ends before it carried a packet of the time without service that it was to end.
    pub unserved: bool,
}

/// One slot: its lost connections, then a lasting one, or none and failures to the end.
#[derive(Clone, Debug)]
pub struct SlotStory {
    pub lost: Vec<ConnStory>,
    pub lasting: Option<ConnStory>,
    pub tail_failures: Vec<AttemptFailure>,
    pub due_without_connection: u8,
}

impl SlotStory {
    pub fn conns(&self) -> impl Iterator<Item = &ConnStory> {
        self.lost.iter().chain(&self.lasting)
    }

    pub fn failures(&self) -> impl Iterator<Item = AttemptFailure> {
        let tail: &[AttemptFailure] = if self.lasting.is_none() { &self.tail_failures } else { &[] };
        self.conns().flat_map(|c| &c.failures).chain(tail).copied()
    }
}

fn conn(reasons: &'static [EndReason]) -> impl Strategy<Value = ConnStory> {
    let dropped = prop::sample::select(&DropReason::ALL[1..]);
    let ending = (prop::sample::select(reasons), any::<bool>(), any::<bool>());
    (
        prop::collection::vec(prop::sample::select(AttemptFailure::ALL), 0..3),
        prop::option::of(prop::sample::select(&["pod-1", "pod-2", "pod.3"][..])),
        (0u8..20, 0u8..4, 0u8..3),
        prop::collection::vec(dropped, 0..4),
        prop::array::uniform3(0u32..2_000_000_000),
        ending,
    )
        .prop_map(|(failures, host, packets, dropped, parts_ns, (reason, closes_late, unserved))| {
            let (received, lost_in_flight, retransmits) = packets;
            ConnStory {
                failures,
                host,
                received,
                lost_in_flight,
                dropped,
                retransmits,
                parts_ns,
                reason,
                closes_late,
                unserved,
            }
        })
}

pub fn run() -> impl Strategy<Value = Vec<SlotStory>> {
    let lasting = conn(&[EndReason::Completed]);
    let failures = prop::collection::vec(prop::sample::select(AttemptFailure::ALL), 1..4);
    let slot = (
        prop::collection::vec(conn(&EndReason::ALL[1..]), 0..4),
        prop::option::weighted(0.8, lasting),
        failures,
        0u8..9,
    )
        .prop_map(|(lost, lasting, tail_failures, due_without_connection)| SlotStory {
            lost,
            lasting,
            tail_failures,
            due_without_connection,
        });
    prop::collection::vec(slot, 1..6)
}

pub fn header(conns: u32) -> Header {
    let spec = PlanSpec { conns, ..PlanSpec::new(["[::1]:5003".parse::<Target>().unwrap()]) };
    Header {
        tg_version: "0.1.0".into(),
        command: vec!["tg-cli".into(), "run".into()],
        plan: Plan::try_from(spec).unwrap(),
        period_ns: Some(200_000_000),
        engine: "simulated".into(),
        engine_note: None,
        nap_ns: 0,
        spin_ns: 0,
        machine: "m".into(),
        kernel: "6.18".into(),
        boot_id: "b".into(),
        monotonic_ns: 5,
        realtime_ns: 1_795_399_522_770_350_151,
    }
}

/// Writes a run's journal.
struct Teller {
    lines: Vec<Line>,
    totals: Totals,
    latency: Histogram,
    lateness: Histogram,
    at_ns: u64,
}

impl Teller {
    fn tick(&mut self) -> u64 {
        self.at_ns += 1000;
        self.at_ns
    }

    fn sample(&mut self) {
        let at_ns = self.tick();
        self.lines.push(Line::Sample(Box::new(Sample {
            at_ns,
            since_ns: 0,
            realtime_ns: at_ns,
            active: 0,
            connecting: 0,
            totals: self.totals,
            latency: self.latency.encode(),
            service_time: self.latency.encode(),
            lateness: self.lateness.encode(),
        })));
        self.latency.clear();
        self.lateness.clear();
    }

    fn failure(&mut self, slot: SlotId, failure: AttemptFailure) {
        let (started_ns, ended_ns) = (self.tick(), self.tick());
        self.totals.attempts += 1;
        self.totals.failed_attempts += 1;
        let (errno, detail, remote) = (Some(111), None, Some("[::1]:5003".parse().unwrap()));
        self.lines.push(Line::AttemptFailed(AttemptFailed {
            slot,
            started_ns,
            ended_ns,
            failure,
            errno,
            detail,
            remote,
        }));
    }

    fn established(&mut self, conn: ConnId, story: &ConnStory) -> Established {
        story.failures.iter().for_each(|f| self.failure(conn.slot, *f));
        self.totals.attempts += 1;
        self.totals.established += 1;
        let line = Established {
            conn,
            first_attempt_ns: self.tick(),
            attempt_ns: self.tick(),
            established_ns: self.tick(),
            failed_attempts: story.failures.len() as u64,
            local: "[::1]:40000".parse().unwrap(),
            remote: "[::1]:5003".parse().unwrap(),
        };
        self.lines.push(Line::Established(line.clone()));
        let at_ns = self.tick();
        let host = story.host.map(str::to_owned);
        self.lines.push(Line::Identified(Identified { conn, at_ns, host, identity: None }));
        line
    }

    fn closed(&mut self, established: Established, story: &ConnStory) {
        let mut counts = Counts::default();
        for _ in 0..story.received {
            counts.count_intended();
            counts.count_sent();
            counts.count_received();
            self.latency.record(123_000);
            self.lateness.record(5_000);
        }
        for _ in 0..story.lost_in_flight {
            counts.count_intended();
            counts.count_sent();
            counts.count_lost_in_flight();
            self.lateness.record(5_000);
        }
        for reason in &story.dropped {
            counts.count_intended();
            counts.count_dropped(*reason);
        }
        self.totals.counts.add(&counts);
        self.totals.lost += u64::from(story.reason.is_lost());
        let ended_ns = self.tick();
        self.lines.push(Line::Closed(Box::new(Closed {
            established,
            ended_ns,
            reason: story.reason,
            errno: None,
            detail: None,
            detection_ns: u64::from(story.parts_ns[0]),
            host: story.host.map(str::to_owned),
            identity: None,
            counts,
            tcp: Some(TcpInfo { total_retrans: u32::from(story.retransmits), ..TcpInfo::default() }),
        })));
    }

    fn outage(&mut self, slot: SlotId, lost: Option<u64>, parts_ns: [u32; 3], replacement: Option<(u64, bool)>) {
        let conn = |nth| ConnId { slot, nth };
        self.lines.push(Line::Outage(Outage {
            slot,
            lost: lost.map(conn),
            replacement: replacement.map(|(nth, _)| conn(nth)),
            since_ns: 0,
            first_attempt_ns: Some(0),
            detection_ns: u64::from(parts_ns[0]),
            reconnect_ns: u64::from(parts_ns[1]),
            wait_ns: u64::from(parts_ns[2]),
            failed_attempts: 0,
            over: replacement.is_some_and(|(_, unserved)| !unserved),
        }));
    }

    fn slot(&mut self, slot: SlotId, story: &SlotStory) {
        let (mut lost, mut nth, mut parts_ns) = (None, 0, [7; 3]);
        let mut closing = None;
        for conn in story.conns() {
            let established = self.established(ConnId { slot, nth }, conn);
            self.outage(slot, lost, parts_ns, Some((nth, conn.unserved)));
            if let Some((established, conn)) = closing.take() {
                self.closed(established, conn);
            }
            if conn.closes_late {
                closing = Some((established, conn));
            } else {
                self.closed(established, conn);
            }
            (lost, nth, parts_ns) = (Some(nth), nth + 1, conn.parts_ns);
        }
        if let Some((established, conn)) = closing {
            self.closed(established, conn);
        }
        if story.lasting.is_none() {
            story.tail_failures.iter().for_each(|f| self.failure(slot, *f));
            self.outage(slot, lost, parts_ns, None);
        }
        for _ in 0..story.due_without_connection {
            self.totals.counts.count_intended();
            self.totals.counts.count_dropped(DropReason::NoConnection);
        }
    }
}

/// The run's lines after the header.
pub fn lines(run: &[SlotStory]) -> Vec<Line> {
    let mut t = Teller {
        lines: vec![Line::Event(Event { at_ns: ZERO_NS, event: RunEvent::ScheduleStart { zero_ns: ZERO_NS } })],
        totals: Totals::default(),
        latency: Histogram::default(),
        lateness: Histogram::default(),
        at_ns: ZERO_NS,
    };
    let (mut before, mut slots) = (Totals::default(), Vec::new());
    for (i, story) in run.iter().enumerate() {
        t.slot(SlotId(i as u32), story);
        t.sample();
        slots.push(SlotTotals { slot: SlotId(i as u32), totals: minus(t.totals, before) });
        before = t.totals;
    }
    t.lines.extend(slots.into_iter().map(Line::Slot));
    t.lines.push(Line::Footer(Footer {
        ending: Ending::Planned,
        error: None,
        zero_ns: Some(ZERO_NS),
        stopped_ns: STOPPED_NS,
        ended_ns: STOPPED_NS + 1,
        totals: t.totals,
        records_lost: 0,
        cpu_ns: 1_000_000,
    }));
    t.lines
}

/// The whole journal as text.
pub fn journal(conns: u32, lines: &[Line]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_line(&Line::Header(Box::new(header(conns))), &mut out);
    lines.iter().for_each(|l| encode_line(l, &mut out));
    out
}

fn minus(a: Totals, b: Totals) -> Totals {
    let number = |t: Totals| serde_json::to_value(t).unwrap();
    let (mut a, b) = (number(a), number(b));
    subtract(&mut a, &b);
    serde_json::from_value(a).unwrap()
}

fn subtract(a: &mut serde_json::Value, b: &serde_json::Value) {
    match a {
        serde_json::Value::Object(fields) => fields.iter_mut().for_each(|(k, v)| subtract(v, &b[k])),
        number => *number = (number.as_u64().unwrap() - b.as_u64().unwrap()).into(),
    }
}
