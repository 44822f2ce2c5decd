//! tg journals told in ctraffic's terms.

use super::{LOSSY, OUTPUTS, lossy, printed, written};
use proptest::prelude::*;
use std::net::SocketAddr;
use tg_model::counts::{Counts, Dropped};
use tg_model::ctraffic::{Analysis, ConnStat, FromJournal, Statistics, from_journal};
use tg_model::histogram::Histogram;
use tg_model::id::{ConnId, SlotId};
use tg_model::journal::{
    AttemptFailed, Closed, Ending, Established, Footer, Header, Identified, Line, Outage, Reader, Sample, Totals,
    encode_line,
};
use tg_model::outcome::{AttemptFailure, EndReason};
use tg_model::plan::{Plan, PlanSpec, Rate, Target};
use tg_model::tcp_info::TcpInfo;

const REMOTE: &str = "[::1]:5993";

fn header(rate: Rate, change: impl FnOnce(&mut PlanSpec)) -> Header {
    let remote: SocketAddr = REMOTE.parse().unwrap();
    let mut spec = PlanSpec { conns: 16, rate, ..PlanSpec::new([Target::from(remote)]) };
    if rate == Rate::Unlimited {
        spec.mode = tg_model::plan::Mode::ClosedLoop;
    }
    change(&mut spec);
    Header {
        tg_version: "0.1.0".into(),
        command: Vec::new(),
        plan: Plan::try_from(spec).unwrap(),
        period_ns: None,
        engine: "simulated".into(),
        engine_note: None,
        nap_ns: 0,
        spin_ns: 0,
        machine: "vm".into(),
        kernel: String::new(),
        boot_id: String::new(),
        monotonic_ns: 0,
        realtime_ns: u64::try_from(lossy().started.as_nanosecond()).unwrap(),
    }
}

fn conn(slot: u32, nth: u64) -> ConnId {
    ConnId { slot: SlotId(slot), nth }
}

fn established(conn: ConnId, first_attempt_ns: u64, established_ns: u64) -> Established {
    Established {
        conn,
        first_attempt_ns,
        attempt_ns: established_ns,
        established_ns,
        failed_attempts: 0,
        local: format!("[::1]:{}", 40000 + conn.slot.0).parse().unwrap(),
        remote: REMOTE.parse().unwrap(),
    }
}

fn closed(established: Established, ended_ns: u64, reason: EndReason) -> Closed {
    let counts = Counts { intended: 9, sent: 7, received: 6, lost_in_flight: 1, ..Counts::default() };
    let dropped = Dropped { late: 2, ..Dropped::default() };
    Closed {
        established,
        ended_ns,
        reason,
        errno: None,
        detail: None,
        detection_ns: 0,
        host: Some("pod-1".into()),
        identity: None,
        counts: Counts { dropped, ..counts },
        tcp: Some(TcpInfo { total_retrans: 3, ..TcpInfo::default() }),
    }
}

fn attempt_failed(slot: u32, started_ns: u64, ended_ns: u64) -> Line {
    Line::AttemptFailed(AttemptFailed {
        slot: SlotId(slot),
        started_ns,
        ended_ns,
        failure: AttemptFailure::Refused,
        errno: Some(111),
        detail: None,
        remote: None,
    })
}

fn outage(slot: u32, lost: Option<ConnId>, first_attempt_ns: u64) -> Line {
    Line::Outage(Outage {
        slot: SlotId(slot),
        lost,
        replacement: None,
        since_ns: first_attempt_ns,
        first_attempt_ns: Some(first_attempt_ns),
        detection_ns: 0,
        reconnect_ns: 0,
        wait_ns: 0,
        failed_attempts: 0,
        over: false,
    })
}

fn totals(sent: u64, received: u64, dropped: u64) -> Totals {
    let dropped = Dropped { no_connection: dropped, ..Dropped::default() };
    Totals { counts: Counts { sent, received, dropped, ..Counts::default() }, ..Totals::default() }
}

fn sample(at_ns: u64, totals: Totals) -> Line {
    let nothing = Histogram::default().encode();
    Line::Sample(Box::new(Sample {
        at_ns,
        since_ns: 0,
        realtime_ns: 0,
        active: 0,
        connecting: 0,
        totals,
        latency: nothing.clone(),
        service_time: nothing.clone(),
        lateness: nothing,
    }))
}

fn footer(ended_ns: u64, totals: Totals) -> Line {
    Line::Footer(Footer {
        ending: Ending::Planned,
        error: None,
        zero_ns: Some(0),
        stopped_ns: ended_ns,
        ended_ns,
        totals,
        records_lost: 0,
        cpu_ns: 0,
    })
}

