//! Percentiles within a round, and medians and spreads over rounds. Changes when another statistic is told.

/// The value that this share of the values is at most, by nearest rank; `None` where there are none.
/// `quantile` is from 0 to 1.
pub fn quantile(sorted: &[u64], quantile: f64) -> Option<u64> {
    let rank = (sorted.len() as f64 * quantile).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied()
}

/// What rounds gave: their median, least and greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// `None` where there is no value, or one that is no number.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        if values.iter().any(|v| v.is_nan()) {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Some(Spread { median, min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantiles_are_values_that_were_there() {
        let hundred: Vec<u64> = (1..=100).collect();
        for (q, want) in [(0.0, 1), (0.005, 1), (0.5, 50), (0.501, 51), (0.99, 99), (0.999, 100), (1.0, 100)] {
            assert_eq!(quantile(&hundred, q), Some(want), "{q}");
        }
        assert_eq!(quantile(&[7], 0.5), Some(7));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn an_even_number_of_rounds_has_its_median_between_two() {
        let spread = |median, min, max| Some(Spread { median, min, max });
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), spread(2.0, 1.0, 3.0));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]), spread(2.5, 1.0, 4.0));
        assert_eq!(Spread::of([5.0]), spread(5.0, 5.0, 5.0));
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([1.0, f64::NAN]), None);
    }

    proptest! {
        #[test]
        fn enough_values_are_at_or_below_a_quantile(mut values: Vec<u16>, q in 0.0..=1.0f64) {
            values.sort_unstable();
            let values: Vec<u64> = values.into_iter().map(u64::from).collect();
            if let Some(found) = quantile(&values, q) {
                let below = values.iter().filter(|v| **v <= found).count();
                let under = values.iter().filter(|v| **v < found).count();
                prop_assert!(below as f64 >= values.len() as f64 * q);
                prop_assert!(under == 0 || (under as f64) < values.len() as f64 * q);
            }
        }
    }
}
