//! The formula of the module's documentation: an upgrade by one pod at a time, as round robin has it. It is held
//! against the simulation by tests, and says to people why it comes out as it does.

use tg_model::lab_plan::{LabPlan, PodReplacement};
use tg_model::time::Nanos;

/// How the steps of an upgrade by one pod at a time overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// From one old pod's being asked to end to the next one's.
    pub step: Nanos,
    /// Further old pods that are asked to end before an old pod ends.
    pub draining: u64,
    /// Pods that its connections are dealt over, while there are enough old ones.
    pub taking: u64,
    replicas: u64,
    conns: u64,
}

impl Steps {
    /// `None`: the plan's upgrade is not by one surge pod at a time, or there are too few pods for steps to overlap.
    pub fn of(plan: &LabPlan) -> Option<Steps> {
        if (plan.surge(), plan.unavailable()) != (1, 0) || !plan.faults.is_empty() {
            return None;
        }
        let (ready, min_ready, prestop) =
            (plan.ready.as_nanos(), plan.min_ready.as_nanos(), plan.prestop.min(plan.grace).as_nanos());
        let replicas = u64::from(plan.replicas);
        let (step, draining, ready_more) = match plan.pod_replacement {
            PodReplacement::TerminationComplete => (ready + min_ready + prestop, 0, 0),
            PodReplacement::TerminationStarted => {
                let step = ready + min_ready;
                (step, prestop.checked_div(step)?, (prestop + min_ready).checked_div(step)?)
            }
        };
        let short = |ns: u128| u64::try_from(ns).ok();
        let (draining, ready_more) = (short(draining)?, short(ready_more)?);
        let taking = (replicas + ready_more).checked_sub(draining)?;
        if ready_more >= replicas || taking == 0 {
            return None;
        }
        Some(Steps { step: Nanos(short(step)?), draining, taking, replicas, conns: u64::from(plan.conns) })
    }

    /// What each old pod has at its end, where each that takes connections gets the same: `rr` and `random` of one
    /// balancer, on average.
    pub fn lost_in_turns(&self) -> Vec<f64> {
        let first = self.conns as f64 / self.replicas as f64;
        let mut lost: Vec<f64> = Vec::new();
        let mut dealt = 0.0;
        for k in 0..self.replicas as usize {
            if let Some(before) = k.checked_sub(self.draining as usize + 1) {
                dealt += lost[before] / self.taking_after(before as u64) as f64;
            }
            lost.push(first + dealt);
        }
        lost
    }

    /// Pods that the connections of old pod `k`, from 0, are dealt over: at the upgrade's end no new one is early.
    fn taking_after(&self, k: u64) -> u64 {
        let early = (self.taking + self.draining).saturating_sub(self.replicas);
        let new = (k + 1 + early).min(self.replicas);
        let old = self.replicas.saturating_sub(k + 1 + self.draining);
        (new + old).max(1)
    }
}
