//! The phases of a lab, one after the other. Changes when their order, or what ends one, does.

use super::cluster::Cluster;
use super::error::LabError;
use super::faults::Faults;
use super::journal::RUN;
use super::progress::{Phase, Progress};
use super::{descriptors, traffic};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tg_core::run::RunHandle;
use tg_core::sys::clock;
use tg_model::lab_plan::LabPlan;
use tg_model::plan::Plan;
use tg_model::time::Nanos;

/// How often the progress is told, and a stop looked for.
const TICK: Duration = Duration::from_millis(100);
/// So much longer than planned it may take until something is done: as `progressDeadlineSeconds` of a Deployment.
const DEADLINE: Duration = Duration::from_secs(600);
/// So long all connections may take to be there.
const CONNECT_DEADLINE: Duration = Duration::from_secs(60);
/// So long echoes that are still out are awaited at the end.
const ENDING_MAX: Duration = Duration::from_secs(60);

/// A lab under way.
pub struct Lab<'a> {
    pub plan: &'a LabPlan,
    /// The run that is made.
    pub traffic: Plan,
    pub stop: Arc<AtomicBool>,
    pub watch: Box<dyn FnMut(&Progress) + Send>,
    pub command: Vec<String>,
    /// Where its journal goes.
    pub folder: PathBuf,
    pub phase: Phase,
    /// What is to be told besides.
    pub notes: Vec<String>,
}

/// The traffic and what goes wrong beside it.
struct Under {
    handle: RunHandle,
    faults: Faults,
}

impl Lab<'_> {
    /// All phases; the traffic, ended but for its outcome, and whether it was broken off.
    pub fn carry_out(&mut self, cluster: &mut Cluster) -> Result<(Option<RunHandle>, bool), LabError> {
        let replicas = self.plan.replicas;
        if !self.until(cluster, None, Ends::Deadline(DEADLINE + self.plan.ready), &|c, _| c.ready() >= replicas)? {
            return Ok((None, true));
        }
        let enter = cluster.ground.client()?;
        let others = descriptors(self.plan);
        let handle = traffic::start(self.traffic.clone(), enter, &self.folder.join(RUN), others, &self.command)?;
        let start = Nanos(handle.header().monotonic_ns);
        let mut under = Under { handle, faults: Faults::new(&self.plan.faults, start, self.plan.seed) };
        let whole = self.under_traffic(cluster, &mut under, start)?;
        self.phase = Phase::Ending;
        under.handle.stop();
        let limit = clock::monotonic() + ENDING_MAX.into();
        while !under.handle.is_finished() {
            if clock::monotonic() >= limit {
                under.handle.abort();
            }
            self.step(cluster, Some(&mut under), None)?;
        }
        self.notes.extend(
            under.faults.undone().map(|kind| {
                format!("the fault {kind} was not made: nothing was there to hit, or its time did not come")
            }),
        );
        Ok((Some(under.handle), !whole))
    }

    /// From the first connection to the end of the last phase; false where it was broken off.
    fn under_traffic(&mut self, cluster: &mut Cluster, under: &mut Under, start: Nanos) -> Result<bool, LabError> {
        let settle = Nanos::from(self.plan.settle);
        let conns = u64::from(self.plan.conns);
        self.phase = Phase::Settling;
        let all_there =
            |_: &Cluster, h: Option<&RunHandle>| h.is_some_and(|h| h.snapshot().totals.established >= conns);
        if !self.until(cluster, Some(under), Ends::Deadline(CONNECT_DEADLINE), &all_there)?
            || !self.until(cluster, Some(under), Ends::At(start + settle), &|_, _| false)?
        {
            return Ok(false);
        }
        self.phase = Phase::Upgrading;
        let now = clock::monotonic();
        cluster.upgrade(now)?;
        under.faults.upgrade(now);
        if !self.until(cluster, Some(under), Ends::Deadline(DEADLINE + longest(self.plan)), &|c, _| c.is_upgraded())? {
            return Ok(false);
        }
        self.phase = Phase::SettlingAgain;
        self.until(cluster, Some(under), Ends::At(clock::monotonic() + settle), &|_, _| false)
    }

    /// Goes on until it is so; false where the lab was stopped, or the traffic ended.
    fn until(
        &mut self,
        cluster: &mut Cluster,
        mut under: Option<&mut Under>,
        ends: Ends,
        is_so: &dyn Fn(&Cluster, Option<&RunHandle>) -> bool,
    ) -> Result<bool, LabError> {
        let entered = clock::monotonic();
        let limit = match ends {
            Ends::At(at) => at,
            Ends::Deadline(span) => entered + span.into(),
        };
        loop {
            let handle = under.as_ref().map(|u| &u.handle);
            if is_so(cluster, handle) {
                return Ok(true);
            }
            if self.stop.load(Ordering::SeqCst) || handle.is_some_and(RunHandle::is_finished) {
                return Ok(false);
            }
            if clock::monotonic() >= limit {
                return match ends {
                    Ends::At(_) => Ok(true),
                    Ends::Deadline(span) => Err(LabError::Failed(format!(
                        "{} took longer than {} s: {}",
                        self.phase.name(),
                        span.as_secs(),
                        self.state(cluster, handle).summary(),
                    ))),
                };
            }
            self.step(cluster, under.as_deref_mut(), Some(limit))?;
        }
    }

    /// Does what is due, tells how it goes, waits for what comes next.
    fn step(
        &mut self,
        cluster: &mut Cluster,
        mut under: Option<&mut Under>,
        limit: Option<Nanos>,
    ) -> Result<(), LabError> {
        let now = clock::monotonic();
        if let Some(under) = &mut under {
            under.faults.advance(now, cluster)?;
        }
        cluster.advance(now)?;
        let state = self.state(cluster, under.as_ref().map(|u| &u.handle));
        (self.watch)(&state);
        let faults = under.and_then(|u| u.faults.wake_at());
        let next = [cluster.wake_at(now), faults, limit].into_iter().flatten().min();
        cluster.wait(next.unwrap_or(Nanos::MAX).min(now + TICK.into()))
    }

    fn state(&self, cluster: &mut Cluster, handle: Option<&RunHandle>) -> Progress {
        Progress::new(self.phase, cluster, handle.map(RunHandle::snapshot))
    }
}

/// What ends a phase besides its condition.
#[derive(Clone, Copy)]
enum Ends {
    /// Time: that is its end.
    At(Nanos),
    /// Time: that is an error.
    Deadline(Duration),
}

/// What an upgrade takes where no two of its steps overlap.
fn longest(plan: &LabPlan) -> Duration {
    let at_once = (plan.surge() + plan.unavailable()).max(1);
    (plan.ready + plan.min_ready + plan.prestop.min(plan.grace)) * plan.replicas.div_ceil(at_once)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tg_model::lab_plan::LabSpec;

    #[test]
    fn an_upgrade_of_many_pods_has_more_time() {
        let of = |replicas| longest(&LabPlan::try_from(LabSpec { replicas, ..LabSpec::default() }).unwrap());
        assert_eq!(of(8), of(1) * 8);
        assert!(of(1) > Duration::ZERO && of(300) > DEADLINE);
    }
}
