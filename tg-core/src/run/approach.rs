//! How late this machine wakes a sleeper, and how a packet thread makes up for it: a short last sleep, and a window
//! of busy waiting. Changes when there is a better way to be awake in time.

use crate::engine::Engine;
use crate::pump::Approach;
use crate::schedule::{Share, period};
use std::io;
use tg_model::plan::{Plan, Spin};
use tg_model::time::Nanos;

/// For so long wake-ups are measured.
const MEASURED: Nanos = Nanos::from_millis(30);
/// The sleeps that are measured are no shorter: a processor wakes up from these as from shorter ones.
const MEASURED_SLEEP_MIN: Nanos = Nanos(100_000);
/// A longer window would burn more than it gains: beyond it lie the scheduler's own delays.
const WINDOW_MAX_NS: u64 = 150_000;
/// The last sleep before the window: long enough to come after a late wake-up, short enough for the processor not to
/// fall into a deep sleep, or to be given away, again. `bench/TRIED.md` has what others gave.
pub(crate) const NAP: Nanos = Nanos(200_000);
/// With packets closer together the sleeps are short anyhow, and a further wake-up each would cost more. No longer
/// sleep is measured, either: after a nap it is not what counts.
pub(crate) const NAPS_FROM_PAUSE: Nanos = Nanos::from_millis(1);

/// The error of waking up at a set time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WakeUp {
    /// Median, nanoseconds.
    pub p50_ns: u64,
    /// 90th percentile.
    pub p90_ns: u64,
    /// The largest measured.
    pub max_ns: u64,
    /// The window that suits: the 90th percentile, at most 150 µs.
    pub suggested_spin_ns: u64,
}

/// Whether packets leave at their own precise times: not as fast as echoes return, and not batched.
pub(crate) fn is_timed(plan: &Plan) -> bool {
    plan.total_rate().is_some() && plan.batch.is_zero()
}

/// What the plan asks for; where it leaves that open, what suits the pauses between packets and this machine, found by
/// measuring with an engine that has nothing else to do.
pub(crate) fn choose(plan: &Plan, share: Share, engine: &mut impl Engine) -> Approach {
    match (plan.spin, pause(plan, share)) {
        (Spin::WindowNs(ns), _) => Approach { nap: Nanos::ZERO, spin: Nanos(ns) },
        (Spin::Auto, None) => Approach::ASLEEP,
        (Spin::Auto, Some(pause)) => {
            // An engine that does not wake up at all will say so in the run.
            measure(engine, pause).map_or(Approach::ASLEEP, |measured| auto(measured, nap(pause), pause))
        }
    }
}

/// From one packet of a shard to the next, where they are timed.
fn pause(plan: &Plan, share: Share) -> Option<Nanos> {
    let total = plan.total_rate().filter(|_| is_timed(plan))?;
    let per_slot = period(total / f64::from(plan.conns));
    Some(Nanos(per_slot.0 / u64::from(share.len()).max(1)))
}

fn measured_sleep(pause: Nanos) -> Nanos {
    pause.clamp(MEASURED_SLEEP_MIN, NAPS_FROM_PAUSE)
}

fn nap(pause: Nanos) -> Nanos {
    if pause >= NAPS_FROM_PAUSE { NAP } else { Nanos::ZERO }
}

/// Asleep where the window would fill more than half of the pause: that costs more than sleeping, and the thread is
/// awake most of the time anyhow.
fn auto(measured: WakeUp, nap: Nanos, pause: Nanos) -> Approach {
    let spin = Nanos(measured.suggested_spin_ns);
    if spin == Nanos::ZERO || spin.0 > pause.0 / 2 { Approach::ASLEEP } else { Approach { nap, spin } }
}

/// Measures with an engine that has nothing else to do, for 30 ms, by sleeps as between packets so far apart.
///
/// # Errors
/// The engine failed.
pub(crate) fn measure(engine: &mut impl Engine, pause: Nanos) -> io::Result<WakeUp> {
    let (sleep, nap) = (measured_sleep(pause), nap(pause));
    let end = engine.now() + MEASURED;
    let mut errors = Vec::new();
    while errors.is_empty() || engine.now() < end {
        let until = engine.now() + sleep;
        for stop in [until - nap, until] {
            while engine.now() < stop {
                engine.wait(stop, Nanos::ZERO)?;
            }
        }
        errors.push(engine.now().since(until).0);
    }
    errors.sort_unstable();
    let at = |percent: usize| errors[(errors.len() * percent / 100).min(errors.len() - 1)];
    Ok(WakeUp { p50_ns: at(50), p90_ns: at(90), max_ns: at(100), suggested_spin_ns: at(90).min(WINDOW_MAX_NS) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::epoll::Epoll;
    use std::time::Duration;
    use tg_model::plan::{Mode, PlanSpec, Rate, Target};

    const SHARE: Share = Share { shard: 0, shards: 2, total: 80 };

    fn plan(change: impl FnOnce(&mut PlanSpec)) -> Plan {
        let mut spec = PlanSpec::new(["127.0.0.1:1".parse::<Target>().unwrap()]);
        change(&mut spec);
        Plan::try_from(spec).unwrap()
    }

    #[test]
    fn a_window_is_taken_where_it_is_at_most_half_of_the_pause() {
        let measured = WakeUp { p50_ns: 50_000, p90_ns: 60_000, max_ns: 90_000, suggested_spin_ns: 60_000 };
        assert_eq!(auto(measured, NAP, Nanos(119_999)), Approach::ASLEEP);
        assert_eq!(auto(measured, NAP, Nanos(120_000)), Approach { nap: NAP, spin: Nanos(60_000) });
        assert_eq!(auto(WakeUp { suggested_spin_ns: 0, ..measured }, NAP, Nanos(120_000)), Approach::ASLEEP);
    }

    #[test]
    fn what_is_chosen_follows_the_plan() {
        let mut engine = Epoll::new(1, vec![0; 64].into()).unwrap();
        let mut of = |change: fn(&mut PlanSpec)| choose(&plan(change), SHARE, &mut engine);
        assert_eq!(of(|s| s.spin = Spin::WindowNs(7)), Approach { nap: Nanos::ZERO, spin: Nanos(7) });
        assert_eq!(of(|s| s.batch = Duration::from_millis(1)), Approach::ASLEEP);
        assert_eq!(of(|s| (s.rate, s.mode) = (Rate::Unlimited, Mode::ClosedLoop)), Approach::ASLEEP);
    }

    #[test]
    fn naps_are_for_pauses_of_a_millisecond_or_more() {
        assert_eq!([999_999, 1_000_000].map(|ns| nap(Nanos(ns))), [Nanos::ZERO, NAP]);
    }

    #[test]
    fn sleeps_as_long_as_the_pauses_are_measured() {
        let measured = [20_000, 300_000, 5_000_000].map(|ns| measured_sleep(Nanos(ns)).0);
        assert_eq!(measured, [100_000, 300_000, 1_000_000]);
    }

    #[test]
    fn each_of_two_shards_sends_half_as_often() {
        let pause_of = |change: fn(&mut PlanSpec)| pause(&plan(change), SHARE);
        assert_eq!(pause_of(|_| {}), Some(Nanos::from_millis(5)));
        assert_eq!(pause_of(|s| s.batch = Duration::from_millis(1)), None);
        assert_eq!(pause_of(|s| (s.rate, s.mode) = (Rate::Unlimited, Mode::ClosedLoop)), None);
    }
}
