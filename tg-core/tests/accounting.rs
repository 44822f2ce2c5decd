//! The accounting holds for each connection, each slot and the run, and agrees with what the peers
//! counted on their own, whatever goes wrong at whatever point. On simulated time.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[path = "support/ledger.rs"]
mod ledger;

use proptest::prelude::*;
use std::time::Duration;
use tg_core::engine::simulated::{Behaviour, Script};
use tg_core::simulate::{self, START};
use tg_model::plan::{Backoff, Mode, Plan, PlanSpec, Rate, Target, Transport};
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
    let kernel = (0u64..30, 0u64..30, prop_oneof![2 => Just(0), 1 => 0u64..20], 0u64..50);
    let datagrams = (0u64..40, 0u64..40, 0u64..30, 0u64..3_000_000_000);
    let stopped = prop::option::weighted(0.3, (0u64..4_000_000_000, 0u64..3_500_000_000));
    let streams = (1_000u64..400_000_000, any::<bool>());
    (any::<u64>(), prop::collection::vec(behaviour(), 1..6), streams, kernel, datagrams, stopped).prop_map(
        |(
            seed,
            behaviours,
            (delay, split),
            (short, full, refused, unresolved),
            (lost, doubled, moved, slow),
            stopped,
        )| {
            Script {
                behaviours,
                delay_max: Nanos(delay),
                split,
                short_sends: short,
                full_buffers: full,
                refused_sends: refused,
                unresolved,
                lost,
                doubled,
                moved,
                slow: Nanos(slow),
                stopped: stopped.map(|(from, span)| (START + Nanos(from), START + Nanos(from + span))),
                ..Script::always(seed, Behaviour::Echo)
            }
        },
    )
}

fn plan(transport: Transport) -> impl Strategy<Value = PlanSpec> {
    let numbers = (1u32..12, 520u32..3000, 1u32..9, 1u64..5_000);
    let rate = prop_oneof![4 => (0.5f64..40.0).prop_map(Rate::PerConnection), 1 => Just(Rate::Unlimited)];
    let target = prop_oneof![3 => Just("192.0.2.1:5003"), 1 => Just("pod.test:5003")];
    (numbers, rate, any::<[bool; 4]>(), target).prop_map(
        move |((conns, size, in_flight, ms), rate, [closed, reconnect, ramp, batch], target)| PlanSpec {
            transport,
            conns,
            size,
            in_flight,
            rate,
            duration: Some(Duration::from_millis(ms)),
            mode: if closed || rate == Rate::Unlimited { Mode::ClosedLoop } else { Mode::OpenLoop },
            // 25 ms is the shortest period.
            batch: Duration::from_millis(if batch && rate != Rate::Unlimited { 20 } else { 0 }),
            reconnect,
            ramp: Duration::from_millis(if ramp { 300 } else { 0 }),
            backoff: Backoff { min: Duration::from_millis(50), max: Duration::from_millis(400) },
            ..PlanSpec::new([target.parse::<Target>().unwrap()])
        },
    )
}

/// After which span somebody stops the run, if anybody does.
fn stop() -> impl Strategy<Value = Option<Nanos>> {
    prop::option::weighted(0.2, (0u64..5_000_000_000).prop_map(Nanos))
}

fn run(spec: PlanSpec, script: Script, stop: Option<Nanos>) {
    let plan = Plan::try_from(spec).expect("a valid plan");
    let stopped = script.stopped.is_some();
    let outcome = simulate::run(&plan, script, stop).expect("the simulation goes on");
    ledger::check(&plan, &outcome, stopped);
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn streams_are_accounted_for(spec in plan(Transport::Tcp), script in script(), stop in stop()) {
        run(spec, script, stop);
    }

    #[test]
    fn datagrams_are_accounted_for(spec in plan(Transport::Udp), script in script(), stop in stop()) {
        run(spec, script, stop);
    }

    #[test]
    fn equal_seeds_give_equal_runs(spec in plan(Transport::Tcp), script in script()) {
        let plan = Plan::try_from(spec).expect("a valid plan");
        let once = simulate::run(&plan, script.clone(), None).expect("runs");
        let again = simulate::run(&plan, script, None).expect("runs");
        prop_assert_eq!(once.lines, again.lines);
    }
}
