//! One run told line by line: the words and numbers that a reader of a report depends on.

use super::super::*;
use super::story::{header, journal, lines, run};
use crate::counts::Counts;
use crate::id::{ConnId, SlotId};
use crate::journal::{AttemptFailed, Closed, Established, Identified, Line, Notes, Outage, Reader};
use crate::outcome::{AttemptFailure, EndReason};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

fn established(slot: u32, nth: u64, established_ns: u64) -> Established {
    Established {
        conn: ConnId { slot: SlotId(slot), nth },
        first_attempt_ns: 0,
        attempt_ns: 0,
        established_ns,
        failed_attempts: 0,
        local: "[::1]:40000".parse().unwrap(),
        remote: "[::1]:5003".parse().unwrap(),
    }
}

fn closed(slot: u32, nth: u64, ended_ns: u64) -> Closed {
    Closed {
        established: established(slot, nth, 0),
        ended_ns,
        reason: EndReason::Reset,
        errno: Some(104),
        detail: None,
        detection_ns: 3,
        host: None,
        identity: None,
        counts: Default::default(),
        tcp: None,
    }
}

fn failed(slot: u32, started_ns: u64, ended_ns: u64) -> AttemptFailed {
    let (failure, errno, detail, remote) = (AttemptFailure::Refused, Some(111), None, None);
    AttemptFailed { slot: SlotId(slot), started_ns, ended_ns, failure, errno, detail, remote }
}

/// A time without service of slot 0, 7 ns of it.
fn outage(lost: Option<u64>, replacement: Option<u64>, over: bool) -> Line {
    let conn = |nth| ConnId { slot: SlotId(0), nth };
    Line::Outage(Outage {
        slot: SlotId(0),
        lost: lost.map(conn),
        replacement: replacement.map(conn),
        since_ns: 0,
        first_attempt_ns: Some(0),
        detection_ns: 1,
        reconnect_ns: 2,
        wait_ns: 4,
        failed_attempts: 0,
        over,
    })
}

fn fold(conns: u32, lines: &[Line]) -> Summary {
    let mut builder = SummaryBuilder::new(&header(conns));
    lines.iter().for_each(|l| builder.push(l));
    builder.finish(&Notes::default())
}

#[test]
fn a_killed_run_counts_the_living_and_the_times_without_service_it_broke_off() {
    let s = fold(
        4,
        &[
            Line::Established(established(0, 0, 10)),
            Line::Identified(Identified {
                conn: ConnId { slot: SlotId(0), nth: 0 },
                at_ns: 20,
                host: Some("pod-1".into()),
                identity: None,
            }),
            Line::Established(established(1, 0, 30)),
            Line::Closed(Box::new(closed(1, 0, 100))),
            Line::Established(established(1, 1, 140)),
            Line::AttemptFailed(failed(2, 50, 60)),
            Line::Established(established(3, 0, 70)),
            Line::Closed(Box::new(closed(3, 0, 200))),
        ],
    );
    assert_eq!((s.ending, s.lost, s.lasting, s.alive_at_cut, s.never_connected), (RunEnding::Cut, 2, 2, 2, 1));
    assert_eq!(s.hosts.lasting, [("pod-1".into(), 1), (UNKNOWN_HOST.into(), 1)].into());
    assert_eq!(s.hosts.lost, [(UNKNOWN_HOST.into(), 2)].into());
    // Slot 1: 3 + 40 + 60; slot 2: since 50; slot 3: 3 ns and the end.
    let o = s.outages;
    assert_eq!((o.count, o.over, o.still_out), (3, 0, 3));
    assert_eq!((o.detection.total_ns, o.reconnect.total_ns, o.wait.total_ns), (6, 40 + 150, 60));
    assert_eq!((o.max_ns, o.total_ns), (150, 256));
    assert_eq!((o.p50_ns, o.detection.p50_ns, o.reconnect.p50_ns), (103, 3, 40));
}

#[test]
fn an_outage_told_by_its_own_line_is_not_counted_again() {
    let s = fold(
        1,
        &[
            Line::Established(established(0, 0, 10)),
            outage(None, Some(0), true),
            Line::Closed(Box::new(closed(0, 0, 100))),
            Line::Established(established(0, 1, 120)),
            outage(Some(0), Some(1), true),
        ],
    );
    assert_eq!((s.outages.count, s.outages.over, s.outages.total_ns), (1, 1, 7));
}

#[test]
fn an_outage_whose_next_line_is_missing_is_counted_apart_from_the_one_after() {
    let s = fold(1, &[outage(Some(0), Some(1), false), outage(Some(1), Some(2), true)]);
    assert_eq!((s.outages.count, s.outages.over, s.outages.still_out), (1, 1, 0), "one goes on in the other");
    let s = fold(1, &[outage(Some(0), Some(1), false), outage(Some(2), Some(3), true)]);
    assert_eq!((s.outages.count, s.outages.over, s.outages.still_out), (2, 1, 1));
    assert_eq!(s.outages.total_ns, 7 + 7);
}

