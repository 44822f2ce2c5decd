//! Perfect against observed, and how often each cause was found. Changes when what counts as perfect does.

use crate::lag::is_lag;
use crate::run::Run;
use std::collections::HashMap;
use tg_model::verdict::{Cause, CauseTally, Finding, Grade, LossTotals, Verdict};

/// The totals of a run's verdicts.
pub fn of(run: &Run, verdicts: &[Verdict]) -> LossTotals {
    let count = |test: &dyn Fn(&Verdict) -> bool| verdicts.iter().filter(|v| test(v)).count() as u64;
    let lost = verdicts.len() as u64;
    let known = verdicts.iter().any(|v| v.pod.is_some());
    let perfect = (known || lost == 0).then(|| count(&is_perfect));
    let beyond = |avoidable: Option<bool>| count(&move |v| !is_perfect(v) && v.avoidable == avoidable);
    let graded = |grade: Grade| count(&move |v| v.ended_by.grade == grade);
    LossTotals {
        lost,
        lasting: run.conns.len() as u64 - lost,
        reconnects: run.conns.iter().filter(|c| c.id.predecessor().is_some()).count() as u64,
        perfect,
        more: perfect.map(|perfect| lost - perfect),
        avoidable: beyond(Some(true)),
        unavoidable: beyond(Some(false)),
        not_known: beyond(None),
        confirmed: graded(Grade::Confirmed),
        suspected: graded(Grade::Suspected),
        unattributed: graded(Grade::Unattributed),
    }
}

/// Its pod went, and it had not replaced a lost one when that was to be known already.
fn is_perfect(verdict: &Verdict) -> bool {
    verdict.ended_by.cause == Cause::PodTerminated && !landed_on_doomed(verdict)
}

/// It had replaced a lost one, and was put on a pod that was to go.
pub fn landed_on_doomed(verdict: &Verdict) -> bool {
    verdict.lineage.predecessor.is_some()
        && (verdict.placed_by.cause == Cause::RescheduledToDoomed || is_lag(verdict.placed_by.cause))
}

/// How often each cause is in these findings, most frequent first.
pub fn tally<'a>(findings: impl Iterator<Item = &'a Finding>) -> Vec<CauseTally> {
    let mut by_cause: HashMap<Cause, CauseTally> = HashMap::new();
    for finding in findings {
        let cause = finding.cause;
        let none = CauseTally { cause, confirmed: 0, suspected: 0, unattributed: 0 };
        let tally = by_cause.entry(cause).or_insert(none);
        match finding.grade {
            Grade::Confirmed => tally.confirmed += 1,
            Grade::Suspected => tally.suspected += 1,
            Grade::Unattributed => tally.unattributed += 1,
        }
    }
    let mut tallies: Vec<CauseTally> = by_cause.into_values().collect();
    tallies.sort_by_key(|t| (std::cmp::Reverse(t.total()), t.cause));
    tallies
}
