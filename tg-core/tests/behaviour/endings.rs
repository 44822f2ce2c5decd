//! How a connection ends: why, what was out, and what is done at once.

use crate::hand::{Hand, at, ns};
use std::time::Duration;
use tg_core::engine::{Closing, Event, Op, Token};
use tg_model::outcome::EndReason;
use tg_model::plan::{PlanSpec, Source};
use tg_model::tcp_info::TcpInfo;
use tg_model::time::Nanos;

const ECONNRESET: i32 = 104;
const RESET: Event = Event::Failed { errno: ECONNRESET };

#[test]
fn a_reset_between_two_packets_loses_none_and_is_replaced_at_once() {
    let mut hand = Hand::up(|_| {});
    hand.tick(100);
    hand.poll(101);
    hand.echo(0);
    hand.poll(150);
    let token = hand.token(0);
    hand.event(0, RESET);
    let ops = hand.commands.clone();
    assert_eq!(hand.closes(), [(token, Closing::Orderly)]);
    hand.commands = ops;
    assert_eq!(hand.connects()[0].0, Token { slot: 0, generation: 2 });
    assert_eq!((hand.totals().lost, hand.totals().attempts, hand.live()), (1, 2, (0, 1)));
    // Its record waits for what the kernel knew.
    assert!(hand.closed().is_empty());
    hand.complete(
        token,
        Event::Closed { info: Some(Box::new(TcpInfo { total_retrans: 7, ..TcpInfo::default() })) },
        &[],
    );
    let closed = &hand.closed()[0];
    assert_eq!((closed.reason, closed.errno), (EndReason::Reset, Some(ECONNRESET)));
    assert_eq!((closed.ended_ns, closed.detection_ns), (ns(150), 0));
    assert_eq!((closed.counts.sent, closed.counts.received, closed.counts.lost_in_flight), (1, 1, 0));
    assert_eq!(closed.tcp.map(|t| t.total_retrans), Some(7));
    // The next packet leaves at its time, on the replacement.
    hand.connected(0);
    hand.tick(200);
    assert_eq!((hand.counts().sent, hand.counts().dropped.total()), (2, 0));
}

#[test]
fn what_an_error_number_says_of_a_connection() {
    let all = [
        (104, EndReason::Reset),
        (103, EndReason::Reset),
        (32, EndReason::Reset),
        (111, EndReason::Reset),
        (110, EndReason::UserTimeout),
        (100, EndReason::Unreachable),
        (101, EndReason::Unreachable),
        (112, EndReason::Unreachable),
        (113, EndReason::Unreachable),
        (99, EndReason::LocalError),
    ];
    for (errno, reason) in all {
        for event in [Event::Failed { errno }, Event::Unsent { errno: Some(errno) }] {
            let mut hand = Hand::up(|_| {});
            hand.poll(100);
            let token = hand.token(0);
            hand.event(0, event.clone());
            hand.closed_event(token);
            assert_eq!((hand.closed()[0].reason, hand.closed()[0].errno), (reason, Some(errno)), "{event:?}");
            assert_eq!(hand.counts().dropped.send_failed, 1);
            hand.counts().check().unwrap();
        }
    }
}

#[test]
fn what_was_out_is_lost_in_flight_and_what_was_not_taken_is_dropped() {
    let mut hand = Hand::up(|_| {});
    hand.tick(100);
    hand.tick(200);
    hand.poll(300);
    let token = hand.token(0);
    hand.event(0, Event::PeerClosed);
    // Completions of a socket that is being closed change nothing any more.
    hand.complete(token, Event::Sent { whole: true }, &[]);
    hand.complete(token, RESET, &[]);
    hand.closed_event(token);
    hand.closed_event(token);
    assert_eq!(hand.closed().len(), 1);
    let closed = &hand.closed()[0];
    assert_eq!(closed.reason, EndReason::ClosedByPeer);
    assert_eq!((closed.counts.intended, closed.counts.sent), (3, 2));
    assert_eq!((closed.counts.lost_in_flight, closed.counts.dropped.send_failed), (2, 1));
    assert_eq!(closed.detection_ns, ns(200), "since the oldest packet without an echo was sent");
    assert_eq!(hand.driver.slot_totals().next().unwrap().totals.counts, hand.counts());
}

/// The commands that the end of a slot's connection brings.
fn commands_at_the_end(change: impl FnOnce(&mut PlanSpec)) -> Vec<&'static str> {
    let mut hand = Hand::up(change);
    let lost = hand.token(0);
    hand.event(0, Event::PeerClosed);
    let name = |op| match op {
        Op::Close(token, _) if token == lost => "close the old one",
        Op::Connect(token, _) if token != lost => "connect the new one",
        _ => "another",
    };
    hand.ops().into_iter().map(name).collect()
}

