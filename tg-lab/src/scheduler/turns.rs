//! Schedulers that go round: `rr` and `wrr`. Changes when the kernel's ip_vs_rr.c or ip_vs_wrr.c does.

use super::Backend;

/// ip_vs_rr.c: the next one after the last chosen that takes connections.
#[derive(Clone, Debug, Default)]
pub(super) struct RoundRobin {
    /// Place of the last chosen; `None`: the list's head.
    last: Option<usize>,
}

impl RoundRobin {
    /// One came at the head.
    pub(super) fn added(&mut self) {
        self.last = self.last.map(|last| last + 1);
    }

    /// The one at `at` is gone; where it was the last chosen, the one before it takes its place.
    pub(super) fn removed(&mut self, at: usize) {
        if let Some(last) = self.last
            && at <= last
        {
            self.last = last.checked_sub(1);
        }
    }

    pub(super) fn choose(&mut self, backends: &[Backend]) -> Option<usize> {
        let after = self.last.map_or(0, |last| last + 1).min(backends.len());
        let takes = |i: &usize| backends[*i].weight > 0;
        let chosen = (after..backends.len()).find(takes).or_else(|| (0..after).find(takes))?;
        self.last = Some(chosen);
        Some(chosen)
    }
}

/// ip_vs_wrr.c: each is chosen as often as its weight says, the heavy ones first.
#[derive(Clone, Debug, Default)]
pub(super) struct WeightedRoundRobin {
    /// Place of the last chosen; `None`: the list's head.
    last: Option<usize>,
    /// Weight that is wanted now.
    current: i64,
    /// Highest weight, less one step, plus 1: so the last round is for weights of 1 and more.
    highest: i64,
    /// Greatest common divisor of the weights.
    step: i64,
}

impl WeightedRoundRobin {
    /// Something in the list is another one.
    pub(super) fn changed(&mut self, backends: &[Backend]) {
        let weights = || backends.iter().map(|b| i64::from(b.weight)).filter(|w| *w > 0);
        self.last = None;
        self.step = weights().reduce(gcd).unwrap_or(1);
        self.highest = weights().max().unwrap_or(0) - (self.step - 1);
        if self.current > self.highest || self.current == 0 {
            self.current = self.highest;
        } else if self.step > 1 {
            self.current = self.current / self.step * self.step + 1;
        }
    }

    pub(super) fn choose(&mut self, backends: &[Backend]) -> Option<usize> {
        if self.highest <= 0 {
            return None;
        }
        // One that weighs `highest` or more is there, so two falls of `current` to the end find it.
        let rounds = 2 * (self.highest / self.step.max(1) + 2);
        let mut from = self.last.map_or(0, |last| last + 1);
        for _ in 0..rounds {
            let wanted = self.current;
            let found =
                (from..backends.len()).find(|i| backends[*i].weight > 0 && i64::from(backends[*i].weight) >= wanted);
            if found.is_some() {
                self.last = found;
                return found;
            }
            from = 0;
            self.current -= self.step;
            if self.current <= 0 {
                self.current = self.highest;
            }
        }
        None
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
