//! The end of a run: sending stops, echoes still out are awaited, then connections close in good order.

use crate::hand::{Hand, at, ns, udp};
use std::time::Duration;
use tg_core::engine::{Closing, Event};
use tg_model::outcome::EndReason;
use tg_model::plan::PlanSpec;
use tg_model::time::Nanos;

fn for_250_ms(spec: &mut PlanSpec) {
    spec.duration = Some(Duration::from_millis(250));
}

#[test]
fn packets_are_due_up_to_the_end_and_not_at_it() {
    let mut hand = Hand::up(|s| s.duration = Some(Duration::from_millis(200)));
    hand.tick(100);
    hand.tick(200);
    assert_eq!((hand.wake.at, hand.wake.packet, hand.driver.is_stopping()), (at(300), false, false));
    hand.poll(300);
    assert_eq!((hand.counts().intended, hand.driver.is_stopping()), (2, true));
    // What was due before the end is due, however late it is looked at.
    let mut hand = Hand::up(|s| s.duration = Some(Duration::from_millis(150)));
    hand.tick(290);
    assert_eq!((hand.counts().intended, hand.counts().dropped.late, hand.counts().sent), (2, 1, 1));
}

#[test]
fn a_connection_with_nothing_out_closes_at_once_and_lasted() {
    let mut hand = Hand::up(for_250_ms);
    hand.tick(100);
    hand.echo(0);
    hand.poll(350);
    hand.driver.stop(at(350));
    let token = hand.token(0);
    // A packet was due at 300 ms.
    hand.take();
    hand.echo(0);
    assert_eq!(hand.closes(), [(token, Closing::Orderly)]);
    assert!(!hand.driver.is_finished(), "its record is not written yet");
    hand.closed_event(token);
    assert!(hand.driver.is_finished());
    assert_eq!((hand.closed()[0].reason, hand.totals().lost, hand.live()), (EndReason::Completed, 0, (0, 0)));
}

#[test]
fn echoes_still_out_are_awaited_and_nothing_is_sent() {
    let mut hand = Hand::up(|s| (s.conns, s.duration) = (2, Some(Duration::from_millis(140))));
    hand.tick(100);
    hand.tick(150);
    hand.tick(200);
    hand.echo(1);
    let idle = hand.token(1);
    hand.poll(240);
    assert_eq!(hand.closes(), [(idle, Closing::Orderly)], "slot 1 has nothing out");
    hand.closed_event(idle);
    hand.poll(800);
    assert_eq!((hand.sends(), hand.live(), hand.driver.is_finished()), (0, (1, 0), false));
    hand.echo(0);
    assert_eq!(hand.live(), (1, 0));
    hand.echo(0);
    assert_eq!(hand.live(), (0, 0));
    hand.closed_event(hand.token(0));
    assert!(hand.driver.is_finished());
    let counts = hand.counts();
    assert_eq!((counts.sent, counts.received, counts.lost_in_flight, hand.totals().lost), (3, 3, 0, 0));
}

#[test]
fn the_last_rest_of_a_message_is_awaited() {
    let mut hand = Hand::up(for_250_ms);
    hand.poll(300);
    hand.event(0, Event::Sent { whole: false });
    hand.echo(0);
    hand.poll(350);
    assert_eq!(hand.live(), (1, 0));
    hand.event(0, Event::SentRest);
    assert_eq!(hand.live(), (0, 0));
}

#[test]
fn a_message_not_taken_at_the_end_is_dropped_and_the_connection_lasted() {
    let mut hand = Hand::up(for_250_ms);
    hand.poll(300);
    hand.poll(350);
    hand.event(0, Event::Unsent { errno: None });
    hand.closed_event(hand.token(0));
    assert_eq!((hand.closed()[0].reason, hand.counts().dropped.buffer_full), (EndReason::Completed, 1));
}

#[test]
fn echoes_are_awaited_no_longer_than_the_response_timeout() {
    let mut hand = Hand::up(|s| (for_250_ms(s), s.response_timeout = Duration::from_millis(400)).0);
    hand.tick(100);
    hand.tick(200);
    hand.tick(300);
    hand.echo(0);
    hand.poll(350);
    hand.poll_at(at(600) - Nanos(1));
    assert_eq!(hand.live(), (1, 0));
    hand.poll(600);
    hand.closed_event(hand.token(0));
    assert!(hand.driver.is_finished());
    let closed = &hand.closed()[0];
    assert_eq!((closed.reason, closed.counts.lost_in_flight, closed.ended_ns), (EndReason::Completed, 2, ns(600)));
}

