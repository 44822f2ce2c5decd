//! tg's JSON report, as far as it is read. Changes when that report does.

use anyhow::Context;
use serde::Deserialize;

/// The part of tg's JSON report that is read.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Summary {
    /// Of the schedule, from its start to its end.
    pub duration_ns: u64,
    pub lost: u64,
    pub failed_attempts: Total,
    pub packets: Packets,
    pub latency: Times,
    pub service_time: Times,
    /// Sent − intended, as tg has it.
    pub lateness: Times,
    pub accounting: Accounting,
}

/// See tg-model's summary.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Packets {
    pub intended: u64,
    pub sent: u64,
    pub received: u64,
    pub dropped: Dropped,
    pub lost_in_flight: u64,
}

/// Due, but not sent.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Dropped {
    pub total: u64,
    /// Because this machine came to them more than a period too late.
    pub late: u64,
}

/// The sum of several counters.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Total {
    pub total: u64,
}

/// A histogram, by its quantiles.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Times {
    pub p50_ns: u64,
    pub p90_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
    pub max_ns: u64,
}

/// Whether tg's counters add up.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Accounting {
    pub ok: bool,
}

impl Summary {
    /// # Errors
    /// It is no such report.
    pub fn parse(json: &str) -> anyhow::Result<Summary> {
        serde_json::from_str(json).context("reading tg's JSON report")
    }
}
