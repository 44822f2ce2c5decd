//! When packets leave, and why one does not (open loop).

use crate::hand::{Hand, PERIOD, at, near, ns};
use std::time::Duration;
use tg_core::engine::Event;
use tg_model::plan::Rate;
use tg_model::time::Nanos;

#[test]
fn packets_leave_at_their_intended_times_each_slot_at_its_phase() {
    let mut hand = Hand::up(|s| s.conns = 2);
    hand.poll_at(at(100) - Nanos(1));
    assert_eq!((hand.sends(), hand.wake.at, hand.wake.packet), (0, at(100), true));
    // Slot 1 is half a period behind slot 0.
    for (ms, slot) in [(100, 0), (150, 1), (200, 0), (250, 1)] {
        hand.poll(ms);
        assert_eq!(hand.wake.at, at(ms + PERIOD / 2));
        hand.event(slot, Event::Sent { whole: true });
        assert_eq!(hand.sends(), 1);
    }
    assert_eq!((hand.counts().intended, hand.counts().sent), (4, 4));
    let lateness = hand.metrics().lateness;
    assert_eq!((lateness.len(), lateness.max()), (4, 1), "0 counts as 1 ns");
}

#[test]
fn packets_due_within_a_batch_leave_together_at_its_end() {
    let mut hand = Hand::up(|s| (s.conns, s.batch) = (2, Duration::from_millis(80)));
    // Due at 100 and 150, and windows end at 100, 180, 260.
    hand.poll(100);
    hand.event(0, Event::Sent { whole: true });
    assert_eq!((hand.sends(), hand.wake.at), (1, at(180)));
    // Something else comes meanwhile: no reason to send.
    hand.poll(170);
    assert_eq!((hand.sends(), hand.counts().intended), (0, 1));
    hand.poll(180);
    hand.event(1, Event::Sent { whole: true });
    assert_eq!((hand.sends(), hand.wake.at), (1, at(260)));
    hand.poll(260);
    assert_eq!(hand.sends(), 2, "those due at 200 and 250");
    hand.event(0, Event::Sent { whole: true });
    let lateness = hand.metrics().lateness;
    assert!(near(lateness.max(), 60), "{}", lateness.max());
}

#[test]
fn the_last_batch_leaves_by_the_plans_end() {
    let mut hand = Hand::up(|s| {
        (s.duration, s.batch) = (Some(Duration::from_millis(150)), Duration::from_millis(90));
    });
    hand.poll(100);
    hand.event(0, Event::Sent { whole: true });
    hand.echo(0);
    assert_eq!(hand.sends(), 1);
    // The packet due at 200 would leave at 280, and the plan ends at 250.
    assert_eq!(hand.wake.at, at(250));
    hand.poll(250);
    assert_eq!((hand.sends(), hand.counts().intended), (1, 2));
}

#[test]
fn the_wake_is_for_a_packet_only_before_the_end() {
    let mut hand = Hand::up(|s| s.duration = Some(Duration::from_millis(150)));
    hand.tick(100);
    assert_eq!((hand.wake.at, hand.wake.packet), (at(200), true));
    hand.echo(0);
    hand.tick(200);
    assert_eq!((hand.wake.at, hand.wake.packet), (at(250), false), "the end, no packet");
}

#[test]
fn a_deadline_before_the_next_packet_is_what_wakes() {
    let mut hand = Hand::up(|s| s.response_timeout = Duration::from_millis(30));
    hand.tick(100);
    hand.poll(101);
    assert_eq!((hand.wake.at, hand.wake.packet), (at(130), false));
}

#[test]
fn a_standstill_of_this_process_is_in_latency_and_not_in_service_time() {
    let mut hand = Hand::up(|_| {});
    hand.tick(160);
    hand.poll(163);
    hand.echo(0);
    let metrics = hand.metrics();
    let values = [&metrics.lateness, &metrics.latency, &metrics.service_time].map(|h| (h.len(), h.max()));
    assert!(values.iter().zip([60, 63, 3]).all(|((len, max), ms)| *len == 1 && near(*max, ms)), "{values:?}");
}

