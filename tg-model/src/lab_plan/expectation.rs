//! What a lab's plan is expected to lose. Changes when the prediction tells more.

use super::FaultKind;
use serde::{Deserialize, Serialize};

/// A figure over the runs of a prediction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// 5 % of the runs have this or less.
    pub p5: u64,
    /// 95 % of the runs have this or less.
    pub p95: u64,
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
}

impl Spread {
    /// Of one figure a run; of none: zeros.
    pub fn of(mut figures: Vec<u64>) -> Spread {
        figures.sort_unstable();
        let (Some(min), Some(max)) = (figures.first(), figures.last()) else { return Spread::default() };
        let n = figures.len();
        // Nearest rank: the smallest figure that so many percent of the runs do not exceed.
        let percentile = |p: usize| figures[(n * p).div_ceil(100).clamp(1, n) - 1];
        let sum: u128 = figures.iter().map(|f| u128::from(*f)).sum();
        Spread { mean: sum as f64 / n as f64, p5: percentile(5), p95: percentile(95), min: *min, max: *max }
    }

    /// Some run of the prediction had as many, or both fewer and more were met.
    pub fn holds(&self, observed: u64) -> bool {
        (self.min..=self.max).contains(&observed)
    }
}

/// What a plan is expected to lose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Expectation {
    /// Simulated runs; they differ by seed.
    pub runs: u32,
    /// Seed of the first.
    pub seed: u64,
    /// Lost connections that nobody can avoid: those on pods that the upgrade ends, once each.
    pub perfect: u64,
    /// Lost connections.
    pub lost: Spread,
    /// Of those: put on an old pod, as a replacement, while a new one would have taken them.
    pub avoidable: Spread,
    /// Replacements that came to an old pod after the upgrade started.
    pub to_doomed: Spread,
    /// Attempts that failed; they are no lost connections.
    pub failed_attempts: Spread,
    /// Lost connections of each old pod, in the order in which they were asked to end.
    pub lost_by_old_pod: Vec<Spread>,
    /// Lost connections of new pods, which only faults cause.
    pub lost_by_new_pods: Spread,
    /// Lasting connections of each new pod, in the order in which they were made.
    pub lasting_by_new_pod: Vec<Spread>,
    /// Slots without a connection at the end.
    pub without_connection: Spread,
    /// From the upgrade's start until the last old pod is gone.
    pub upgrade_ns: Spread,
    /// Faults of the plan that were passed over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_simulated: Vec<FaultKind>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_of_the_runs_by_nearest_rank() {
        let s = Spread::of((1..=100).rev().collect());
        assert_eq!(s, Spread { mean: 50.5, p5: 5, p95: 95, min: 1, max: 100 });
        assert_eq!(Spread::of(vec![7]), Spread { mean: 7.0, p5: 7, p95: 7, min: 7, max: 7 });
        assert_eq!(Spread::of(Vec::new()), Spread::default());
        assert!(s.holds(1) && s.holds(100) && !s.holds(0) && !s.holds(101));
        assert_eq!(Spread::of(vec![u64::MAX, u64::MAX]).mean, u64::MAX as f64);
    }
}
