//! Lines that a run as a whole writes: header, samples, slots, footer. Changes when one of those does.

use crate::driver::Metrics;
use crate::pump::Approach;
use crate::schedule;
use tg_model::journal::{Ending, Footer, Header, Line, Sample, Totals};
use tg_model::plan::Plan;
use tg_model::time::Nanos;

/// Where and when a run began.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// Host name.
    pub machine: String,
    /// Kernel release.
    pub kernel: String,
    /// The kernel's boot id.
    pub boot_id: String,
    /// The engine's clock at the run's start.
    pub monotonic: Nanos,
    /// CLOCK_REALTIME read with it.
    pub realtime: Nanos,
}

/// What drives a run's sockets.
#[derive(Clone, Debug, Default)]
pub struct EngineFacts {
    /// Its name.
    pub name: String,
    /// Why that one.
    pub note: Option<String>,
    /// How its threads get to the time when a packet is due.
    pub approach: Approach,
}

/// The first line.
pub fn header(plan: &Plan, command: Vec<String>, engine: EngineFacts, place: Place) -> Header {
    Header {
        tg_version: env!("CARGO_PKG_VERSION").to_owned(),
        command,
        period_ns: plan.total_rate().map(|total| schedule::period(total / f64::from(plan.conns)).0),
        plan: plan.clone(),
        engine: engine.name,
        engine_note: engine.note,
        nap_ns: engine.approach.nap.0,
        spin_ns: engine.approach.spin.0,
        machine: place.machine,
        kernel: place.kernel,
        boot_id: place.boot_id,
        monotonic_ns: place.monotonic.0,
        realtime_ns: place.realtime.0,
    }
}

/// The state of a run at one moment: of one shard, or of all together.
#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    /// Slots with a connection.
    pub active: u64,
    /// Slots with an attempt under way.
    pub connecting: u64,
    /// Totals so far.
    pub totals: Totals,
}

impl State {
    /// Adds another shard's.
    pub fn add(&mut self, other: &State) {
        self.active += other.active;
        self.connecting += other.connecting;
        let (to, from) = (&mut self.totals, &other.totals);
        to.attempts += from.attempts;
        to.failed_attempts += from.failed_attempts;
        to.established += from.established;
        to.lost += from.lost;
        to.counts.add(&from.counts);
    }
}

/// A sample of the interval from `since_ns` to `at_ns`.
pub fn sample(since_ns: u64, at_ns: u64, realtime: Nanos, state: &State, metrics: &Metrics) -> Sample {
    Sample {
        at_ns,
        since_ns,
        realtime_ns: realtime.0,
        active: state.active,
        connecting: state.connecting,
        totals: state.totals,
        latency: metrics.latency.encode(),
        service_time: metrics.service_time.encode(),
        lateness: metrics.lateness.encode(),
    }
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct End {
    /// How.
    pub ending: Ending,
    /// The engine's error.
    pub error: Option<String>,
    /// Time zero.
    pub zero_ns: Option<u64>,
    /// When sending stopped.
    pub stopped_ns: u64,
    /// When the last connection was closed.
    pub ended_ns: u64,
    /// Records that found their queue full.
    pub records_lost: u64,
    /// CPU time of the packet threads.
    pub cpu: Nanos,
}

/// The last line.
pub fn footer(end: End, totals: Totals) -> Line {
    Line::Footer(Footer {
        ending: end.ending,
        error: end.error,
        zero_ns: end.zero_ns,
        stopped_ns: end.stopped_ns,
        ended_ns: end.ended_ns,
        totals,
        records_lost: end.records_lost,
        cpu_ns: end.cpu.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tg_model::counts::Counts;

    #[test]
    fn the_state_of_a_run_is_the_sum_of_its_shards() {
        let counts = Counts { intended: 7, ..Counts::default() };
        let totals = Totals { attempts: 3, failed_attempts: 4, established: 5, lost: 6, counts };
        let one = State { active: 1, connecting: 2, totals };
        let mut sum = one;
        sum.add(&one);
        let counts = Counts { intended: 14, ..counts };
        let totals = Totals { attempts: 6, failed_attempts: 8, established: 10, lost: 12, counts };
        assert_eq!((sum.active, sum.connecting, sum.totals), (2, 4, totals));
    }
}