#[test]
fn an_outage_that_goes_on_in_one_without_a_line_is_cut_off_as_one() {
    let s = fold(
        1,
        &[
            Line::Established(established(0, 0, 10)),
            Line::Closed(Box::new(closed(0, 0, 100))),
            Line::Established(established(0, 1, 120)),
            Line::Closed(Box::new(closed(0, 1, 200))),
            outage(Some(0), Some(1), false),
            Line::AttemptFailed(failed(0, 200, 260)),
        ],
    );
    // 7 ns that are told, 3 ns until the second loss was known, and 60 since.
    assert_eq!((s.outages.count, s.outages.still_out, s.outages.total_ns), (1, 1, 70));
}

#[test]
fn a_run_killed_after_its_last_sample_counts_the_packets_of_connections_closed_since() {
    let counts = Counts { intended: 5, sent: 5, received: 4, lost_in_flight: 1, ..Counts::default() };
    let ended = [0, 1].map(|slot| {
        let up = Line::Established(established(slot, 0, 10));
        [up, Line::Closed(Box::new(Closed { counts, ..closed(slot, 0, 100) }))]
    });
    let packets = fold(2, &ended.concat()).packets;
    assert_eq!((packets.intended, packets.sent, packets.received, packets.lost_in_flight), (10, 10, 8, 2));
}

#[test]
fn a_connection_that_closes_after_its_replacement_came_is_lost_and_out_no_longer_than_it_was() {
    let before = [
        Line::Established(established(0, 0, 10)),
        Line::Established(established(0, 1, 120)),
        Line::AttemptFailed(failed(1, 0, 200)),
    ];
    let s = fold(2, &before);
    assert_eq!((s.lost, s.lasting, s.alive_at_cut), (1, 1, 1), "the closing of 0.0 was not written yet");
    let closing = Line::Closed(Box::new(closed(0, 0, 100)));
    let s = fold(2, &[&before[..], &[closing]].concat());
    assert_eq!((s.lost, s.lasting, s.alive_at_cut), (1, 1, 1));
    // Slot 0: 3 + 20 + 80, the last part still going on; slot 1: since 0.
    assert_eq!((s.outages.detection.total_ns, s.outages.wait.total_ns), (3, 80));
    assert_eq!(s.outages.reconnect.total_ns, 20 + 200);
}

#[test]
fn lines_that_cannot_be_read_are_told_with_their_number() {
    let story = run().new_tree(&mut TestRunner::deterministic()).unwrap().current();
    let mut text = journal(story.len() as u32, &lines(&story));
    let second = text.iter().position(|b| *b == b'\n').unwrap() + 1;
    text.splice(second..second, *b"garbage\n");
    let s = Summary::read(Reader::new(text.as_slice()).unwrap()).unwrap();
    assert_eq!(s.journal.unreadable_lines, 1);
    assert_eq!(s.journal.unreadable[0].line, 2);
    assert!(!s.journal.complete);
    assert!(!s.accounting.ok, "a line that cannot be read may have been a connection");
    assert!(s.accounting.violations[0].starts_with("1 line cannot be read: "), "{:?}", s.accounting.violations);
}

#[test]
fn slots_beyond_the_plan_are_a_violation() {
    let s = fold(1, &[Line::Established(established(7, 0, 10))]);
    assert_eq!(s.accounting.violations, ["slot 7: the plan has 1 slots"]);
    let s = fold(1, &[Line::Closed(Box::new(closed(0, 3, 10)))]);
    assert_eq!(s.accounting.violations, ["connection 0.3 ended and was not established"]);
}

#[test]
fn violations_are_all_counted_and_ten_are_shown() {
    let lines: Vec<Line> = (0..25).map(|nth| Line::Closed(Box::new(closed(0, nth, 10)))).collect();
    let s = fold(1, &lines);
    assert_eq!((s.accounting.violation_count, s.accounting.violations.len()), (25, 10));
}

#[test]
fn field_names_are_stable() {
    let json = serde_json::to_value(Summary::default()).unwrap();
    for place in [
        "/ending",
        "/error",
        "/tg_version",
        "/engine",
        "/engine_note",
        "/plan/conns",
        "/plan/rate_per_connection",
        "/plan/rate_total",
        "/plan/size",
        "/plan/transport",
        "/plan/mode",
        "/plan/targets",
        "/started",
        "/started_realtime_ns",
        "/duration_ns",
        "/lost",
        "/lasting",
        "/alive_at_cut",
        "/without_connection",
        "/never_connected",
        "/established",
        "/reconnects",
        "/attempts",
        "/failed_attempts/total",
        "/failed_attempts/local_error",
        "/hosts/lost",
        "/hosts/lasting",
        "/ended/closed_by_peer",
        "/packets/intended",
        "/packets/sent",
        "/packets/received",
        "/packets/dropped/total",
        "/packets/dropped/no_connection",
        "/packets/lost_in_flight",
        "/packets/other_host",
        "/retransmits",
        "/latency/p99_ns",
        "/service_time/p999_ns",
        "/lateness/clamped",
        "/outages/still_out",
        "/outages/reconnect/max_ns",
        "/outages/wait/total_ns",
        "/records_lost",
        "/cpu_ns",
        "/cpu_us_per_packet",
        "/journal/complete",
        "/journal/unreadable_lines",
        "/accounting/ok",
        "/accounting/violations",
    ] {
        assert!(json.pointer(place).is_some(), "{place}");
    }
}
