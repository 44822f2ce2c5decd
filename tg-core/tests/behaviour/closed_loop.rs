//! The closed loop: the next packet waits for the echo of the one before.

use crate::hand::{Hand, LOCAL, at, near, udp};
use std::time::Duration;
use tg_core::engine::{Completion, Event};
use tg_model::plan::{Mode, PlanSpec, Rate};
use tg_model::time::Nanos;

fn closed(spec: &mut PlanSpec) {
    spec.mode = Mode::ClosedLoop;
}

fn unlimited(spec: &mut PlanSpec) {
    (spec.mode, spec.rate) = (Mode::ClosedLoop, Rate::Unlimited);
}

#[test]
fn one_packet_is_deferred_until_the_echo_and_keeps_its_intended_time() {
    let mut hand = Hand::up(closed);
    hand.tick(100);
    for ms in [200, 300, 400] {
        hand.poll(ms);
        assert_eq!(hand.sends(), 0);
    }
    let counts = hand.counts();
    assert_eq!((counts.intended, counts.dropped.in_flight_limit, counts.sent), (4, 2, 1));
    hand.poll(450);
    hand.metrics();
    hand.echo(0);
    hand.take();
    hand.poll(455);
    hand.echo(0);
    // The stall shows in full in the latency of the packet that waited for it.
    let metrics = hand.metrics();
    assert!(near(metrics.lateness.max(), 250) && near(metrics.latency.quantile(0.0), 255), "{metrics:?}");
    assert!(near(metrics.service_time.quantile(0.0), 5));
    assert_eq!((hand.counts().sent, hand.counts().received), (2, 2));
}

#[test]
fn an_echo_without_a_deferred_packet_sends_nothing() {
    let mut hand = Hand::up(closed);
    hand.tick(100);
    hand.echo(0);
    assert_eq!(hand.sends(), 0);
    hand.tick(200);
    assert_eq!(hand.counts().sent, 2);
}

#[test]
fn part_of_an_echo_is_not_enough() {
    let mut hand = Hand::up(closed);
    hand.tick(100);
    hand.poll(200);
    let echo = hand.take_echo(0);
    hand.receive(0, &echo[..127]);
    assert_eq!(hand.sends(), 0);
    hand.receive(0, &echo[127..]);
    assert_eq!(hand.sends(), 1);
}

#[test]
fn an_echo_that_overtakes_the_end_of_its_send_is_gone_on_from() {
    let mut hand = Hand::up(closed);
    hand.poll(100);
    hand.event(0, Event::Sent { whole: false });
    hand.poll(200);
    hand.commands.clear();
    hand.echo(0);
    assert_eq!(hand.sends(), 0, "the rest is under way");
    hand.event(0, Event::SentRest);
    assert_eq!(hand.sends(), 1);
}

#[test]
fn after_a_packet_that_was_not_taken_a_deferred_one_is_sent_soon() {
    let mut hand = Hand::up(closed);
    hand.poll(100);
    hand.poll(200);
    hand.commands.clear();
    hand.event(0, Event::Unsent { errno: None });
    hand.poll(200);
    assert_eq!((hand.sends(), hand.wake.at), (0, at(201)));
    hand.poll(201);
    assert_eq!(hand.sends(), 1);
}

#[test]
fn an_open_loop_does_not_try_again() {
    let mut hand = Hand::up(|_| {});
    hand.poll(100);
    hand.event(0, Event::Unsent { errno: None });
    hand.poll(101);
    assert_eq!((hand.wake.at, hand.wake.packet), (at(200), true));
}

#[test]
fn a_deferred_packet_is_dropped_with_its_connection_and_at_the_end() {
    let mut hand = Hand::up(closed);
    hand.tick(100);
    hand.poll(200);
    hand.event(0, Event::PeerClosed);
    let counts = hand.counts();
    assert_eq!((counts.dropped.in_flight_limit, counts.lost_in_flight), (1, 1));
    hand.connected(0);
    hand.tick(300);
    hand.poll(400);
    hand.driver.stop(at(400));
    assert_eq!(hand.counts().dropped.in_flight_limit, 2);
}

