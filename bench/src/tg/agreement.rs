//! tg's word on its lateness against the wire's. Changes when how they are compared does.

use super::micros;
use super::summary::{Packets, Summary};
use crate::stats::quantile;
use anyhow::{Context, bail};

/// tg's word on its lateness, and the wire's: µs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    pub own_p50: f64,
    pub wire_p50: f64,
    pub own_p99: f64,
    pub wire_p99: f64,
}

impl Agreement {
    /// # Errors
    /// They speak of different packets: a connection was lost, or packets were not sent or not captured.
    pub fn of(summary: &Summary, on_wire: &[u64]) -> anyhow::Result<Agreement> {
        let Packets { intended, sent, .. } = summary.packets;
        if summary.lost > 0 || intended != sent || sent != on_wire.len() as u64 {
            let captured = on_wire.len();
            bail!("{} connections lost, {intended} packets due, {sent} sent, {captured} captured", summary.lost);
        }
        let wire = |q| quantile(on_wire, q).map(micros).context("no packet was sent");
        Ok(Agreement {
            own_p50: micros(summary.lateness.p50_ns),
            wire_p50: wire(0.5)?,
            own_p99: micros(summary.lateness.p99_ns),
            wire_p99: wire(0.99)?,
        })
    }
}

/// Whether two latenesses are close enough to be the same: within 5 µs or 10 %.
pub fn agree(own: f64, wire: f64) -> bool {
    (own - wire).abs() <= f64::max(5.0, wire * 0.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"lost":0,"duration_ns":9,"failed_attempts":{"total":0,"refused":0},
        "packets":{"intended":3,"sent":3,"received":3,"dropped":{"total":0,"late":0},"lost_in_flight":0},
        "latency":{"count":3,"p50_ns":1,"p90_ns":1,"p99_ns":1,"p999_ns":1,"max_ns":1,"clamped":0},
        "service_time":{"count":3,"p50_ns":1,"p90_ns":1,"p99_ns":1,"p999_ns":1,"max_ns":1,"clamped":0},
        "lateness":{"count":3,"p50_ns":2000,"p90_ns":2500,"p99_ns":3000,"p999_ns":1,"max_ns":1,"clamped":0},
        "accounting":{"ok":true,"violations":[]}}"#;

    #[test]
    fn only_the_same_packets_are_compared() {
        let summary = Summary::parse(REPORT).unwrap();
        let agreement = Agreement::of(&summary, &[1000, 7000, 9000]).unwrap();
        let want = Agreement { own_p50: 2.0, wire_p50: 7.0, own_p99: 3.0, wire_p99: 9.0 };
        assert_eq!(agreement, want);
        assert!(Agreement::of(&summary, &[1000]).unwrap_err().to_string().contains("1 captured"));
        let lost = Summary { lost: 1, ..summary };
        assert!(Agreement::of(&lost, &[1, 2, 3]).is_err());
        assert!(Summary::parse("{}").is_err());
    }

    #[test]
    fn close_means_within_5_us_or_a_tenth() {
        assert!(agree(2.0, 7.0) && !agree(2.0, 7.1) && agree(110.0, 100.0) && !agree(89.0, 100.0));
    }
}
