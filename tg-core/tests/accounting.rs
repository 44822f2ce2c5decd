//! The accounting holds for each connection, each slot and the run, and agrees with what the peers
//! counted on their own, whatever goes wrong at whatever point. On simulated time.

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;
use tg_core::engine::simulated::{Behaviour, Script};
use tg_core::simulate::{self, Outcome};
use tg_model::counts::Counts;
use tg_model::id::SlotId;
use tg_model::journal::{Line, Notes, Totals};
use tg_model::outcome::EndReason;
use tg_model::plan::{Backoff, Mode, Plan, PlanSpec, Rate, Target, Transport};
use tg_model::summary::SummaryBuilder;
use tg_model::time::Nanos;

fn behaviour() -> impl Strategy<Value = Behaviour> {
    let at = 0u64..20_000;
    // Bytes of the peer's own make a difference only after the part that it may change.
    let later = 600u64..20_000;
    let delay = (0u64..4_000_000_000).prop_map(Nanos);
    prop_oneof![
        4 => Just(Behaviour::Echo),
        1 => Just(Behaviour::Refuse),
        1 => Just(Behaviour::Ignore),
        1 => Just(Behaviour::ResetConnect),
        1 => Just(Behaviour::Unreachable),
        1 => at.clone().prop_map(|after| Behaviour::Reset { after }),
        1 => at.clone().prop_map(|after| Behaviour::Close { after }),
        1 => at.prop_map(|after| Behaviour::Stall { after }),
        1 => later.clone().prop_map(|after| Behaviour::Garbage { after }),
        1 => later.prop_map(|after| Behaviour::TooMuch { after }),
        1 => delay.clone().prop_map(|delay| Behaviour::ResetLater { delay }),
        1 => delay.prop_map(|delay| Behaviour::CloseLater { delay }),
    ]
}

fn script() -> impl Strategy<Value = Script> {
    let faults = (0u64..30, 0u64..30, 0u64..40, 0u64..40, 0u64..30);
    (
        any::<u64>(),
        prop::collection::vec(behaviour(), 1..6),
        1_000u64..400_000_000,
        any::<bool>(),
        faults,
        0u64..3_000_000_000,
    )
        .prop_map(|(seed, behaviours, delay, split, (short, full, lost, doubled, moved), slow)| Script {
            behaviours,
            delay_max: Nanos(delay),
            split,
            short_sends: short,
            full_buffers: full,
            lost,
            doubled,
            moved,
            slow: Nanos(slow),
            ..Script::always(seed, Behaviour::Echo)
        })
}

fn plan(transport: Transport) -> impl Strategy<Value = PlanSpec> {
    let numbers = (1u32..12, 520u32..3000, 1u32..9, 1u64..5_000);
    let rate = prop_oneof![4 => (0.5f64..40.0).prop_map(Rate::PerConnection), 1 => Just(Rate::Unlimited)];
    (numbers, rate, any::<[bool; 3]>()).prop_map(
        move |((conns, size, in_flight, ms), rate, [closed, reconnect, ramp])| PlanSpec {
            transport,
            conns,
            size,
            in_flight,
            rate,
            duration: Some(Duration::from_millis(ms)),
            mode: if closed || rate == Rate::Unlimited { Mode::ClosedLoop } else { Mode::OpenLoop },
            reconnect,
            ramp: Duration::from_millis(if ramp { 300 } else { 0 }),
            backoff: Backoff { min: Duration::from_millis(50), max: Duration::from_millis(400) },
            ..PlanSpec::new(["192.0.2.1:5003".parse::<Target>().unwrap()])
        },
    )
}

fn add(to: &mut Totals, counts: &Counts, lost: bool) {
    to.established += 1;
    to.lost += u64::from(lost);
    to.counts.add(counts);
}

/// What the lines add up to for each slot, by connections, attempts and packets that had none.
fn check(plan: &Plan, outcome: &Outcome) {
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
    assert_eq!(peers.attempts, run.attempts);
    assert_eq!(peers.taken, run.counts.sent);
    assert_eq!(peers.echoed, run.counts.received);
    if plan.transport == Transport::Tcp {
        assert_eq!(peers.connected, run.established);
        let by_peer = |r: EndReason| reasons.get(&r).copied().unwrap_or(0);
        assert_eq!(peers.closed, by_peer(EndReason::ClosedByPeer));
        assert!(by_peer(EndReason::Reset) <= peers.failed + peers.closed);
        assert!(peers.connects_failed <= run.failed_attempts);
    } else {
        assert_eq!(peers.probed, run.established);
        assert_eq!(peers.late, run.counts.late);
        assert_eq!(peers.doubled, run.counts.duplicate);
        assert_eq!(peers.reordered, run.counts.reordered);
        assert_eq!(peers.moved, run.counts.other_host);
    }
    if let (Rate::PerConnection(rate), false) = (plan.rate, no_schedule(outcome)) {
        assert_eq!(run.counts.intended, intended(plan, rate));
    }
}

fn no_schedule(outcome: &Outcome) -> bool {
    !outcome.lines.iter().any(|l| matches!(l, Line::Event(_)))
}

/// Packets due in [0, duration), from the formula alone: slot s at (k + s/N) periods.
fn intended(plan: &Plan, rate: f64) -> u64 {
    let duration = plan.duration.expect("a duration").as_nanos() as f64;
    let period = 1e9 / rate;
    let n = f64::from(plan.conns);
    (0..plan.conns).map(|s| ((duration / period - f64::from(s) / n).ceil()).max(0.0) as u64).sum()
}

fn run(spec: PlanSpec, script: Script) {
    let plan = Plan::try_from(spec).expect("a valid plan");
    let outcome = simulate::run(&plan, script, None).expect("the simulation goes on");
    check(&plan, &outcome);
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn streams_are_accounted_for(spec in plan(Transport::Tcp), script in script()) {
        run(spec, script);
    }

    #[test]
    fn datagrams_are_accounted_for(spec in plan(Transport::Udp), script in script()) {
        run(spec, script);
    }

    #[test]
    fn equal_seeds_give_equal_runs(spec in plan(Transport::Tcp), script in script()) {
        let plan = Plan::try_from(spec).expect("a valid plan");
        let once = simulate::run(&plan, script.clone(), None).expect("runs");
        let again = simulate::run(&plan, script, None).expect("runs");
        prop_assert_eq!(once.lines, again.lines);
    }
}
