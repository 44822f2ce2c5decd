//! Attempts to connect: when, where to, how they fail, and the wait after that.

use crate::hand::{Hand, LOCAL, ORIGIN, at, ns};
use std::net::SocketAddr;
use std::time::Duration;
use tg_core::driver::Command;
use tg_core::engine::{Closing, Event, Token};
use tg_model::outcome::AttemptFailure;
use tg_model::plan::{Backoff, PlanSpec, Resolve, Source, Target, Transport};
use tg_model::time::Nanos;

const ECONNREFUSED: i32 = 111;
const REFUSED: Event = Event::ConnectFailed { errno: ECONNREFUSED };

fn wide_backoff(spec: &mut PlanSpec) {
    spec.backoff = Backoff { min: Duration::from_millis(100), max: Duration::from_millis(700) };
}

#[test]
fn backoff_doubles_up_to_its_cap_less_a_tenth_at_most() {
    let mut hand = Hand::new(wide_backoff);
    hand.poll(0);
    let mut now = ORIGIN;
    for full in [100, 200, 400, 700, 700] {
        assert_eq!(hand.connects().len(), 1);
        hand.event(0, REFUSED);
        hand.poll_at(now);
        let wait = hand.wake.at.since(now);
        assert!(wait > Nanos::from_millis(full * 9 / 10) - Nanos(2) && wait <= Nanos::from_millis(full), "{wait:?}");
        now = hand.wake.at - Nanos(1);
        hand.poll_at(now);
        assert_eq!(hand.connects().len(), 0);
        now = now + Nanos(1);
        hand.poll_at(now);
    }
}

#[test]
fn a_deadline_left_over_from_the_lost_connection_cuts_no_backoff_short() {
    let mut hand = Hand::up(|s| s.backoff = Backoff { min: Duration::from_millis(500), max: Duration::from_secs(1) });
    hand.tick(100);
    hand.poll(1_000);
    hand.event(0, Event::PeerClosed);
    hand.event(0, REFUSED);
    hand.commands.clear();
    // The echo of the packet of 100 ms would have been overdue.
    hand.poll(1_100);
    assert_eq!(hand.connects().len(), 0);
    hand.poll(1_449);
    assert_eq!(hand.connects().len(), 0);
    hand.poll(1_500);
    assert_eq!(hand.connects().len(), 1);
}

#[test]
fn backoff_is_spread_by_the_seed() {
    let mut hand = Hand::new(|s| s.conns = 20);
    hand.poll(1);
    let mut waits = Vec::new();
    for slot in 0..20 {
        hand.event(slot, REFUSED);
    }
    hand.commands.clear();
    hand.poll(1);
    while waits.len() < 20 {
        let due = hand.wake.at;
        hand.poll_at(due);
        waits.extend(hand.connects().iter().map(|_| due));
    }
    waits.dedup();
    assert!(waits.len() > 15, "{waits:?}");
}

#[test]
fn an_establishment_begins_backoff_anew() {
    let mut hand = Hand::up(wide_backoff);
    hand.poll(2);
    hand.event(0, Event::PeerClosed);
    assert_eq!(hand.connects().len(), 1, "at once after a loss");
    for ms in [1_000, 2_000] {
        hand.event(0, REFUSED);
        hand.poll(ms);
        assert_eq!(hand.connects().len(), 1);
    }
    hand.connected(0);
    hand.event(0, Event::PeerClosed);
    hand.event(0, REFUSED);
    hand.commands.clear();
    hand.poll(2_100);
    assert_eq!(hand.connects().len(), 1, "the shortest wait");
}

#[test]
fn first_attempts_are_spread_over_the_ramp() {
    let mut hand = Hand::new(|s| (s.conns, s.ramp) = (4, Duration::from_millis(400)));
    for (slot, ms) in [0, 100, 200, 300].into_iter().enumerate() {
        hand.poll_at(at(ms + 100) - Nanos(1));
        let connects = hand.connects();
        assert_eq!(connects.len(), 1, "at {ms}");
        assert_eq!(connects[0].0.slot, slot as u32);
    }
    assert_eq!(hand.live(), (0, 4));
}

