//! UDP: when a flow is up, what becomes of each datagram, and when the flow is lost.

use crate::hand::{Hand, LOCAL, at, near, ns, udp};
use std::time::Duration;
use tg_core::connection::{Connection, Echo, Outstanding, Shared};
use tg_core::engine::{Event, Op};
use tg_core::payload::Payload;
use tg_model::outcome::{AttemptFailure, EndReason};
use tg_model::plan::PlanSpec;
use tg_model::time::Nanos;

const EPERM: i32 = 1;
const ENETUNREACH: i32 = 101;
const ECONNREFUSED: i32 = 111;

/// 10 datagrams/s, given up after 250 ms.
fn quick(spec: &mut PlanSpec) {
    udp(spec);
    spec.response_timeout = Duration::from_millis(250);
}

#[test]
fn a_flow_is_established_by_the_echo_of_its_probe() {
    let mut hand = Hand::new(udp);
    hand.poll(1);
    hand.event(0, Event::Connected { local: LOCAL.parse().unwrap() });
    let probe = hand.ops().into_iter().find_map(|op| if let Op::Send(_, m) = op { Some(m) } else { None });
    assert_eq!(probe.and_then(|m| m.sequence), Some(0));
    hand.event(0, Event::Sent { whole: true });
    assert_eq!((hand.counts().sent, hand.live()), (0, (0, 1)), "a probe is no packet");
    // Anything else is no sign of a server.
    hand.receive(0, b"hello");
    let mut other = hand.take_echo(0);
    *other.last_mut().unwrap() = 1;
    hand.receive(0, &other);
    assert_eq!(hand.live(), (0, 1));
    *other.last_mut().unwrap() = 0;
    hand.poll(7);
    hand.receive(0, &other);
    let established = &hand.established()[0];
    assert_eq!((established.attempt_ns, established.established_ns), (ns(1), ns(7)));
    assert_eq!((hand.identified()[0].host.as_deref(), hand.live()), (Some("pod-1"), (1, 0)));
    hand.receive(0, &other);
    assert_eq!((hand.counts().duplicate, hand.counts().received), (1, 0), "the probe's echo again");
}

#[test]
fn a_probe_that_is_refused_or_unanswered_is_a_failed_attempt() {
    let mut hand = Hand::new(udp);
    hand.poll(1);
    hand.event(0, Event::Connected { local: LOCAL.parse().unwrap() });
    hand.ops();
    hand.event(0, Event::Failed { errno: ECONNREFUSED });
    assert_eq!((hand.closes().len(), hand.failed()[0].failure), (1, AttemptFailure::Refused));
    hand.poll(101);
    hand.event(0, Event::Connected { local: LOCAL.parse().unwrap() });
    hand.ops();
    hand.event(0, Event::Unsent { errno: Some(EPERM) });
    assert_eq!((hand.closes().len(), hand.failed()[1].failure), (1, AttemptFailure::LocalError));
    hand.poll(301);
    hand.event(0, Event::Connected { local: LOCAL.parse().unwrap() });
    hand.ops();
    hand.event(0, Event::Unsent { errno: None });
    assert_eq!((hand.closes().len(), hand.live()), (0, (0, 1)), "its time is not up");
    hand.poll(301 + 1500);
    assert_eq!((hand.closes().len(), hand.failed()[2].failure), (1, AttemptFailure::Timeout));
    assert_eq!(hand.counts(), Default::default());
}

#[test]
fn late_double_and_reordered_echoes_are_counted_apart() {
    let mut hand = Hand::up(quick);
    hand.tick(100);
    hand.tick(200);
    hand.tick(300);
    let [first, second, third] = [(); 3].map(|()| hand.take_echo(0));
    hand.poll(340);
    hand.receive(0, &third);
    hand.receive(0, &second);
    hand.receive(0, &second);
    let counts = hand.counts();
    assert_eq!((counts.received, counts.reordered, counts.duplicate), (2, 1, 1));
    hand.poll(350);
    assert_eq!((hand.counts().lost_in_flight, hand.live()), (1, (1, 0)));
    hand.receive(0, &first);
    hand.receive(0, &first);
    hand.receive(0, &third);
    let counts = hand.counts();
    assert_eq!((counts.late, counts.duplicate, counts.received), (1, 3, 2));
    counts.check().unwrap();
    // Only echoes in time have a latency.
    let metrics = hand.metrics();
    assert_eq!((metrics.latency.len(), metrics.service_time.len(), metrics.lateness.len()), (2, 2, 3));
    assert!(near(metrics.latency.max(), 140));
}

