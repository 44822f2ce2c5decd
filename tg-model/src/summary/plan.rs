//! The part of a plan that a summary repeats. Changes when a reader needs more of it.

use crate::plan::{Mode, PlanSpec, Transport};
use serde::Serialize;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PlanSummary {
    /// Slots.
    pub conns: u32,
    /// Packets a second of each slot; null where they are as fast as echoes return.
    pub rate_per_connection: Option<f64>,
    /// Packets a second of all slots.
    pub rate_total: Option<f64>,
    /// Bytes a packet.
    pub size: u32,
    /// TCP or UDP.
    pub transport: Transport,
    /// Open or closed loop.
    pub mode: Mode,
    /// Packets due within windows of this length left together, at its end; 0: each at its own time.
    pub batch_ns: u64,
    /// Servers.
    pub targets: Vec<String>,
    /// Time asked for; null: until stopped.
    pub duration_ns: Option<u64>,
    /// A connection whose echo was out longer was lost.
    pub response_timeout_ns: u64,
    /// Time from one packet of a slot to its next.
    pub period_ns: Option<u64>,
}

impl Default for PlanSummary {
    fn default() -> PlanSummary {
        PlanSummary::new(&PlanSpec::default(), None, None)
    }
}

impl PlanSummary {
    pub(super) fn new(plan: &PlanSpec, total: Option<f64>, period_ns: Option<u64>) -> PlanSummary {
        let ns = |d: std::time::Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        PlanSummary {
            conns: plan.conns,
            rate_per_connection: total.map(|r| r / f64::from(plan.conns)),
            rate_total: total,
            size: plan.size,
            transport: plan.transport,
            mode: plan.mode,
            batch_ns: ns(plan.batch),
            targets: plan.targets.iter().map(ToString::to_string).collect(),
            duration_ns: plan.duration.map(ns),
            response_timeout_ns: ns(plan.response_timeout),
            period_ns,
        }
    }
}
