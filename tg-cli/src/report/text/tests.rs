//! Whole reports as they are printed. A change of form shows here.

use super::*;
use std::path::Path;
use tg_model::plan::Mode;
use tg_model::summary::{Accounting, JournalState, Part, RunEnding, Spread, UnreadableLine};

/// The seed's run with the scheduler "rr", cut down to three pods.
fn upgrade() -> Summary {
    let mut s = Summary {
        ending: RunEnding::Planned,
        tg_version: "0.1.0".into(),
        engine: "epoll".into(),
        engine_note: Some("io_uring cannot be used here: Operation not permitted".into()),
        started: "2026-11-23T02:05:22.770350151Z".into(),
        duration_ns: 10_000_000_000,
        lost: 46,
        lasting: 79,
        without_connection: 1,
        established: 125,
        reconnects: 46,
        attempts: 131,
        retransmits: 3,
        cpu_us_per_packet: Some(12.34),
        accounting: Accounting { ok: true, ..Accounting::default() },
        journal: JournalState { complete: true, ..JournalState::default() },
        ..Summary::default()
    };
    s.plan.rate_per_connection = Some(5.0);
    s.plan.rate_total = Some(400.0);
    s.plan.targets = vec!["[2001:db8::1]:5003".into()];
    let hosts = |list: &[(&str, u64)]| list.iter().map(|(h, n)| ((*h).to_owned(), *n)).collect();
    s.hosts.lost =
        hosts(&[("mserver-8d75c6567-67wxl", 19), ("mserver-8d75c6567-55fdh", 13), ("mserver-8d75c6567-jnccq", 14)]);
    s.hosts.lasting = hosts(&[("mserver-5d54db6df5-8mcvl", 40), ("mserver-5d54db6df5-dfs76", 39)]);
    (s.ended.completed, s.ended.reset, s.ended.closed_by_peer) = (79, 6, 40);
    (s.failed_attempts.total, s.failed_attempts.refused, s.failed_attempts.timeout) = (6, 5, 1);
    let p = &mut s.packets;
    (p.intended, p.sent, p.received, p.lost_in_flight) = (4000, 3950, 3930, 20);
    p.dropped.total = 50;
    (p.dropped.by.no_connection, p.dropped.by.in_flight_limit) = (48, 2);
    s.latency = Spread {
        count: 3930,
        p50_ns: 123_456,
        p90_ns: 234_567,
        p99_ns: 1_500_000,
        p999_ns: 20_000_000,
        max_ns: 900_000_000,
        clamped: 0,
    };
    s.service_time = Spread { p50_ns: 110_000, ..s.latency };
    s.lateness = Spread {
        count: 3950,
        p50_ns: 2_000,
        p90_ns: 9_000,
        p99_ns: 12_000,
        p999_ns: 50_000,
        max_ns: 99_000,
        clamped: 0,
    };
    let o = &mut s.outages;
    (o.count, o.over, o.still_out, o.total_ns, o.max_ns, o.p50_ns) =
        (46, 45, 1, 5_400_000_000, 1_230_000_000, 101_000_000);
    o.detection = Part { p50_ns: 0, max_ns: 1_000_000_000, total_ns: 1_100_000_000 };
    o.reconnect = Part { p50_ns: 300_000, max_ns: 120_000_000, total_ns: 300_000_000 };
    o.wait = Part { p50_ns: 100_000_000, max_ns: 199_000_000, total_ns: 4_000_000_000 };
    s
}

fn fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
}

#[test]
fn an_upgrade() {
    let text = text(&upgrade(), &Kept::At(Path::new("run.jsonl")));
    let want = "\
Lost connections: 46
  mserver-8d75c6567-55fdh 13
  mserver-8d75c6567-67wxl 19
  mserver-8d75c6567-jnccq 14
Lasting connections: 79
  mserver-5d54db6df5-8mcvl 40
  mserver-5d54db6df5-dfs76 39

Why they were lost
  reset                     6  the server, or somebody on the way, reset it
  closed-by-peer           40  the server closed it

Failed attempts to connect: 6 of 131 (they are not lost connections)
  refused                   5  nobody listens there
  timeout                   1  no answer within --connect-timeout

Without a connection at the end: 1 of 80 places

Time without service: 5.4 s in all, 46 times, 1 not over at the end
                                           median      longest       in all
  whole                                    101 ms       1.23 s        5.4 s
    until the loss was known                 0 ns          1 s        1.1 s
    until connected again                  300 µs       120 ms       300 ms
    until the next packet was due          100 ms       199 ms          4 s

                         p50         p90         p99       p99.9         max
Latency               123 µs      235 µs      1.5 ms       20 ms      900 ms
Service time          110 µs      235 µs      1.5 ms       20 ms      900 ms
Lateness                2 µs        9 µs       12 µs       50 µs       99 µs
  Latency: from when a packet was due to its echo. Service time: from when it
    was sent. Lateness: from due to sent, this machine's own part.

Packets due              4000 = 3950 sent + 50 dropped
Packets sent             3950 = 3930 echoed + 20 lost in flight

Why packets were dropped
  no-connection            48  there was no connection
  in-flight-limit           2  as many echoes were out as --in-flight allows
TCP segments retransmitted: 3

Run: 80 connections, 5 packets/s each (400 in all), 1024 bytes, TCP, open loop,
  10 s, engine epoll (io_uring cannot be used here: Operation not permitted),
  12.3 µs of CPU a packet, from 2026-11-23T02:05:22Z, tg 0.1.0
To [2001:db8::1]:5003

Next
  tg-cli report run.jsonl --analyze connections    second by second
  tg-cli report run.jsonl --format json            every figure
";
    assert_eq!(text, want, "{text}");
    fits(&text);
}