#[test]
fn without_a_ramp_they_are_20_microseconds_apart() {
    let mut hand = Hand::new(|s| s.conns = 3);
    for slot in 0..3 {
        hand.poll_at(at(0) + Nanos(slot * 20_000));
        assert_eq!(hand.connects().len(), 1);
        hand.poll_at(at(0) + Nanos(slot * 20_000 + 19_999));
        assert_eq!(hand.connects().len(), 0);
    }
}

#[test]
fn an_attempt_fails_at_the_connect_timeout_and_its_socket_is_closed() {
    let mut hand = Hand::new(|s| s.connect_timeout = Duration::from_millis(300));
    hand.poll(5);
    let token = hand.token(0);
    hand.poll_at(at(305) - Nanos(1));
    assert_eq!((hand.closes().len(), hand.wake.at), (0, at(305)));
    hand.poll(305);
    assert_eq!(hand.closes(), [(token, Closing::Orderly)]);
    let failed = &hand.failed()[0];
    assert_eq!((failed.failure, failed.errno), (AttemptFailure::Timeout, None));
    assert_eq!((failed.started_ns, failed.ended_ns), (ns(5), ns(305)));
    // It succeeds too late.
    hand.complete(token, Event::Connected { local: LOCAL.parse().unwrap() }, &[]);
    assert_eq!((hand.established().len(), hand.live()), (0, (0, 0)));
    assert!(hand.driver.first_attempts_over());
}

#[test]
fn an_attempt_that_found_itself_is_refused_and_gives_the_port_back() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let mut hand = Hand::new(|s| (s.transport, s.targets) = (transport, vec![LOCAL.parse().unwrap()]));
        hand.poll(1);
        hand.commands.clear();
        hand.event(0, Event::Connected { local: LOCAL.parse().unwrap() });
        assert_eq!(hand.closes(), [(hand.token(0), Closing::Reset)]);
        assert_eq!((hand.failed()[0].failure, hand.live()), (AttemptFailure::Refused, (0, 0)));
        hand.poll(101);
        assert_eq!(hand.connects().len(), 1);
    }
}

#[test]
fn what_an_error_number_says_of_an_attempt() {
    let all = [
        (111, AttemptFailure::Refused),
        (110, AttemptFailure::Timeout),
        (100, AttemptFailure::Unreachable),
        (101, AttemptFailure::Unreachable),
        (112, AttemptFailure::Unreachable),
        (113, AttemptFailure::Unreachable),
        (104, AttemptFailure::Reset),
        (103, AttemptFailure::Reset),
        (32, AttemptFailure::Reset),
        (99, AttemptFailure::LocalError),
    ];
    for (errno, failure) in all {
        let mut hand = Hand::new(|_| {});
        hand.poll(0);
        hand.event(0, Event::ConnectFailed { errno });
        assert_eq!((hand.failed()[0].failure, hand.failed()[0].errno), (failure, Some(errno)));
        assert_eq!((hand.totals().attempts, hand.totals().failed_attempts, hand.live()), (1, 1, (0, 0)));
    }
}

#[test]
fn first_attempts_are_over_when_each_slot_has_had_one() {
    let mut hand = Hand::new(|s| s.conns = 2);
    hand.poll(1);
    assert!(!hand.driver.first_attempts_over());
    hand.event(0, REFUSED);
    hand.poll(102);
    hand.event(0, REFUSED);
    assert!(!hand.driver.first_attempts_over(), "slot 0 twice is not both");
    hand.connected(1);
    assert!(hand.driver.first_attempts_over());
    assert_eq!(hand.live(), (1, 0));
}