#[test]
fn a_replacement_is_asked_for_before_the_old_socket_is_closed() {
    assert_eq!(commands_at_the_end(|_| {}), ["connect the new one", "close the old one"]);
    let any_port = |spec: &mut PlanSpec| spec.sources = vec![Source("192.0.2.9:0".parse().unwrap())];
    assert_eq!(commands_at_the_end(any_port), ["connect the new one", "close the old one"]);
}

#[test]
fn a_port_of_its_own_is_given_up_before_it_is_taken_again() {
    let fixed = |spec: &mut PlanSpec| spec.sources = vec![Source("192.0.2.9:7000".parse().unwrap())];
    assert_eq!(commands_at_the_end(fixed), ["close the old one", "connect the new one"]);
}

#[test]
fn an_echo_is_awaited_to_the_response_timeout() {
    let mut hand = Hand::up(|s| s.response_timeout = Duration::from_millis(250));
    hand.tick(100);
    hand.tick(200);
    hand.echo(0);
    hand.tick(300);
    hand.tick(400);
    // The first one's time is over; the second one's counts.
    hand.poll_at(at(450) - Nanos(1));
    assert_eq!((hand.totals().lost, hand.wake.at), (0, at(450)));
    let token = hand.token(0);
    hand.poll(450);
    hand.closed_event(token);
    let closed = &hand.closed()[0];
    assert_eq!((closed.reason, closed.ended_ns), (EndReason::ResponseTimeout, ns(450)));
    assert_eq!((closed.detection_ns, closed.counts.lost_in_flight), (ns(250), 3));
}

#[test]
fn each_packet_has_its_own_response_timeout() {
    let mut hand = Hand::up(|s| s.response_timeout = Duration::from_millis(250));
    for ms in (100..2_000).step_by(100) {
        hand.tick(ms);
        hand.poll(ms + 99);
        hand.echo(0);
    }
    assert_eq!((hand.totals().lost, hand.counts().received), (0, 19));
}

#[test]
fn a_wrong_echo_ends_the_connection_and_what_came_before_counts() {
    let mut hand = Hand::up(|_| {});
    hand.tick(100);
    hand.tick(200);
    hand.tick(300);
    let mut bytes = [hand.take_echo(0), hand.take_echo(0)].concat();
    bytes[200] ^= 1;
    let token = hand.token(0);
    hand.receive(0, &bytes);
    hand.closed_event(token);
    let closed = &hand.closed()[0];
    assert_eq!((closed.reason, closed.errno), (EndReason::Protocol, None));
    assert_eq!(closed.detail.as_deref(), Some("bytes 128 to 256 differ from what was sent"));
    assert_eq!((closed.counts.received, closed.counts.lost_in_flight), (1, 2));
}

#[test]
fn more_bytes_than_were_sent_end_the_connection() {
    let mut hand = Hand::up(|_| {});
    hand.tick(100);
    let mut bytes = hand.take_echo(0);
    bytes.push(7);
    let token = hand.token(0);
    hand.receive(0, &bytes);
    hand.closed_event(token);
    let closed = &hand.closed()[0];
    assert_eq!(closed.detail.as_deref(), Some("1 bytes more than were sent, after 128"));
    assert_eq!((closed.reason, closed.counts.received), (EndReason::Protocol, 1));
}

#[test]
fn without_reconnect_the_slot_stays_empty_to_the_end() {
    let mut hand = Hand::up(|s| (s.reconnect, s.duration) = (false, Some(Duration::from_millis(1000))));
    hand.tick(100);
    hand.poll(150);
    let token = hand.token(0);
    hand.event(0, RESET);
    assert!(hand.connects().is_empty());
    hand.closed_event(token);
    hand.poll(1_050);
    assert!(hand.outages().is_empty() && !hand.driver.is_finished());
    hand.poll(1_100);
    assert!(hand.driver.is_finished());
    assert_eq!((hand.counts().intended, hand.counts().dropped.no_connection), (10, 9));
    let outage = &hand.outages()[0];
    assert_eq!((outage.over, outage.replacement, outage.first_attempt_ns), (false, None, None));
    assert_eq!(
        (outage.since_ns, outage.detection_ns, outage.reconnect_ns, outage.wait_ns),
        (ns(100), ns(50), ns(950), 0)
    );
    assert_eq!(hand.totals().attempts, 1);
}