/// Through text, as a file has it.
fn told(header: Header, lines: &[Line]) -> Statistics {
    let mut text = Vec::new();
    encode_line(&Line::Header(Box::new(header)), &mut text);
    lines.iter().for_each(|line| encode_line(line, &mut text));
    let mut reader = Reader::new(text.as_slice()).unwrap();
    let stats = from_journal(&mut reader).unwrap();
    assert_eq!(reader.notes(), &Default::default());
    stats
}

/// The real run as tg would have recorded it.
fn lossy_as_journal() -> Vec<Line> {
    let real = lossy();
    let mut lines: Vec<Line> = (0..55).map(|i| attempt_failed(i % 16, 4_100_000_000, 4_100_000_001)).collect();
    let mut by_end: Vec<_> = real.conn_stats.iter().enumerate().collect();
    by_end.sort_by_key(|(_, e)| e.ended_ns);
    for (i, e) in by_end {
        let id = conn(i as u32 % 16, i as u64 / 16);
        let mut line = established(id, e.started_ns, e.connect_ns);
        line.local = e.local.parse().unwrap();
        lines.push(Line::Established(line.clone()));
        let reason = if e.err.is_empty() { EndReason::Completed } else { EndReason::ClosedByPeer };
        let counts = Counts { sent: e.sent, received: e.received, ..Counts::default() };
        let line = Closed { counts, host: Some(e.host.clone()), tcp: None, ..closed(line, e.ended_ns, reason) };
        lines.push(Line::Closed(Box::new(line)));
    }
    for s in &real.samples {
        lines.push(sample(s.time_ns, totals(s.sent, s.received, s.dropped)));
    }
    lines.push(footer(real.duration_ns, totals(real.sent, real.received, 0)));
    lines
}

#[test]
fn a_journal_of_the_real_run_makes_the_real_file_and_the_real_tables() {
    let stats = told(header(Rate::PerConnection(5.0), |_| {}), &lossy_as_journal());
    assert_eq!(written(&stats), LOSSY);
    for (analysis, output) in OUTPUTS {
        assert_eq!(printed(&stats, analysis), output, "{analysis:?}");
    }
}

#[test]
fn rate_is_kib_a_second_over_all_connections() {
    let rate = |r, size| FromJournal::new(&header(r, |spec| spec.size = size)).finish().rate;
    assert_eq!(rate(Rate::PerConnection(5.0), 1024), 80.0);
    assert_eq!(rate(Rate::PerConnection(5.0), 512), 40.0);
    assert_eq!(rate(Rate::Total(400.0), 64), 25.0);
    assert_eq!(rate(Rate::Unlimited, 1024), 0.0);
}

#[test]
fn a_closed_connection_is_told_in_full() {
    let mut line = closed(established(conn(3, 0), 0, 0), 0, EndReason::Reset);
    line.errno = Some(104);
    line.detail = Some("in mid-packet".into());
    let stats = told(
        header(Rate::Total(16.0), |_| {}),
        &[Line::Closed(Box::new(line)), footer(2_000_000_000, Totals { lost: 1, ..totals(70, 60, 25) })],
    );
    let entry = ConnStat {
        started_ns: 0,
        connect_ns: 1,
        ended_ns: 1,
        err: "reset: Connection reset by peer: in mid-packet".into(),
        sent: 7,
        received: 6,
        dropped: 2,
        retransmits: 3,
        local: "[::1]:40003".into(),
        remote: REMOTE.into(),
        host: "pod-1".into(),
    };
    assert_eq!(stats.conn_stats, [entry]);
    assert_eq!((stats.sent, stats.received, stats.dropped, stats.retransmits), (70, 60, 25, 3));
    assert_eq!((stats.failed_connections, stats.failed_connects, stats.duration_ns), (1, 0, 2_000_000_000));
}

#[test]
fn only_a_completed_connection_has_no_error() {
    for reason in EndReason::ALL {
        let line = closed(established(conn(0, 0), 1, 2), 3, *reason);
        let stats = told(header(Rate::Total(16.0), |_| {}), &[Line::Closed(Box::new(line))]);
        assert_eq!(stats.conn_stats[0].err.is_empty(), *reason == EndReason::Completed, "{reason}");
        assert_eq!(stats.failed_connections, u64::from(reason.is_lost()), "{reason}");
    }
}

