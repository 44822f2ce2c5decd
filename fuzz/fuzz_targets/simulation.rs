//! A whole run on simulated time against a world of faults: everything is accounted for, by the lines,
//! by the summary and by the peers' own count (`tg-core/tests/support/ledger.rs`).

#![no_main]

#[path = "../../tg-core/tests/support/ledger.rs"]
mod ledger;

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use tg_core::engine::simulated::{Behaviour, Script};
use tg_core::simulate::{self, START};
use tg_model::plan::{Backoff, Mode, Plan, PlanSpec, Rate, Resolve, Target, Transport};
use tg_model::time::Nanos;

#[derive(Debug)]
struct World {
    plan: Plan,
    script: Script,
    stop_after: Option<Nanos>,
}

fuzz_target!(|world: World| {
    let outcome = simulate::run(&world.plan, world.script.clone(), world.stop_after).expect("the simulation goes on");
    ledger::check(&world.plan, &outcome, world.script.stopped.is_some());
});

impl<'a> Arbitrary<'a> for World {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<World> {
        let spec = spec(u)?;
        let script = script(u, Nanos::from(spec.response_timeout))?;
        let stop_after = u.ratio(1, 4)?.then(|| u.int_in_range(0..=6_000_000_000).map(Nanos)).transpose()?;
        let plan = Plan::try_from(spec).map_err(|_| arbitrary::Error::IncorrectFormat)?;
        Ok(World { plan, script, stop_after })
    }
}

fn millis(u: &mut Unstructured<'_>, range: std::ops::RangeInclusive<u64>) -> Result<Duration> {
    u.int_in_range(range).map(Duration::from_millis)
}

fn spec(u: &mut Unstructured<'_>) -> Result<PlanSpec> {
    let (transport, size_min) = *u.choose(&[(Transport::Tcp, 64), (Transport::Udp, 72)])?;
    let unlimited = u.ratio(1, 6)?;
    let rate = if unlimited { Rate::Unlimited } else { Rate::PerConnection(u.int_in_range(1u32..=640)?.into()) };
    let rate = if let Rate::PerConnection(r) = rate { Rate::PerConnection(r / 16.0) } else { rate };
    let target: &Target =
        &u.choose(&["192.0.2.1:5003", "[2001:db8::1]:5003", "pod.test:5003"])?.parse().expect("valid");
    let min = millis(u, 1..=500)?;
    Ok(PlanSpec {
        transport,
        rate,
        conns: u.int_in_range(1..=8)?,
        size: u.int_in_range(size_min..=3000)?,
        duration: Some(millis(u, 1..=5_000)?),
        mode: if unlimited || u.arbitrary()? { Mode::ClosedLoop } else { Mode::OpenLoop },
        in_flight: u.int_in_range(1..=8)?,
        connect_timeout: millis(u, 1..=2_000)?,
        response_timeout: millis(u, 1..=2_000)?,
        reconnect: u.ratio(7, 8)?,
        resolve: *u.choose(&[Resolve::Start, Resolve::Each])?,
        backoff: Backoff { min, max: min + millis(u, 0..=1_000)? },
        ramp: millis(u, 0..=500)?,
        seed: u.arbitrary()?,
        ..PlanSpec::new([target.clone()])
    })
}

fn script(u: &mut Unstructured<'_>, response_timeout: Nanos) -> Result<Script> {
    let from = START + Nanos(u.int_in_range(0..=4_000_000_000)?);
    let stopped = Some((from, from + Nanos(u.int_in_range(0..=3_500_000_000)?))).filter(|(from, to)| from < to);
    let behaviours = (0..u.int_in_range(1..=5)?).map(|_| behaviour(u)).collect::<Result<_>>()?;
    Ok(Script {
        behaviours,
        // Not less: an unlimited rate makes a packet of each delay.
        delay_max: Nanos(u.int_in_range(1_000_000..=400_000_000)?),
        split: u.arbitrary()?,
        short_sends: u.int_in_range(0..=30)?,
        full_buffers: u.int_in_range(0..=30)?,
        lost: u.int_in_range(0..=40)?,
        doubled: u.int_in_range(0..=40)?,
        moved: u.int_in_range(0..=30)?,
        slow: Nanos(u.int_in_range(0..=3_000_000_000)?),
        refused_sends: u.int_in_range(0..=20)?,
        unresolved: u.int_in_range(0..=50)?,
        stopped,
        response_timeout,
        ..Script::always(u.arbitrary()?, Behaviour::Echo)
    })
}

fn behaviour(u: &mut Unstructured<'_>) -> Result<Behaviour> {
    let after = u.int_in_range(0..=20_000)?;
    // Bytes of the peer's own make a difference only after the part that it may change.
    let later = after.max(600);
    let delay = Nanos(u.int_in_range(0..=4_000_000_000)?);
    Ok(*u.choose(&[
        Behaviour::Echo,
        Behaviour::Echo,
        Behaviour::Echo,
        Behaviour::Refuse,
        Behaviour::Ignore,
        Behaviour::ResetConnect,
        Behaviour::Unreachable,
        Behaviour::Reset { after },
        Behaviour::Close { after },
        Behaviour::Stall { after },
        Behaviour::Garbage { after: later },
        Behaviour::TooMuch { after: later },
        Behaviour::ResetLater { delay },
        Behaviour::CloseLater { delay },
    ])?)
}
