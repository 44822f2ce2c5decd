//! Live figures: each shard writes its own atomics, whoever asks reads them. No lock, no shared line.

use crate::record::State;
use crossbeam::utils::CachePadded;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tg_model::counts::{Counts, Dropped};
use tg_model::journal::Totals;
use tg_model::time::Nanos;

const FIELDS: usize = 19;

/// Figures of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Since the run's start.
    pub elapsed: Duration,
    /// Slots with a connection.
    pub active: u64,
    /// Slots with an attempt under way.
    pub connecting: u64,
    /// Totals so far.
    pub totals: Totals,
    /// Median of (echo complete − intended) in the last second.
    pub latency_p50_ns: u64,
    /// Its 99th percentile.
    pub latency_p99_ns: u64,
    /// 99th percentile of (sent − intended) in the last second.
    pub lateness_p99_ns: u64,
}

#[derive(Debug)]
pub(super) struct Live {
    shards: Vec<CachePadded<[AtomicU64; FIELDS]>>,
    quantiles: [AtomicU64; 3],
}

impl Live {
    pub fn new(shards: usize) -> Live {
        Live { shards: (0..shards).map(|_| CachePadded::default()).collect(), quantiles: Default::default() }
    }

    /// The shard's figures are these now. A reader may see some of them older than others.
    pub fn publish(&self, shard: usize, state: &State) {
        for (cell, value) in self.shards[shard].iter().zip(to_fields(state)) {
            cell.store(value, Ordering::Relaxed);
        }
    }

    /// The last second's latency p50 and p99, and lateness p99.
    pub fn publish_quantiles(&self, quantiles: [u64; 3]) {
        for (cell, value) in self.quantiles.iter().zip(quantiles) {
            cell.store(value, Ordering::Relaxed);
        }
    }

    pub fn snapshot(&self, elapsed: Nanos) -> Snapshot {
        let mut state = State::default();
        for shard in &self.shards {
            state.add(&from_fields(std::array::from_fn(|i| shard[i].load(Ordering::Relaxed))));
        }
        let [latency_p50_ns, latency_p99_ns, lateness_p99_ns] =
            std::array::from_fn(|i| self.quantiles[i].load(Ordering::Relaxed));
        Snapshot {
            elapsed: elapsed.into(),
            active: state.active,
            connecting: state.connecting,
            totals: state.totals,
            latency_p50_ns,
            latency_p99_ns,
            lateness_p99_ns,
        }
    }
}

fn to_fields(s: &State) -> [u64; FIELDS] {
    let (t, c) = (&s.totals, &s.totals.counts);
    let d = &c.dropped;
    [
        s.active,
        s.connecting,
        t.attempts,
        t.failed_attempts,
        t.established,
        t.lost,
        c.intended,
        c.sent,
        d.no_connection,
        d.in_flight_limit,
        d.buffer_full,
        d.late,
        d.send_failed,
        c.received,
        c.lost_in_flight,
        c.late,
        c.duplicate,
        c.reordered,
        c.other_host,
    ]
}

fn from_fields(f: [u64; FIELDS]) -> State {
    let [
        active,
        connecting,
        attempts,
        failed_attempts,
        established,
        lost,
        intended,
        sent,
        no_connection,
        in_flight_limit,
        buffer_full,
        late_drop,
        send_failed,
        received,
        lost_in_flight,
        late,
        duplicate,
        reordered,
        other_host,
    ] = f;
    let dropped = Dropped { no_connection, in_flight_limit, buffer_full, late: late_drop, send_failed };
    let counts = Counts { intended, sent, dropped, received, lost_in_flight, late, duplicate, reordered, other_host };
    State { active, connecting, totals: Totals { attempts, failed_attempts, established, lost, counts } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_and_read_in_the_same_order() {
        let fields: [u64; FIELDS] = std::array::from_fn(|i| i as u64 + 1);
        assert_eq!(to_fields(&from_fields(fields)), fields);
    }

    #[test]
    fn a_snapshot_adds_the_shards() {
        let live = Live::new(2);
        live.publish(0, &State { active: 3, ..State::default() });
        live.publish(1, &State { active: 4, connecting: 1, ..State::default() });
        let s = live.snapshot(Nanos(5));
        assert_eq!((s.active, s.connecting), (7, 1));
    }
}
