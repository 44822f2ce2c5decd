//! What is measured of one interval's packets. Allocated before the run, swapped whole once a second.

use tg_model::histogram::Histogram;
use tg_model::time::Nanos;

/// Times kept as they came, of echoes and of packets sent.
const RECENT: usize = 1024;

/// Latency, service time and lateness of an interval's packets, in nanoseconds.
///
/// The latest are kept one after the other until [`Metrics::settle`]: at a few hundred packets a second each value
/// would touch a counter that the processor's cache does not have.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Echo complete − intended.
    pub latency: Histogram,
    /// Echo complete − sent.
    pub service_time: Histogram,
    /// Sent − intended.
    pub lateness: Histogram,
    /// Latency and service time.
    echoes: Vec<(Nanos, Nanos)>,
    sent: Vec<Nanos>,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            latency: Histogram::default(),
            service_time: Histogram::default(),
            lateness: Histogram::default(),
            echoes: Vec::with_capacity(RECENT),
            sent: Vec::with_capacity(RECENT),
        }
    }
}

impl Metrics {
    /// An echo is complete.
    pub fn record_echo(&mut self, latency: Nanos, service_time: Nanos) {
        self.echoes.push((latency, service_time));
        if self.echoes.len() == RECENT {
            self.settle();
        }
    }

    /// A packet was sent.
    pub fn record_sent(&mut self, lateness: Nanos) {
        self.sent.push(lateness);
        if self.sent.len() == RECENT {
            self.settle();
        }
    }

    /// Counts what came since the last time. Before that the histograms lack it.
    pub fn settle(&mut self) {
        let (mut echoes, mut sent) = (std::mem::take(&mut self.echoes), std::mem::take(&mut self.sent));
        self.count(&mut echoes, &mut sent);
        (self.echoes, self.sent) = (echoes, sent);
    }

    fn count(&mut self, echoes: &mut Vec<(Nanos, Nanos)>, sent: &mut Vec<Nanos>) {
        for (latency, service_time) in echoes.drain(..) {
            self.latency.record(latency.0);
            self.service_time.record(service_time.0);
        }
        sent.drain(..).for_each(|lateness| self.lateness.record(lateness.0));
    }

    /// Forgets every value.
    pub fn clear(&mut self) {
        self.echoes.clear();
        self.sent.clear();
        self.latency.clear();
        self.service_time.clear();
        self.lateness.clear();
    }

    /// Adds the values of `other`. Of those that it has not settled, nothing is left there.
    pub fn add(&mut self, other: &mut Metrics) {
        // Not by its histograms: to go through those costs more than a few hundred values.
        self.count(&mut other.echoes, &mut other.sent);
        self.latency.add(&other.latency);
        self.service_time.add(&other.service_time);
        self.lateness.add(&other.lateness);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(m: &Metrics) -> [(u64, u64); 3] {
        [&m.latency, &m.service_time, &m.lateness].map(|h| (h.len(), h.max()))
    }

    #[test]
    fn each_histogram_is_added_and_cleared() {
        let mut one = Metrics::default();
        one.record_echo(Nanos(3), Nanos(2));
        one.record_sent(Nanos(1));
        let mut sum = one.clone();
        sum.settle();
        sum.add(&mut one);
        assert_eq!(values(&sum), [(2, 3), (2, 2), (2, 1)]);
        sum.clear();
        assert_eq!(values(&sum), [(0, 0); 3]);
    }

    #[test]
    fn every_value_is_counted_once_however_many_there_are() {
        let mut metrics = Metrics::default();
        for n in 1..=3 * RECENT as u64 + 7 {
            metrics.record_echo(Nanos(n), Nanos(n));
            metrics.record_sent(Nanos(n));
        }
        assert!(metrics.echoes.capacity() == RECENT && metrics.sent.capacity() == RECENT, "never allocated again");
        metrics.settle();
        metrics.settle();
        assert_eq!(values(&metrics).map(|(len, _)| len), [3 * RECENT as u64 + 7; 3]);
        metrics.record_sent(Nanos(1));
        metrics.clear();
        metrics.settle();
        assert_eq!(values(&metrics), [(0, 0); 3]);
    }
}