#[test]
fn a_datagram_is_given_up_at_its_timeout_while_others_come() {
    let mut hand = Hand::up(quick);
    hand.tick(100);
    hand.tick(200);
    hand.take_echo(0);
    hand.echo(0);
    hand.poll_at(at(350) - Nanos(1));
    assert_eq!((hand.counts().lost_in_flight, hand.wake.at), (0, at(350)));
    hand.poll(350);
    assert_eq!((hand.counts().lost_in_flight, hand.live()), (1, (1, 0)));
    hand.tick(350);
    assert_eq!(hand.counts().lost_in_flight, 1);
}

#[test]
fn several_datagrams_are_given_up_together_and_the_next_in_its_time() {
    let mut hand = Hand::up(|s| (quick(s), s.rate = tg_model::plan::Rate::PerConnection(100.0)).0);
    for ms in [100, 110, 120, 130] {
        hand.tick(ms);
    }
    let _lost = [hand.take_echo(0), hand.take_echo(0), hand.take_echo(0)];
    hand.poll(131);
    hand.echo(0);
    hand.poll(132);
    hand.driver.stop(at(132));
    hand.poll(365);
    assert_eq!((hand.counts().lost_in_flight, hand.wake.at), (2, at(370)));
    hand.poll(370);
    assert_eq!((hand.counts().lost_in_flight, hand.counts().received), (3, 1));
}

#[test]
fn a_flow_is_lost_when_nothing_came_for_the_timeout() {
    let mut hand = Hand::up(quick);
    hand.tick(100);
    hand.poll(110);
    hand.echo(0);
    hand.tick(200);
    hand.tick(300);
    hand.tick(400);
    hand.poll_at(at(450) - Nanos(1));
    assert_eq!(hand.live(), (1, 0));
    hand.poll(450);
    assert_eq!(hand.totals().lost, 1);
    let token = hand.closes()[0].0;
    hand.closed_event(token);
    let closed = &hand.closed()[0];
    assert_eq!((closed.reason, closed.ended_ns, closed.detection_ns), (EndReason::ResponseTimeout, ns(450), ns(250)));
    assert_eq!((closed.counts.lost_in_flight, closed.counts.received), (3, 1));
}

#[test]
fn what_came_so_long_ago_as_the_timeout_keeps_no_flow() {
    let mut hand = Hand::up(quick);
    let probe = hand.bytes(hand.driver.payload().datagram(0));
    hand.tick(100);
    hand.receive(0, &probe);
    hand.poll_at(at(350) - Nanos(1));
    assert_eq!(hand.totals().lost, 0);
    hand.poll(350);
    assert_eq!(hand.totals().lost, 1);
}

#[test]
fn a_flow_with_nothing_out_is_not_lost() {
    let mut hand = Hand::up(|s| (quick(s), s.rate = tg_model::plan::Rate::PerConnection(1.0)).0);
    hand.tick(100);
    hand.echo(0);
    hand.poll(1_050);
    assert_eq!((hand.live(), hand.totals().lost), ((1, 0), 0));
}

#[test]
fn what_an_error_number_says_of_a_flow() {
    for (errno, reason) in
        [(ECONNREFUSED, Some(EndReason::Unreachable)), (ENETUNREACH, Some(EndReason::Unreachable)), (EPERM, None)]
    {
        let mut hand = Hand::up(udp);
        hand.poll(100);
        let token = hand.token(0);
        hand.event(0, Event::Unsent { errno: Some(errno) });
        assert_eq!(hand.counts().dropped.send_failed, 1);
        hand.closed_event(token);
        assert_eq!(hand.closed().first().map(|c| (c.reason, c.errno)), reason.map(|r| (r, Some(errno))), "{errno}");
    }
}