#[test]
fn each_datagram_is_awaited_for_its_own_time() {
    let mut hand = Hand::up(|s| (udp(s), for_250_ms(s), s.response_timeout = Duration::from_millis(400)).0);
    hand.tick(100);
    hand.tick(200);
    hand.tick(300);
    hand.take_echo(0);
    hand.poll(350);
    hand.poll(500);
    assert_eq!((hand.live(), hand.counts().lost_in_flight), ((1, 0), 1));
    hand.poll(590);
    hand.echo(0);
    hand.poll(700);
    assert_eq!(hand.live(), (0, 0));
    hand.closed_event(hand.token(0));
    assert!(hand.driver.is_finished());
    let closed = &hand.closed()[0];
    assert_eq!((closed.reason, closed.ended_ns), (EndReason::Completed, ns(700)));
    assert_eq!((closed.counts.received, closed.counts.lost_in_flight), (1, 2));
}

#[test]
fn a_connection_lost_meanwhile_is_lost_and_not_replaced() {
    let mut hand = Hand::up(for_250_ms);
    hand.tick(300);
    hand.poll(350);
    hand.commands.clear();
    hand.poll(360);
    hand.event(0, Event::PeerClosed);
    assert_eq!((hand.connects().len(), hand.totals().lost), (0, 1));
    hand.closed_event(hand.token(0));
    assert!(hand.driver.is_finished());
    let outage = &hand.outages()[0];
    assert_eq!((outage.since_ns, outage.detection_ns, outage.over), (ns(300), ns(60), false));
}

#[test]
fn slots_without_a_connection_retire() {
    let mut hand = Hand::new(|s| {
        s.conns = 4;
        s.targets = vec!["192.0.2.1:1".parse().unwrap(), "pod.test:1".parse().unwrap()];
    });
    hand.poll(1);
    hand.event(0, Event::ConnectFailed { errno: 111 });
    hand.resolved(hand.token(3), Err("no such name".into()));
    hand.commands.clear();
    // Waiting, resolving, connecting, waiting.
    assert_eq!(hand.live(), (0, 2));
    let connecting = hand.token(2);
    hand.driver.stop(at(50));
    hand.poll(50);
    assert_eq!(hand.closes(), [(connecting, Closing::Orderly)]);
    assert_eq!((hand.live(), hand.driver.is_finished(), hand.outages().len()), ((0, 0), true, 4));
    hand.resolved(hand.token(1), Ok("192.0.2.9:1".parse().unwrap()));
    hand.poll(5_000);
    assert!(hand.commands.is_empty());
    assert_eq!(hand.wake.at, Nanos::MAX);
}

#[test]
fn an_abort_ends_all_at_once() {
    let mut hand = Hand::up(|s| s.conns = 2);
    hand.tick(100);
    hand.poll(150);
    hand.driver.abort(at(150));
    hand.poll(150);
    let tokens = [hand.token(0), hand.token(1)];
    tokens.into_iter().for_each(|t| hand.closed_event(t));
    assert!(hand.driver.is_finished());
    let counts = hand.counts();
    assert_eq!((counts.lost_in_flight, counts.dropped.send_failed, hand.totals().lost), (1, 1, 0));
    assert!(hand.closed().iter().all(|c| c.reason == EndReason::Completed));
}

#[test]
fn an_abort_while_draining_waits_no_longer() {
    let mut hand = Hand::up(for_250_ms);
    hand.tick(300);
    hand.poll(350);
    assert_eq!(hand.live(), (1, 0));
    hand.driver.abort(at(351));
    hand.poll(351);
    hand.closed_event(hand.token(0));
    assert!(hand.driver.is_finished());
    assert_eq!(hand.counts().lost_in_flight, 1);
}

#[test]
fn stopping_twice_is_stopping_once() {
    let mut hand = Hand::up(|_| {});
    hand.event(0, Event::PeerClosed);
    hand.driver.stop(at(50));
    hand.driver.stop(at(60));
    hand.poll(60);
    assert_eq!(hand.outages().len(), 1);
}
