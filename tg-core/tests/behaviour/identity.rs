//! Who answers: told once for each connection, when its first bytes are complete.

use crate::hand::{Hand, ns};
use tg_core::engine::Event;
use tg_model::wire::{Identity, NAME_LEN};

fn identity() -> Identity {
    let text = String::from;
    let peer = "198.51.100.9:4711".parse().unwrap();
    Identity { peer, pod: text("pod-1"), pod_uid: text("uid"), node: text("node"), version: text("1") }
}

#[test]
fn the_name_is_told_once_when_the_region_is_complete() {
    let mut hand = Hand::up(|s| s.size = 600);
    hand.tick(100);
    let mut echo = hand.take_echo(0);
    identity().encode(&mut echo[NAME_LEN..512]);
    // Byte by byte up to the region's last one.
    for byte in &echo[..511] {
        hand.receive(0, &[*byte]);
    }
    assert!(hand.identified().is_empty());
    hand.poll(120);
    hand.receive(0, &echo[511..]);
    hand.tick(200);
    hand.echo(0);
    let identified = hand.identified();
    assert_eq!(identified.len(), 1);
    assert_eq!((identified[0].host.as_deref(), identified[0].at_ns), (Some("pod-1"), ns(120)));
    assert_eq!(identified[0].identity, Some(identity()));
    let token = hand.token(0);
    hand.event(0, Event::PeerClosed);
    hand.closed_event(token);
    let closed = &hand.closed()[0];
    assert_eq!((closed.host.as_deref(), closed.identity.as_ref()), (Some("pod-1"), Some(&identity())));
    assert_eq!((hand.counts().received, closed.counts.received), (2, 2));
}

#[test]
fn two_packets_in_one_piece_tell_the_name_of_the_first() {
    let mut hand = Hand::up(|s| s.size = 64);
    hand.tick(100);
    hand.tick(200);
    let both = [hand.take_echo(0), hand.take_echo(0)].concat();
    hand.receive(0, &both);
    assert_eq!(hand.identified().len(), 1);
    assert_eq!((hand.identified()[0].host.as_deref(), hand.counts().received), (Some("pod-1"), 2));
}

#[test]
fn a_server_that_writes_no_name_is_told_as_such() {
    let mut hand = Hand::up(|_| {});
    hand.tick(100);
    let mut echo = hand.take_echo(0);
    echo[..5].fill(0);
    hand.receive(0, &echo);
    assert_eq!((hand.identified().len(), hand.identified()[0].host.as_deref()), (1, None));
}
