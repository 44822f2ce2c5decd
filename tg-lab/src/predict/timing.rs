//! Times that the plan does not give: how long machines take. Changes when a measurement says otherwise.

use tg_core::random::Random;
use tg_model::time::Nanos;

/// A time that differs from one to the next, evenly between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The shortest.
    pub min: Nanos,
    /// The longest.
    pub max: Nanos,
}

impl Range {
    const fn ms(min: u64, max: u64) -> Range {
        Range { min: Nanos::from_millis(min), max: Nanos::from_millis(max) }
    }

    pub(super) fn draw(self, random: &mut Random) -> Nanos {
        self.min + Nanos(random.below(self.max.since(self.min).0 + 1))
    }
}

/// How long machines take. The defaults are of one machine that has the lab to itself, and of the runs in a virtual
/// machine that the prediction is held against: there a deletion first set the weight, by a program of its own,
/// and only then the hook's time began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Beyond `ready`: the process was started, and its readiness was seen.
    pub start: Range,
    /// From a change of endpoints to a node's balancer.
    pub endpoint: Range,
    /// From a pod's deletion to the start of its preStop hook.
    pub hook: Range,
    /// From SIGTERM to the end of the pod's connections.
    pub exit: Range,
    /// From there until the pod is gone for the controller.
    pub gone: Range,
    /// From a connection's end until its client knows, and connects again.
    pub detect: Range,
    /// Between two connections of a client that were lost together.
    pub each: Nanos,
    /// Wait after a failed attempt: the first, and the longest; it doubles.
    pub backoff: (Nanos, Nanos),
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            start: Range::ms(1, 10),
            endpoint: Range::ms(1, 5),
            hook: Range::ms(20, 60),
            exit: Range::ms(0, 2),
            gone: Range::ms(1, 10),
            detect: Range::ms(0, 1),
            each: Nanos(20_000),
            backoff: (Nanos::from_millis(100), Nanos::from_secs(1)),
        }
    }
}
