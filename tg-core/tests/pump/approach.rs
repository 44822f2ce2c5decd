//! How a point in time is approached: asleep, by a short last sleep, awake.

use crate::{Lines, MS, Mute, pump};
use tg_core::engine::{Completion, Event, Token};
use tg_core::pump::Approach;
use tg_model::time::Nanos;

const APPROACH: Approach = Approach { nap: Nanos::from_millis(2), spin: Nanos::from_millis(1) };

/// Waits from 0 to `until`; what the engine was asked for.
fn waits(until: Nanos, approach: Approach) -> Vec<(Nanos, Nanos)> {
    let mut pump = pump(Mute::new(true));
    while pump.engine.now < until {
        pump.wait(until, approach, &mut Lines::default()).unwrap();
    }
    pump.engine.waits
}

#[test]
fn a_long_sleep_ends_with_a_nap_and_then_the_thread_is_awake() {
    let asleep = Nanos::ZERO;
    assert_eq!(waits(MS(10), APPROACH), [(MS(7), asleep), (MS(9), asleep), (MS(10), MS(1))]);
    assert_eq!(waits(MS(5), APPROACH), [(MS(4), asleep), (MS(5), MS(1))], "two naps long: one sleep");
    assert_eq!(waits(MS(1), APPROACH), [(MS(1), MS(1))]);
    assert_eq!(waits(MS(10), Approach { nap: Nanos::ZERO, ..APPROACH }), [(MS(9), asleep), (MS(10), MS(1))]);
    assert_eq!(waits(MS(10), Approach { spin: Nanos::ZERO, ..APPROACH }), [(MS(10), asleep)]);
}

#[test]
fn what_comes_in_the_sleep_before_the_nap_is_taken_in_at_once() {
    let mut pump = pump(Mute::new(true));
    let token = Token { slot: 0, generation: 0 };
    pump.engine.completions.push_back(Completion { token, at: Nanos::ZERO, event: Event::Sent { whole: true } });
    assert!(pump.wait(MS(10), APPROACH, &mut Lines::default()).unwrap());
    assert_eq!(pump.engine.waits, [(MS(7), Nanos::ZERO)]);
}