#[test]
fn an_unlimited_rate_sends_at_once_and_at_each_echo() {
    let mut hand = Hand::new(unlimited);
    hand.poll(1);
    hand.connected(0);
    assert_eq!(hand.sends(), 0, "before time zero");
    hand.start(1);
    hand.take();
    for _ in 0..3 {
        hand.echo(0);
        hand.take();
    }
    assert_eq!((hand.counts().intended, hand.counts().sent, hand.counts().received), (4, 4, 3));
    hand.event(0, Event::PeerClosed);
    hand.connected(0);
    assert_eq!(hand.sends(), 1, "on the replacement, too");
}

#[test]
fn an_unlimited_rate_ends_with_the_plan() {
    let mut hand = Hand::new(|s| {
        unlimited(s);
        s.duration = Some(Duration::from_millis(100));
    });
    hand.poll(1);
    hand.connected(0);
    hand.start(1);
    hand.take();
    hand.poll_at(at(101) - Nanos(1));
    hand.echo(0);
    hand.take();
    assert_eq!(hand.counts().sent, 2);
    // The end has come, and nobody has polled yet.
    let echo = hand.take_echo(0);
    let token = hand.token(0);
    hand.driver.handle(Completion { token, at: at(101), event: Event::Received }, &echo);
    assert_eq!((hand.driver.commands().len(), hand.counts().intended), (0, 2));
}

#[test]
fn an_unlimited_rate_sends_nothing_on_a_connection_established_at_the_end() {
    let mut hand = Hand::new(|s| {
        unlimited(s);
        s.duration = Some(Duration::from_millis(100));
    });
    hand.poll(1);
    hand.event(0, Event::ConnectFailed { errno: 111 });
    hand.start(1);
    hand.poll_at(at(101) - Nanos(1));
    // The end has come, and nobody has polled yet.
    let connected = Event::Connected { local: LOCAL.parse().unwrap() };
    hand.driver.handle(Completion { token: hand.token(0), at: at(101), event: connected }, &[]);
    assert_eq!((hand.live(), hand.driver.commands().len(), hand.counts().intended), ((1, 0), 0, 0));
}

#[test]
fn an_unlimited_rate_tries_again_after_a_full_buffer() {
    let mut hand = Hand::new(unlimited);
    hand.poll(1);
    hand.connected(0);
    hand.start(1);
    hand.event(0, Event::Unsent { errno: None });
    hand.commands.clear();
    hand.poll(2);
    assert_eq!(hand.sends(), 1);
    assert_eq!((hand.counts().intended, hand.counts().dropped.buffer_full), (2, 1));
}

#[test]
fn a_datagram_given_up_is_gone_on_from() {
    for (change, first) in [(closed as fn(&mut PlanSpec), 100), (unlimited, 1)] {
        let mut hand = Hand::new(|s| {
            change(s);
            udp(s);
            s.response_timeout = Duration::from_millis(250);
        });
        let probe = hand.bytes(hand.driver.payload().datagram(0));
        hand.poll(1);
        hand.connected(0);
        hand.start(100);
        hand.tick(first);
        hand.poll(220);
        // An echo that nobody waits for: the flow is alive.
        hand.receive(0, &probe);
        hand.poll_at(at(first + 250) - Nanos(1));
        assert_eq!((hand.sends(), hand.counts().sent, hand.live()), (0, 1, (1, 0)));
        hand.tick(first + 250);
        assert_eq!((hand.counts().sent, hand.counts().lost_in_flight, hand.live()), (2, 1, (1, 0)));
    }
}

#[test]
fn a_packet_that_waits_to_be_handed_over_goes_with_its_connection() {
    let mut hand = Hand::up(closed);
    hand.tick(100);
    hand.poll(200);
    let (token, echo) = (hand.token(0), hand.take_echo(0));
    // Both came at once: the engine gets nothing in between.
    hand.driver.handle(Completion { token, at: at(200), event: Event::Received }, &echo);
    hand.event(0, Event::PeerClosed);
    assert_eq!(hand.sends(), 0);
    let counts = hand.counts();
    assert_eq!((counts.intended, counts.sent, counts.received), (2, 1, 1));
    assert_eq!((counts.dropped.in_flight_limit, counts.dropped.send_failed), (1, 0));
}
