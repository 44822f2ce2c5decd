//! The time without service, in its parts: detection, reconnect, wait for the next packet.

use crate::hand::{Hand, at, ns};
use tg_core::engine::{Completion, Event};
use tg_model::journal::Outage;

fn parts(outage: &Outage) -> [u64; 4] {
    [outage.since_ns, outage.detection_ns, outage.reconnect_ns, outage.wait_ns].map(|ns| ns / 1_000_000)
}

#[test]
fn the_parts_add_up_from_the_oldest_packet_without_echo_to_the_next_one_sent() {
    let mut hand = Hand::up(|_| {});
    hand.tick(100);
    hand.tick(200);
    hand.echo(0);
    hand.poll(230);
    hand.event(0, Event::PeerClosed);
    hand.event(0, Event::ConnectFailed { errno: 111 });
    hand.poll(240);
    assert_eq!(hand.connects().len(), 1, "the first one");
    hand.poll(345);
    hand.connected(0);
    assert!(hand.outages().is_empty(), "no packet was sent yet");
    hand.poll(400);
    assert!(hand.outages().is_empty());
    hand.event(0, Event::Sent { whole: true });
    let outages = hand.outages();
    assert_eq!(outages.len(), 1);
    let outage = &outages[0];
    // 200 sent, 230 known, 345 up again, 400 next packet.
    assert_eq!((parts(outage), outage.over), ([200, 30, 115, 55], true));
    assert_eq!((outage.failed_attempts, outage.first_attempt_ns), (1, Some(ns(230))));
    let (lost, replacement) = (outage.lost.unwrap(), outage.replacement.unwrap());
    assert_eq!((lost.nth, replacement.nth, replacement.predecessor()), (0, 1, Some(lost)));
    let established = &hand.established()[1];
    assert_eq!((established.first_attempt_ns, established.failed_attempts), (ns(230), 1));
    assert_eq!((established.attempt_ns, established.established_ns), (ns(345), ns(345)));
}

#[test]
fn service_is_not_lost_later_than_it_is_known_to_be() {
    let mut hand = Hand::up(|_| {});
    hand.poll(100);
    // An engine tells when it woke up; this packet left after that, and before the FIN was looked at.
    let sent = Completion { token: hand.token(0), at: at(101), event: Event::Sent { whole: true } };
    hand.driver.handle(sent, &[]);
    hand.event(0, Event::PeerClosed);
    hand.poll(120);
    hand.connected(0);
    hand.tick(200);
    assert_eq!(parts(&hand.outages()[0]), [100, 0, 20, 80]);
}

#[test]
fn the_time_to_a_slots_first_connection_is_none() {
    let mut hand = Hand::up(|_| {});
    hand.tick(100);
    hand.tick(200);
    assert!(hand.outages().is_empty());
}

#[test]
fn a_replacement_lost_before_it_carried_a_packet_ends_the_first_time_and_begins_another() {
    let mut hand = Hand::up(|_| {});
    hand.tick(100);
    hand.poll(110);
    hand.event(0, Event::PeerClosed);
    hand.poll(120);
    hand.connected(0);
    hand.poll(150);
    hand.event(0, Event::PeerClosed);
    hand.poll(160);
    hand.connected(0);
    hand.tick(200);
    let outages = hand.outages();
    assert_eq!(outages.iter().map(parts).collect::<Vec<_>>(), [[100, 10, 10, 30], [150, 0, 10, 40]]);
    assert_eq!(outages.iter().map(|o| o.over).collect::<Vec<_>>(), [false, true]);
    assert_eq!(outages.iter().map(|o| o.lost.unwrap().nth).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_slot_that_never_connected_is_without_service_from_its_turn_to_the_end() {
    let mut hand = Hand::new(|s| s.conns = 2);
    hand.poll(3);
    hand.event(0, Event::ConnectFailed { errno: 111 });
    hand.connected(1);
    hand.start(3);
    hand.tick(53);
    hand.driver.stop(at(60));
    hand.poll(60);
    let outages = hand.outages();
    assert_eq!(outages.len(), 1);
    assert_eq!((outages[0].slot.0, outages[0].lost, outages[0].replacement, outages[0].over), (0, None, None, false));
    assert_eq!((parts(&outages[0]), outages[0].failed_attempts), ([0, 0, 60, 0], 1));
    assert_eq!(outages[0].first_attempt_ns, Some(ns(3)));
}

#[test]
fn the_end_cuts_a_time_off_that_waits_for_a_packet() {
    let mut hand = Hand::up(|_| {});
    hand.tick(100);
    hand.poll(110);
    hand.event(0, Event::PeerClosed);
    hand.poll(120);
    hand.connected(0);
    hand.driver.stop(at(180));
    hand.poll(180);
    let outages = hand.outages();
    assert_eq!((parts(&outages[0]), outages[0].over), ([100, 10, 10, 60], false));
    assert_eq!(outages[0].replacement.map(|r| r.nth), Some(1));
}
