//! A histogram with a fixed range, allocated once. Changes when what is asked of one does.
//!
//! Values, ranks and text are those of the crate hdrhistogram, which reads the text, and against which tests hold
//! the rest. Its own table is not recorded into because it is gone through whole, 124 KiB, to add, clear or encode:
//! with a dozen of them and once a second that was a quarter of a run's memory, and time that delayed packets. Here
//! only what lies between the smallest and the largest value is touched, usually a third of it.

mod text;

pub use text::{EncodedHistogram, HistogramError};

use std::ops::Range;

/// The largest value told apart: 10 minutes in nanoseconds.
pub const VALUE_MAX_NS: u64 = 600_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// Values below 2^11 have a counter each; of each power of two from there on, its 2^10 equal parts have one.
const PARTS_LOG2: u32 = 10;
/// Counters: up to the power of two above [`VALUE_MAX_NS`].
const TABLE_LEN: usize = ((VALUE_MAX_NS.ilog2() - PARTS_LOG2 + 2) as usize) << PARTS_LOG2;
/// The largest value that has a counter.
const TABLE_MAX: u64 = (2 << VALUE_MAX_NS.ilog2()) - 1;

/// Counts of nanosecond values from 1 to [`VALUE_MAX_NS`], three significant digits each. A value
/// outside is counted at the border, and in [`Histogram::clamped`].
#[derive(Debug, PartialEq)]
pub struct Histogram {
    counts: Box<[u32]>,
    /// The counters that are not zero lie in it.
    used: Range<usize>,
    len: u64,
    clamped: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        // Zeros come from the allocator as pages that take memory only once written to.
        Histogram { counts: vec![0; TABLE_LEN].into(), used: NOTHING, len: 0, clamped: 0 }
    }
}

impl Clone for Histogram {
    fn clone(&self) -> Histogram {
        let mut clone = Histogram::default();
        clone.add(self);
        clone
    }
}

/// The range of no counters, which grows by taking the smaller start and the larger end.
const NOTHING: Range<usize> = Range { start: TABLE_LEN, end: 0 };

/// The counter of a value, which is below 2^40.
fn index_of(value_ns: u64) -> usize {
    let shift = (value_ns | ((2 << PARTS_LOG2) - 1)).ilog2() - PARTS_LOG2;
    ((shift as usize) << PARTS_LOG2) + (value_ns >> shift) as usize
}

/// The smallest and the largest value of a counter.
fn values_of(index: usize) -> (u64, u64) {
    let shift = (index >> PARTS_LOG2).saturating_sub(1);
    let part = index - (shift << PARTS_LOG2);
    let smallest = (part as u64) << shift;
    (smallest, smallest + (1 << shift) - 1)
}

impl Histogram {
    /// Records one value. Allocates nothing.
    pub fn record(&mut self, value_ns: u64) {
        if value_ns > VALUE_MAX_NS {
            self.clamped += 1;
        }
        // 0 counts as 1 ns.
        self.count(index_of(value_ns.clamp(1, VALUE_MAX_NS)), 1);
    }

    fn count(&mut self, index: usize, n: u32) {
        let count = &mut self.counts[index];
        *count = count.saturating_add(n);
        self.used = self.used.start.min(index)..self.used.end.max(index + 1);
        self.len += u64::from(n);
    }

    /// Values recorded.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// No value recorded.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Values above the range.
    pub fn clamped(&self) -> u64 {
        self.clamped
    }

    /// The value below or at which `quantile` (0 to 1) of the values lie; 0 where there is none.
    pub fn quantile(&self, quantile: f64) -> u64 {
        let rank = ((quantile.min(1.0) * self.len as f64).ceil() as u64).max(1);
        let mut below = 0;
        for index in self.used.clone() {
            below += u64::from(self.counts[index]);
            if below >= rank {
                let (smallest, largest) = values_of(index);
                return if quantile == 0.0 { smallest } else { largest };
            }
        }
        self.max()
    }

    /// The largest value, to three digits; 0 where there is none.
    pub fn max(&self) -> u64 {
        if self.is_empty() { 0 } else { values_of(self.used.end - 1).1 }
    }

    /// Adds the values of `other`.
    pub fn add(&mut self, other: &Histogram) {
        self.clamped = self.clamped.saturating_add(other.clamped);
        if other.is_empty() {
            return;
        }
        for (to, from) in self.counts[other.used.clone()].iter_mut().zip(&other.counts[other.used.clone()]) {
            // Where nothing is added nothing is written: the page may not be in use yet.
            if *from > 0 {
                *to = to.saturating_add(*from);
            }
        }
        self.used = self.used.start.min(other.used.start)..self.used.end.max(other.used.end);
        self.len += other.len;
    }

    /// Forgets every value.
    pub fn clear(&mut self) {
        if !self.is_empty() {
            self.counts[self.used.clone()].fill(0);
        }
        *self = Histogram { counts: std::mem::take(&mut self.counts), used: NOTHING, len: 0, clamped: 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_adds_what_is_in_range_and_what_was_clamped() {
        let [mut sum, mut other] = [Histogram::default(), Histogram::default()];
        sum.record(VALUE_MAX_NS + 1);
        [5, VALUE_MAX_NS + 1, u64::MAX].iter().for_each(|ns| other.record(*ns));
        sum.add(&other);
        assert_eq!((sum.len(), sum.clamped(), sum.quantile(0.0)), (4, 3, 5));
    }

    #[test]
    fn quantiles_keep_three_digits() {
        let mut h = Histogram::default();
        (1..=1000).for_each(|i| h.record(i * 1_000_000));
        let p50 = h.quantile(0.5) as f64;
        assert!((p50 - 500e6).abs() / 500e6 < 0.001, "{p50}");
        assert_eq!(Histogram::default().quantile(0.5), 0);
    }

    #[test]
    fn counters_follow_each_other_without_a_gap() {
        for index in 1..TABLE_LEN {
            let (smallest, largest) = values_of(index);
            assert_eq!(smallest, values_of(index - 1).1 + 1);
            assert_eq!((index_of(smallest), index_of(largest)), (index, index));
        }
        assert_eq!(values_of(TABLE_LEN - 1).1, (1 << 40) - 1);
    }

    #[test]
    fn what_was_cleared_is_as_new() {
        let mut h = Histogram::default();
        [1, 7, u64::MAX].iter().for_each(|ns| h.record(*ns));
        h.clear();
        assert_eq!(h, Histogram::default());
        assert_eq!((h.len(), h.max(), h.quantile(1.0)), (0, 0, 0));
    }
}