#[test]
fn a_run_that_lost_nothing_says_little() {
    let mut s = Summary { ending: RunEnding::Planned, lasting: 80, ..Summary::default() };
    s.hosts.lasting.insert("pod-1".into(), 80);
    s.accounting.ok = true;
    s.plan.mode = Mode::ClosedLoop;
    let text = text(&s, &Kept::Not);
    assert!(text.starts_with("Lost connections: 0\nLasting connections: 80\n  pod-1 80\n\nPackets due"), "{text}");
    assert!(text.contains("as fast as echoes return"), "{text}");
    assert!(text.contains("run … --output run.jsonl"), "{text}");
    for absent in ["Why", "Failed", "Without", "Time without", "Latency", "!"] {
        assert!(!text.contains(absent), "{absent}: {text}");
    }
    fits(&text);
}

#[test]
fn doubts_stand_before_the_numbers() {
    let mut s = upgrade();
    s.ending = RunEnding::Cut;
    s.alive_at_cut = 79;
    s.journal.unreadable_lines = 12;
    s.journal.unreadable = vec![UnreadableLine { line: 7, reason: "x".into() }];
    s.accounting = Accounting {
        ok: false,
        violations: vec![
            "slot 3, lost: 1 counted, 2 stated".into(),
            "run: sent 5 is not received 1 + lost in flight 3".into(),
        ],
        violation_count: 14,
        unchecked: Vec::new(),
    };
    let text = text(&s, &Kept::At(Path::new("/var/tmp/my run.jsonl")));
    let want = "\
! The journal has no end: the run was killed, or still goes on. This is what it
  holds: 79 connections alive where it breaks off, shown as lasting; packets as
  of its last sample.
! 12 lines of the journal cannot be read: 7 …
! The numbers do not add up, in 14 places:
    slot 3, lost: 1 counted, 2 stated
    run: sent 5 is not received 1 + lost in flight 3

Lost connections: 46
";
    assert!(text.starts_with(want), "{text}");
    assert!(text.contains("'/var/tmp/my run.jsonl'"), "{text}");
    fits(&text);
    let failed = super::text(&Summary { ending: RunEnding::Failed, error: Some("ENOMEM".into()), ..s }, &Kept::Not);
    assert!(failed.starts_with("! The run ended early: ENOMEM\n"), "{failed}");
}

#[test]
fn long_names_and_many_hosts_keep_the_page_in_shape() {
    let mut s = upgrade();
    s.hosts.lost = (0..100u64).map(|n| (format!("{n:03}-{}", "x".repeat(90)), n)).collect();
    s.hosts.lasting.insert("evil\x1b[2J\nname".into(), u64::MAX);
    let text = text(&s, &Kept::Not);
    fits(&text);
    assert!(!text.contains('\x1b'), "{text:?}");
    let lost: Vec<&str> = text.lines().skip(1).take_while(|l| !l.starts_with("Lasting")).collect();
    assert_eq!(lost.len(), 41);
    assert!(lost[0].starts_with("  060-xxx") && lost[0].ends_with("… 60"), "those with the most, by name: {}", lost[0]);
    assert_eq!(lost[40], "  … and 60 more hosts with 1770 connections");
}

#[test]
fn what_a_newcomer_would_ask() {
    let mut s =
        Summary { ending: RunEnding::Planned, never_connected: 80, without_connection: 80, ..Summary::default() };
    let text = super::text(&s, &Kept::Not);
    assert!(text.contains("tg-cli serve"), "{text}");
    assert!(text.contains("Without a connection at the end: 80 of 80 places, 80 of them at any time\n"), "{text}");
    s.lateness.p99_ns = 3_000_000;
    assert!(super::text(&s, &Kept::Not).contains("p99 3 ms): `tg-cli doctor`"));
    s.plan.transport = Transport::Udp;
    s.packets.reordered = 4;
    let text = super::text(&s, &Kept::Not);
    assert!(text.contains("Echoes: 0 late, 0 duplicate, 4 reordered, 0 from another host"), "{text}");
    fits(&text);
}