#[test]
fn a_stall_of_the_server_is_in_the_latency_of_each_packet_meanwhile() {
    let mut hand = Hand::up(|_| {});
    for ms in [100, 200, 300] {
        hand.tick(ms);
    }
    hand.poll(350);
    (0..3).for_each(|_| hand.echo(0));
    let latency = hand.metrics().latency;
    let quantiles = [0.0, 0.5, 1.0].map(|q| latency.quantile(q));
    assert!(near(quantiles[0], 50) && near(quantiles[1], 150) && near(quantiles[2], 250), "{quantiles:?}");
    assert_eq!(hand.counts().received, 3);
}

#[test]
fn after_the_clock_jumped_one_late_packet_is_sent_and_no_burst() {
    let mut hand = Hand::up(|s| s.conns = 2);
    hand.tick(100);
    hand.tick(150);
    (0..2).for_each(|slot| hand.echo(slot));
    // 30 packets of each slot are due; the last of them is less than a period behind.
    hand.poll(3_175);
    assert_eq!(hand.sends(), 2);
    (0..2).for_each(|slot| hand.event(slot, Event::Sent { whole: true }));
    let counts = hand.counts();
    assert_eq!((counts.intended, counts.sent, counts.dropped.late), (62, 4, 58));
    assert!(near(hand.metrics().lateness.max(), 75), "slot 0's of 3100 ms");
}

#[test]
fn a_packet_is_late_from_one_whole_period_on() {
    for (ms, late) in [(199, 0), (200, 1)] {
        let mut hand = Hand::up(|_| {});
        hand.poll(ms);
        assert_eq!((hand.counts().dropped.late, hand.sends()), (late, 1), "at {ms}");
    }
}

#[test]
fn no_more_echoes_are_out_than_the_limit_allows() {
    let mut hand = Hand::up(|s| s.in_flight = 2);
    for ms in [100, 200, 300] {
        hand.tick(ms);
    }
    let counts = hand.counts();
    assert_eq!((counts.intended, counts.sent, counts.dropped.in_flight_limit), (3, 2, 1));
    hand.echo(0);
    hand.tick(400);
    assert_eq!((hand.counts().sent, hand.counts().dropped.in_flight_limit), (3, 1));
}

#[test]
fn a_message_that_was_handed_over_counts_for_the_limit() {
    let mut hand = Hand::up(|s| s.in_flight = 1);
    hand.poll(100);
    hand.poll(200);
    assert_eq!(hand.counts().dropped.in_flight_limit, 1);
    assert_eq!(hand.sends(), 1);
}

#[test]
fn a_full_buffer_drops_the_packet_and_those_behind_a_part() {
    let mut hand = Hand::up(|_| {});
    hand.poll(100);
    hand.event(0, Event::Unsent { errno: None });
    assert_eq!(hand.counts().dropped.buffer_full, 1);
    hand.poll(200);
    hand.event(0, Event::Sent { whole: false });
    hand.commands.clear();
    hand.poll(300);
    assert_eq!((hand.sends(), hand.counts().dropped.buffer_full), (0, 2));
    hand.event(0, Event::SentRest);
    hand.tick(400);
    let counts = hand.counts();
    assert_eq!((counts.intended, counts.sent, counts.dropped.total()), (4, 2, 2));
    // The refused message was sent again from its start: the echoes are right.
    hand.take_echo(0);
    (0..2).for_each(|_| hand.echo(0));
    assert_eq!((hand.counts().received, hand.closed().len(), hand.live()), (2, 0, (1, 0)));
}

#[test]
fn what_is_due_without_a_connection_is_dropped_for_that() {
    let mut hand = Hand::up(|s| s.conns = 2);
    hand.event(1, Event::PeerClosed);
    hand.tick(100);
    hand.tick(150);
    let counts = hand.counts();
    assert_eq!((counts.intended, counts.sent, counts.dropped.no_connection), (2, 1, 1));
    let of_slots: Vec<u64> = hand.driver.slot_totals().map(|s| s.totals.counts.dropped.no_connection).collect();
    assert_eq!(of_slots, [0, 1]);
}

#[test]
fn a_total_rate_is_shared_by_the_slots() {
    let mut hand = Hand::up(|s| (s.conns, s.rate) = (4, Rate::Total(8.0)));
    hand.poll(100);
    assert_eq!(hand.wake.at.since(at(100)).0, ns(125));
}

#[test]
fn the_schedule_starts_once() {
    let mut hand = Hand::up(|_| {});
    hand.tick(100);
    hand.start(5_000);
    hand.poll(200);
    assert_eq!(hand.sends(), 1);
}
