//! Whole runs on simulated time: what a standstill of this process does, and what it does not.

use crate::hand::{spec, udp};
use std::time::Duration;
use tg_core::engine::simulated::{Behaviour, Script};
use tg_core::simulate::{self, START};
use tg_model::journal::Notes;
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
