//! The accounting of a simulated run, added up anew from its lines: by connections, attempts and packets
//! that had none. For property tests and for fuzzing.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use tg_core::engine::simulated::PeerCounts;
use tg_core::simulate::Outcome;
use tg_model::counts::Counts;
use tg_model::id::SlotId;
use tg_model::journal::{AttemptFailed, Ending, Line, Notes, Totals};
use tg_model::outcome::EndReason;
use tg_model::plan::{Host, Plan, Rate, Transport};
use tg_model::summary::SummaryBuilder;

fn add(to: &mut Totals, counts: &Counts, lost: bool) {
    to.established += 1;
    to.lost += u64::from(lost);
    to.counts.add(counts);
}

/// Holds the lines of a simulated run against each other and against what the peers counted. `stopped`:
/// its process stood still for a while, so that a datagram may be awaited for longer than peers think.
///
/// # Panics
/// Something does not add up.
pub fn check(plan: &Plan, outcome: &Outcome, stopped: bool) {
    let mut by_connection: BTreeMap<SlotId, Totals> = BTreeMap::new();
    let mut slots: BTreeMap<SlotId, Totals> = BTreeMap::new();
    let (mut run, mut lasting, mut reasons) = (None, 0, BTreeMap::<EndReason, u64>::new());
    for line in &outcome.lines {
        match line {
            Line::Closed(c) => {
                c.counts.check().unwrap_or_else(|e| panic!("connection {}: {e}", c.established.conn));
                add(by_connection.entry(c.established.conn.slot).or_default(), &c.counts, c.reason.is_lost());
                lasting += u64::from(!c.reason.is_lost());
                *reasons.entry(c.reason).or_default() += 1;
            }
            Line::AttemptFailed(a) => by_connection.entry(a.slot).or_default().failed_attempts += 1,
            Line::Slot(s) => assert!(slots.insert(s.slot, s.totals).is_none()),
            Line::Footer(f) => run = Some(f.totals),
            _ => {}
        }
    }
    let run = run.expect("a footer");
    assert_eq!(slots.len(), plan.conns as usize);
    let mut sum = Totals::default();
    for (slot, totals) in &slots {
        totals.counts.check().unwrap_or_else(|e| panic!("slot {}: {e}", slot.0));
        let mut parts = by_connection.remove(slot).unwrap_or_default();
        // Packets without a connection belong to the slot alone.
        parts.counts.intended += totals.counts.dropped.no_connection;
        parts.counts.dropped.no_connection += totals.counts.dropped.no_connection;
        parts.attempts = totals.attempts;
        assert_eq!(&parts, totals, "slot {}", slot.0);
        sum.attempts += totals.attempts;
        sum.failed_attempts += totals.failed_attempts;
        sum.established += totals.established;
        sum.lost += totals.lost;
        sum.counts.add(&totals.counts);
    }
    run.counts.check().expect("the run");
    assert_eq!(sum, run);
    assert_eq!(run.established, run.lost + lasting);
    agree_with_peers(plan, outcome, &run, &reasons);
    if plan.transport == Transport::Udp {
        agree_on_datagrams(&outcome.peers, &run, stopped);
    } else {
        assert_eq!(outcome.peers.echoed, run.counts.received);
    }
    agree_with_summary(plan, outcome, &run, lasting);
}

fn agree_with_summary(plan: &Plan, outcome: &Outcome, run: &Totals, lasting: u64) {
    let mut summary = SummaryBuilder::new(&outcome.header);
    outcome.lines.iter().for_each(|line| summary.push(line));
    let summary = summary.finish(&Notes::default());
    assert!(summary.accounting.ok, "{:?}", summary.accounting);
    assert_eq!((summary.lost, summary.lasting), (run.lost, lasting));
    assert!(summary.outages.count <= run.lost + summary.never_connected);
    assert!(summary.outages.still_out <= u64::from(plan.conns));
}

fn agree_with_peers(plan: &Plan, outcome: &Outcome, run: &Totals, reasons: &BTreeMap<EndReason, u64>) {
    let peers = outcome.peers;
    let by_peer = |r: EndReason| reasons.get(&r).copied().unwrap_or(0);
    if plan.targets.iter().all(|t| matches!(t.host, Host::Ip(_))) {
        assert_eq!(peers.attempts, run.attempts);
    } else if plan.targets.iter().all(|t| matches!(t.host, Host::Name(_))) {
        assert_eq!(peers.asked, run.attempts);
        assert!(peers.attempts + peers.unresolved <= run.attempts);
    }
    assert_eq!(peers.taken, run.counts.sent);
    assert_eq!(peers.refused, run.counts.dropped.send_failed);
    let failed = |pick: fn(&AttemptFailed) -> bool| {
        outcome.lines.iter().filter(|l| matches!(l, Line::AttemptFailed(a) if pick(a))).count() as u64
    };
    // The answer to a question asked when the run ended fails nothing.
    assert!(failed(|a| a.remote.is_none()) <= peers.unresolved);
    if plan.transport == Transport::Udp {
        assert_eq!(peers.full, run.counts.dropped.buffer_full);
    } else {
        // A packet is dropped behind the rest of one, too.
        assert!(peers.full <= run.counts.dropped.buffer_full);
        assert_eq!(peers.connects_failed, failed(|a| a.errno.is_some()));
        assert_eq!(peers.connected, run.established);
        assert_eq!(peers.closed, by_peer(EndReason::ClosedByPeer));
        assert_eq!(peers.failed + peers.refused, by_peer(EndReason::Reset) + by_peer(EndReason::UserTimeout));
    }
    let zero = outcome.lines.iter().any(|l| matches!(l, Line::Event(_)));
    let planned = matches!(outcome.lines.last(), Some(Line::Footer(f)) if f.ending == Ending::Planned);
    if let (Rate::PerConnection(rate), true, Some(duration)) = (plan.rate, zero && planned, plan.duration) {
        let duration = duration.as_nanos() as f64;
        // A packet that is due within rounding of the end may be in or out.
        let (least, most) = (intended(plan, rate, duration - 1.0), intended(plan, rate, duration + 1.0));
        assert!((least..=most).contains(&run.counts.intended), "{} of {least} to {most}", run.counts.intended);
    }
}

fn agree_on_datagrams(peers: &PeerCounts, run: &Totals, stopped: bool) {
    assert_eq!(peers.probed, run.established);
    assert_eq!(peers.doubled, run.counts.duplicate);
    assert_eq!(peers.moved, run.counts.other_host);
    assert_eq!(peers.echoed + peers.late, run.counts.received + run.counts.late);
    if !stopped {
        assert_eq!((peers.echoed, peers.reordered), (run.counts.received, run.counts.reordered));
    }
}

/// Packets due in [0, duration), from the formula alone: slot s at (k + s/N) periods.
fn intended(plan: &Plan, rate: f64, duration_ns: f64) -> u64 {
    let period = 1e9 / rate;
    let n = f64::from(plan.conns);
    (0..plan.conns).map(|s| ((duration_ns / period - f64::from(s) / n).ceil()).max(0.0) as u64).sum()
}
