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
