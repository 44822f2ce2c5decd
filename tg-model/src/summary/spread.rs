//! How values are spread: latencies from a journal's histograms, and times without service in their
//! parts. Changes when the figures shown of a spread do.

use crate::histogram::Histogram;
use crate::journal::Outage;
use serde::Serialize;

/// How values are spread, to three digits; all 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Spread {
    /// Values.
    pub count: u64,
    /// Half of them are at most this.
    pub p50_ns: u64,
    /// 90 %.
    pub p90_ns: u64,
    /// 99 %.
    pub p99_ns: u64,
    /// 99.9 %.
    pub p999_ns: u64,
    /// The largest.
    pub max_ns: u64,
    /// Values above the histogram's range, counted at its border.
    pub clamped: u64,
}

/// Times without service: of a slot that lost its connection, or that never got one. The time to a
/// slot's first connection is none. A replacement that was lost before it carried a packet is part of
/// the time that it did not end, so there may be fewer of these than connections lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Outages {
    /// All of them.
    pub count: u64,
    /// Those after which service came back.
    pub over: u64,
    /// Those that the run's end found without service.
    pub still_out: u64,
    /// Their lengths together.
    pub total_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// Half of them were at most this long.
    pub p50_ns: u64,
    /// From the last sign of service until the loss was known.
    pub detection: Part,
    /// From there to the replacement's establishment, failed attempts and back-off included.
    pub reconnect: Part,
    /// From there to the next packet: the schedule's part.
    pub wait: Part,
}

/// One part of the times without service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Part {
    /// Half of them were at most this long.
    pub p50_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// All together.
    pub total_ns: u64,
}

impl From<&Histogram> for Spread {
    fn from(h: &Histogram) -> Spread {
        Spread {
            count: h.len(),
            p50_ns: h.quantile(0.5),
            p90_ns: h.quantile(0.9),
            p99_ns: h.quantile(0.99),
            p999_ns: h.quantile(0.999),
            max_ns: h.max(),
            clamped: h.clamped(),
        }
    }
}

/// Folds the lengths of one part: the histogram gives the median, the rest is exact.
#[derive(Debug, Default)]
struct PartFold {
    histogram: Histogram,
    max_ns: u64,
    total_ns: u64,
}

impl PartFold {
    fn add(&mut self, ns: u64) {
        self.histogram.record(ns);
        self.max_ns = self.max_ns.max(ns);
        self.total_ns = self.total_ns.saturating_add(ns);
    }

    fn part(&self) -> Part {
        // The histogram's lowest value is 1 ns and its values are rounded up: never above the longest.
        let p50_ns = self.histogram.quantile(0.5).min(self.max_ns);
        Part { p50_ns, max_ns: self.max_ns, total_ns: self.total_ns }
    }
}

/// The three parts of one time without service, ns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    pub detection_ns: u64,
    pub reconnect_ns: u64,
    pub wait_ns: u64,
}

impl From<&Outage> for Parts {
    fn from(o: &Outage) -> Parts {
        Parts { detection_ns: o.detection_ns, reconnect_ns: o.reconnect_ns, wait_ns: o.wait_ns }
    }
}

impl Parts {
    /// One time without service that followed another without a packet between them.
    pub fn after(self, before: Parts) -> Parts {
        Parts {
            detection_ns: self.detection_ns.saturating_add(before.detection_ns),
            reconnect_ns: self.reconnect_ns.saturating_add(before.reconnect_ns),
            wait_ns: self.wait_ns.saturating_add(before.wait_ns),
        }
    }
}

/// Folds times without service.
#[derive(Debug, Default)]
pub(super) struct OutageFold {
    over: u64,
    still_out: u64,
    length: PartFold,
    detection: PartFold,
    reconnect: PartFold,
    wait: PartFold,
}

impl OutageFold {
    pub fn add(&mut self, parts: Parts, over: bool) {
        *(if over { &mut self.over } else { &mut self.still_out }) += 1;
        self.length.add(parts.detection_ns.saturating_add(parts.reconnect_ns).saturating_add(parts.wait_ns));
        self.detection.add(parts.detection_ns);
        self.reconnect.add(parts.reconnect_ns);
        self.wait.add(parts.wait_ns);
    }

    pub fn outages(&self) -> Outages {
        let Part { p50_ns, max_ns, total_ns } = self.length.part();
        Outages {
            count: self.over + self.still_out,
            over: self.over,
            still_out: self.still_out,
            total_ns,
            max_ns,
            p50_ns,
            detection: self.detection.part(),
            reconnect: self.reconnect.part(),
            wait: self.wait.part(),
        }
    }
}
