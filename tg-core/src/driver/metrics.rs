//! The histograms of one interval. Allocated before the run, swapped whole once a second.

use tg_model::histogram::Histogram;

/// Latency, service time and lateness of an interval's packets, in nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Echo complete − intended.
    pub latency: Histogram,
    /// Echo complete − sent.
    pub service_time: Histogram,
    /// Sent − intended.
    pub lateness: Histogram,
}

impl Metrics {
    /// Forgets every value.
    pub fn clear(&mut self) {
        self.latency.clear();
        self.service_time.clear();
        self.lateness.clear();
    }

    /// Adds the values of `other`.
    pub fn add(&mut self, other: &Metrics) {
        self.latency.add(&other.latency);
        self.service_time.add(&other.service_time);
        self.lateness.add(&other.lateness);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_histogram_is_added_and_cleared() {
        let mut one = Metrics::default();
        one.latency.record(3);
        one.service_time.record(2);
        one.lateness.record(1);
        let mut sum = one.clone();
        sum.add(&one);
        let values = |m: &Metrics| [&m.latency, &m.service_time, &m.lateness].map(|h| (h.len(), h.max()));
        assert_eq!(values(&sum), [(2, 3), (2, 2), (2, 1)]);
        sum.clear();
        assert_eq!(values(&sum), [(0, 0); 3]);
    }
}