#[test]
fn another_host_answering_is_told_and_no_loss() {
    let mut hand = Hand::up(udp);
    hand.tick(100);
    hand.tick(200);
    let mut moved = hand.take_echo(0);
    moved[..5].copy_from_slice(b"pod-2");
    hand.receive(0, &moved);
    hand.echo(0);
    let hosts: Vec<_> = hand.identified().into_iter().map(|i| i.host.unwrap()).collect();
    assert_eq!(hosts, ["pod-1", "pod-2", "pod-1"]);
    assert_eq!((hand.counts().other_host, hand.counts().received, hand.totals().lost), (2, 2, 0));
}

#[test]
fn one_lost_datagram_does_not_use_the_limit_up() {
    let mut hand = Hand::up(|s| (udp(s), s.in_flight = 2).0);
    for ms in [100, 200, 300, 400, 500] {
        hand.tick(ms);
        if ms == 100 {
            hand.take_echo(0);
        } else {
            hand.echo(0);
        }
    }
    let counts = hand.counts();
    assert_eq!((counts.sent, counts.received, counts.dropped.total()), (5, 4, 0));
}

#[test]
fn a_datagram_awaited_for_longer_than_its_time_lets_out_what_there_is_room_for() {
    let mut hand = Hand::up(|s| (quick(s), s.in_flight = 3).0);
    hand.tick(100);
    hand.take_echo(0);
    for ms in [200, 300] {
        hand.tick(ms);
        hand.echo(0);
    }
    // This process stood still: time-outs begin anew. Places are four, for 250 ms and not for 500: they are
    // taken before three echoes are out.
    hand.driver.stood_still(at(340), at(480));
    for ms in [480, 500, 600] {
        hand.tick(ms);
    }
    let counts = hand.counts();
    assert_eq!((counts.sent, counts.dropped.in_flight_limit, hand.live()), (4, 2, (1, 0)));
}

#[test]
fn what_is_no_echo_of_ours_ends_the_flow() {
    for spoil in [|b: &mut Vec<u8>| b.push(0), |b: &mut Vec<u8>| *b.last_mut().unwrap() = 2] {
        let mut hand = Hand::up(udp);
        hand.tick(100);
        let mut echo = hand.take_echo(0);
        spoil(&mut echo);
        let token = hand.token(0);
        hand.receive(0, &echo);
        hand.closed_event(token);
        assert_eq!((hand.closed()[0].reason, hand.closed()[0].counts.lost_in_flight), (EndReason::Protocol, 1));
    }
}

#[test]
fn the_last_1024_given_up_are_remembered() {
    let payload = Payload::new(72, true, 1);
    let mut outstanding = Outstanding::new(1, 1);
    let established = Hand::up(udp).established().remove(0);
    let mut connection = Connection::new(established, Nanos(0));
    let echo = |number: u64| {
        let mut bytes = payload.bytes().to_vec();
        bytes[64..].copy_from_slice(&number.to_be_bytes());
        bytes
    };
    connection.establish_flow(&payload, &echo(0));
    let mut shared = Shared { payload: &payload, outstanding: &mut outstanding, slot: 0 };
    for number in 1..=1025 {
        assert_eq!(connection.next_datagram(&payload, Nanos(number)).sequence, Some(number));
        connection.sent(&mut shared, Nanos(number), true, 1).unwrap();
        assert!(!connection.expire_oldest(&mut shared, Nanos(number - 1)));
        assert!(connection.expire_oldest(&mut shared, Nanos(number)));
    }
    for (number, expected) in [(1, Echo::Duplicate), (2, Echo::Late), (2, Echo::Duplicate), (1025, Echo::Late)] {
        let mut told = Vec::new();
        connection.receive_datagram(&mut shared, Nanos(0), &echo(number), |_, e| told.push(e)).unwrap();
        assert_eq!(told, [expected], "{number}");
    }
}