#[test]
fn a_slot_without_connection_at_the_end_has_an_entry_that_never_connected() {
    let lost = closed(established(conn(0, 0), 5, 6), 7, EndReason::Reset);
    let lines = [
        Line::Closed(Box::new(lost)),
        attempt_failed(0, 9, 10),
        attempt_failed(1, 4, 5),
        outage(0, Some(conn(0, 0)), 8),
        outage(1, None, 4),
        footer(1000, Totals { failed_attempts: 2, ..Totals::default() }),
    ];
    let never = |started_ns| ConnStat { started_ns, ended_ns: 1000, ..ConnStat::default() };
    let stats = told(header(Rate::Total(16.0), |_| {}), &lines);
    assert_eq!(stats.failed_connects, 2);
    assert_eq!(stats.conn_stats.len(), 3);
    assert_eq!(stats.conn_stats[0], never(4));
    assert_eq!(stats.conn_stats[2], never(8));

    let mut untried = lines.clone();
    let Line::Outage(outage) = &mut untried[3] else { panic!("another line") };
    outage.first_attempt_ns = None;
    let once = told(header(Rate::Total(16.0), |spec| spec.reconnect = false), &untried);
    assert_eq!(once.conn_stats, stats.conn_stats[..2]);
}

#[test]
fn a_cut_journal_ends_at_the_last_time_seen() {
    let identified = Identified { conn: conn(1, 0), at_ns: 1_500_000_000, host: Some("pod-2".into()), identity: None };
    let lines = [
        Line::Established(established(conn(0, 0), 10, 20)),
        Line::Established(established(conn(1, 0), 11, 21)),
        attempt_failed(2, 12, 22),
        Line::Closed(Box::new(closed(established(conn(0, 0), 10, 20), 600_000_000, EndReason::ClosedByPeer))),
        attempt_failed(0, 700_000_000, 700_000_001),
        attempt_failed(0, 800_000_000, 800_000_001),
        attempt_failed(2, 800_000_002, 800_000_003),
        Line::Identified(identified),
        sample(2_000_000_000, totals(5, 4, 1)),
        Line::Established(established(conn(2, 0), 12, 2_100_000_000)),
    ];
    let stats = told(header(Rate::Total(16.0), |_| {}), &lines);
    let shown: Vec<_> =
        stats.conn_stats.iter().map(|e| (e.started_ns, e.connect_ns, e.ended_ns, &*e.err, &*e.host)).collect();
    let end = 2_100_000_000;
    let want = [
        (10, 20, 600_000_000, "EOF", "pod-1"),
        (11, 21, end, "", "pod-2"),
        (12, end, end, "", ""),
        (700_000_000, 0, end, "", ""),
    ];
    assert_eq!(shown, want);
    assert_eq!((stats.duration_ns, stats.failed_connections, stats.failed_connects), (end, 1, 4));
    // The closed connection's packets are more than the last sample knew.
    assert_eq!((stats.sent, stats.received, stats.dropped), (7, 6, 2));
    assert_eq!(printed(&stats, Analysis::Hosts), "Lost connections: 1\n  pod-1 1\nLasting connections: 1\n  pod-2 1\n");
    let rows = "Time Active New Failed Connecting\n0.5 1 3 1 2\n1.5 1 0 0 2\n";
    assert_eq!(printed(&stats, Analysis::Connections), rows);
}

#[test]
fn a_header_alone_is_a_run_of_nothing() {
    let stats = told(header(Rate::Total(16.0), |_| {}), &[]);
    assert_eq!((stats.duration_ns, stats.conn_stats.len(), stats.samples.len()), (0, 0, 0));
    assert_eq!(stats.connections, 16);
}

proptest! {
    /// Lines lost, doubled or out of order: still a file that ctraffic's scripts can read.
    #[test]
    fn any_lines_make_a_file(picks in prop::collection::vec((0usize..200, any::<bool>()), 0..60)) {
        let lines = lossy_as_journal();
        let mut fold = FromJournal::new(&header(Rate::PerConnection(5.0), |_| {}));
        let mut closed = 0;
        for (at, absurd) in picks {
            let mut line = lines[at % lines.len()].clone();
            if let (true, Line::Closed(c)) = (absurd, &mut line) {
                (c.ended_ns, c.counts.sent, c.errno) = (u64::MAX, u64::MAX, Some(i32::MIN));
                c.counts.dropped = Dropped { late: u64::MAX, buffer_full: u64::MAX, ..Dropped::default() };
            }
            closed += usize::from(matches!(line, Line::Closed(_)));
            fold.push(&line);
        }
        let stats = fold.finish();
        prop_assert!(stats.conn_stats.len() >= closed);
        prop_assert!(stats.conn_stats.iter().all(|e| e.ended_ns > 0));
        prop_assert!(stats.conn_stats.is_sorted_by_key(|e| e.started_ns));
        prop_assert_eq!(Statistics::read(written(&stats).as_bytes()).unwrap(), stats);
    }
}