#[test]
fn slots_take_targets_and_sources_in_turn() {
    let target = |i: u32| format!("192.0.2.{i}:5003").parse::<Target>().unwrap();
    let source = |i: u32| Source(format!("198.51.100.{i}:0").parse().unwrap());
    let mut hand = Hand::new(|s| {
        s.conns = 5;
        s.targets = vec![target(1), target(2)];
        s.sources = (0..5).map(source).collect();
        s.user_timeout = Some(Duration::from_micros(1500));
    });
    hand.poll(1);
    let connects = hand.connects();
    assert_eq!(connects.len(), 5);
    for (slot, (token, connect)) in connects.into_iter().enumerate() {
        let remote: SocketAddr = format!("192.0.2.{}:5003", 1 + slot % 2).parse().unwrap();
        assert_eq!((token.slot as usize, connect.remote), (slot, remote));
        assert_eq!(connect.local, Some(source(slot as u32).0));
        assert_eq!(connect.user_timeout_ms, Some(1));
        hand.connected(token.slot);
        let established = hand.established().pop().unwrap();
        assert_eq!((established.remote, established.local), (remote, LOCAL.parse().unwrap()));
    }
}

#[test]
fn a_name_is_asked_for_at_each_attempt_and_its_failures_are_attempts() {
    let mut hand = Hand::new(|s| {
        s.resolve = Resolve::Each;
        s.targets.push("pod.test:5003".parse().unwrap());
        s.conns = 2;
    });
    let asked = |hand: &mut Hand| {
        let asked = hand
            .commands
            .iter()
            .filter_map(|c| if let Command::Resolve { token, target } = c { Some((*token, *target)) } else { None });
        let asked: Vec<(Token, usize)> = asked.collect();
        hand.commands.clear();
        asked
    };
    hand.poll(1);
    let first = asked(&mut hand);
    assert_eq!(first, [(hand.token(1), 1)], "slot 0 has an address");
    assert_eq!((hand.totals().attempts, hand.live()), (2, (0, 2)));
    // It takes its time, and does not know the name.
    hand.poll(400);
    hand.resolved(first[0].0, Err("no such name".into()));
    let failed = &hand.failed()[0];
    assert_eq!((failed.failure, failed.remote, failed.errno), (AttemptFailure::LocalError, None, None));
    assert_eq!((failed.slot.0, failed.started_ns, failed.ended_ns), (1, ns(1), ns(400)));
    assert_eq!((failed.detail.as_deref(), hand.live()), (Some("no such name"), (0, 1)));
    hand.poll(500);
    let second = asked(&mut hand);
    assert_eq!(second, [(hand.token(1), 1)]);
    // An answer to the question before changes nothing.
    hand.resolved(first[0].0, Ok("192.0.2.66:1".parse().unwrap()));
    assert!(hand.connects().is_empty());
    hand.resolved(second[0].0, Ok("192.0.2.7:5003".parse().unwrap()));
    assert_eq!(hand.connects()[0].1.remote, "192.0.2.7:5003".parse().unwrap());
    // The attempt began when the name was asked for: so does its time.
    hand.connected(1);
    let established = &hand.established()[0];
    assert_eq!((established.failed_attempts, established.first_attempt_ns), (1, ns(1)));
    hand.event(1, Event::PeerClosed);
    assert_eq!(asked(&mut hand), [(hand.token(1), 1)], "again for the replacement");
}

#[test]
fn the_time_to_connect_counts_from_the_question_for_the_name() {
    let mut hand = Hand::new(|s| {
        s.targets = vec!["pod.test:5003".parse().unwrap()];
        s.connect_timeout = Duration::from_millis(300);
    });
    hand.poll(0);
    hand.poll(200);
    hand.resolved(hand.token(0), Ok("192.0.2.7:5003".parse().unwrap()));
    hand.poll(200);
    assert_eq!(hand.wake.at, at(300));
}
