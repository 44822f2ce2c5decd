//! What a plan is expected to lose: a seeded simulation of connections, pods, balancers and timing, without traffic.
//!
//! # Why timing decides
//! Let old pod *k* be asked to end at *k·T*, where a step takes *T* = ready + min_ready. Its process ends *P* =
//! prestop later, and only then its connections are replaced. By then
//! - *a* = ⌊P/T⌋ further old pods are asked to end already: no balancer sends anything to them any more;
//! - new pods up to *k + b*, *b* = ⌊(P + min_ready)/T⌋, are ready.
//!
//! So with R replicas the replacements are dealt over *n* = R + b − a pods, of which R − k − a are old and will be
//! asked to end later. A round-robin balancer gives each the same, so pod *k* has at its end
//!
//! > c(k) = C/R + Σ c(j)/n over all j with j + a < k
//!
//! and Σ c(k) is lost. With 80 connections, 8 replicas, min_ready 0.75 s and prestop 2 s:
//!
//! | ready | T | a | n | lost |
//! |---|---|---|---|---|
//! | 0.5 s | 1.25 s | 1 | 9 | 105.9 |
//! | 1 s | 1.75 s | 1 | 8 | 109.5 |
//! | 1.5 s | 2.25 s | 0 | 9 | 119.1 |
//! | any, `termination-complete` | | 0 | 8 | 125.3 |
//!
//! Short steps overlap: several old pods drain at once, which spares them the connections of each other. Where two
//! events nearly coincide (ready = prestop, say), [`Timing`] decides which is first, and the spread over the runs
//! shows both outcomes. `lc` fills a new pod up to the others' level before it gives anything to an old one, so
//! it loses each connection once, *per balancer*: with several nodes each knows only what it sent itself.
//!
//! # What is simulated
//! The Deployment controller ([`crate::deployment`]) and a balancer for each node and IP version
//! ([`crate::scheduler`]) are those that the lab runs. The rest is a queue of events: ready, asked to end, process
//! ended, gone, and each node's hearing of it. A run ends as the lab does: settled after the last old pod is gone,
//! which is later than a cluster takes the upgrade for complete. UDP is taken for TCP. Faults: `pod-kill`,
//! `reset-storm` and `endpoint-lag`; [`Expectation::not_simulated`] names the others.
//!
//! ```
//! use tg_lab::predict::expected;
//! use tg_model::lab_plan::{LabPlan, LabSpec, SchedulerKind};
//!
//! let plan = LabPlan::try_from(LabSpec { scheduler: SchedulerKind::Lc, ..LabSpec::default() })?;
//! let expected = expected(&plan, 100)?;
//! assert_eq!((expected.perfect, expected.lost.max), (80, 80));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod steps;
#[cfg(test)]
mod tests;
mod timing;
mod world;

pub use steps::Steps;
pub use timing::{Range, Timing};
pub use world::Outcome;

use crate::scheduler::NotSimulated;
use tg_model::lab_plan::{Expectation, FaultKind, LabPlan, Spread};

/// Connections and replacements that a prediction simulates, over all its runs, unless told otherwise.
const BUDGET: u64 = 12_000_000;
/// Runs at most, and at least, unless told otherwise.
const RUNS: (u64, u64) = (3, 1000);

/// As many runs as give a steady spread in a few seconds.
pub fn runs_for(plan: &LabPlan) -> u32 {
    // A run costs about three decisions a connection, and a little for each pod and balancer.
    let balancers = u64::from(plan.entry_nodes() * plan.family.count());
    let cost = 3 * u64::from(plan.conns) + u64::from(plan.replicas) * (20 + balancers);
    (BUDGET / cost).clamp(RUNS.0, RUNS.1) as u32
}

/// What `plan` is expected to lose, over so many runs, which differ by seed.
///
/// # Errors
/// The plan's scheduler is one that only the kernel has.
pub fn expected(plan: &LabPlan, runs: u32) -> Result<Expectation, NotSimulated> {
    let runs = runs.max(1);
    let timing = Timing::default();
    let outcomes = (0..runs).map(|n| simulate(plan, &timing, plan.seed.wrapping_add(u64::from(n))));
    Ok(fold(plan, &outcomes.collect::<Result<Vec<_>, _>>()?))
}

/// One run.
///
/// # Errors
/// The plan's scheduler is one that only the kernel has.
pub fn simulate(plan: &LabPlan, timing: &Timing, seed: u64) -> Result<Outcome, NotSimulated> {
    world::World::new(plan, timing, seed)?.run()
}

fn fold(plan: &LabPlan, outcomes: &[Outcome]) -> Expectation {
    let spread = |figure: &dyn Fn(&Outcome) -> u64| Spread::of(outcomes.iter().map(figure).collect());
    let by_pod = |pods: &dyn Fn(&Outcome) -> &Vec<u64>| {
        let most = outcomes.iter().map(|o| pods(o).len()).max().unwrap_or(0);
        (0..most).map(|n| spread(&|o| pods(o).get(n).copied().unwrap_or(0))).collect()
    };
    let mut not_simulated: Vec<FaultKind> = plan.faults.iter().map(|f| f.kind).filter(|k| !simulated(*k)).collect();
    not_simulated.sort_unstable();
    not_simulated.dedup();
    Expectation {
        runs: outcomes.len() as u32,
        seed: plan.seed,
        perfect: u64::from(plan.conns),
        lost: spread(&|o| o.lost),
        avoidable: spread(&|o| o.avoidable),
        to_doomed: spread(&|o| o.to_doomed),
        failed_attempts: spread(&|o| o.failed_attempts),
        lost_by_old_pod: by_pod(&|o| &o.lost_by_old_pod),
        lost_by_new_pods: spread(&|o| o.lost_by_new_pods),
        lasting_by_new_pod: by_pod(&|o| &o.lasting_by_new_pod),
        without_connection: spread(&|o| o.without_connection),
        upgrade_ns: spread(&|o| o.upgrade_ns),
        not_simulated,
    }
}

fn simulated(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::PodKill | FaultKind::ResetStorm | FaultKind::EndpointLag)
}
