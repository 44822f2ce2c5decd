//! Whole runs on simulated time: each fault of the simulated world does what it says, and a standstill of
//! this process does no more than it must.

use crate::hand::{spec, udp};
use std::time::Duration;
use tg_core::engine::simulated::{Behaviour, Script};
use tg_core::simulate::{self, START};
use tg_model::journal::{Line, Notes};
use tg_model::outcome::EndReason;
use tg_model::plan::{Plan, PlanSpec};
use tg_model::summary::{Summary, SummaryBuilder};
use tg_model::time::Nanos;

/// The summary of six seconds of two slots, with this process stopped for three of them (SIGSTOP).
fn stopped(change: impl FnOnce(&mut PlanSpec)) -> Summary {
    let mut spec = PlanSpec { conns: 2, duration: Some(Duration::from_secs(6)), ..spec() };
    change(&mut spec);
    let plan = Plan::try_from(spec).unwrap();
    let from = START + Nanos::from_millis(2_025);
    let script = Script { stopped: Some((from, from + Nanos::from_secs(3))), ..Script::always(1, Behaviour::Echo) };
    let outcome = simulate::run(&plan, script, None).unwrap();
    let mut summary = SummaryBuilder::new(&outcome.header);
    outcome.lines.iter().for_each(|line| summary.push(line));
    summary.finish(&Notes::default())
}

#[test]
fn a_standstill_makes_packets_late_and_loses_no_connection() {
    for change in [|_: &mut PlanSpec| {}, udp] {
        let summary = stopped(change);
        let packets = &summary.packets;
        assert_eq!((summary.lost, summary.lasting, packets.lost_in_flight), (0, 2, 0));
        // Three seconds at 10 packets/s; the last one of each slot is still sent, within its period.
        assert_eq!((packets.intended, packets.dropped.by.late, packets.dropped.total), (120, 58, 58));
        assert_eq!(packets.received, 62);
        assert!(summary.lateness.max_ns <= 100_000_000, "{:?}", summary.lateness);
        assert!(summary.accounting.ok);
    }
}

/// Why the one connection of a run of two seconds ended, and what it received.
fn ended(udp_too: bool, behaviour: Behaviour) -> (EndReason, u64) {
    let mut spec = PlanSpec { duration: Some(Duration::from_secs(2)), reconnect: false, ..spec() };
    if udp_too {
        udp(&mut spec);
    }
    let plan = Plan::try_from(spec).unwrap();
    let outcome = simulate::run(&plan, Script::always(1, behaviour), None).unwrap();
    let closed = outcome.lines.iter().find_map(|l| if let Line::Closed(c) = l { Some(c) } else { None });
    closed.map(|c| (c.reason, c.counts.received)).unwrap()
}

#[test]
fn a_simulated_peer_does_what_it_is_told_to() {
    // Five packets of 128 bytes are echoed; of datagrams the first is the probe.
    let (after, delay) = (640, Nanos::from_millis(450));
    let all = [
        (Behaviour::Echo, (EndReason::Completed, 20), Some((EndReason::Completed, 20))),
        (Behaviour::Reset { after }, (EndReason::Reset, 5), Some((EndReason::Unreachable, 4))),
        (Behaviour::Close { after }, (EndReason::ClosedByPeer, 5), None),
        (Behaviour::Stall { after }, (EndReason::ResponseTimeout, 5), Some((EndReason::ResponseTimeout, 4))),
        (Behaviour::Garbage { after }, (EndReason::Protocol, 5), Some((EndReason::Protocol, 4))),
        (Behaviour::TooMuch { after }, (EndReason::Protocol, 5), None),
        (Behaviour::ResetLater { delay }, (EndReason::Reset, 5), None),
        (Behaviour::CloseLater { delay }, (EndReason::ClosedByPeer, 5), None),
    ];
    for (behaviour, stream, datagrams) in all {
        assert_eq!(ended(false, behaviour), stream, "{behaviour:?}");
        if let Some(expected) = datagrams {
            assert_eq!(ended(true, behaviour), expected, "{behaviour:?}, UDP");
        }
    }
}

#[test]
fn a_simulated_kernel_takes_the_rest_of_a_message_later() {
    let plan = Plan::try_from(PlanSpec { duration: Some(Duration::from_secs(2)), ..spec() }).unwrap();
    let script = Script { short_sends: 100, ..Script::always(1, Behaviour::Echo) };
    let peers = simulate::run(&plan, script, None).unwrap().peers;
    assert_eq!((peers.taken, peers.echoed), (20, 20));
}
