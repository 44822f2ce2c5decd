//! Reports of a run with what nodes and the cluster told beside it. Changes when a form of such a report is added.

mod compare;
mod explain;
mod read;
mod tables;
mod text;

pub use compare::compare;
pub use explain::explain;
pub use read::{Attributed, Journals};
pub use text::{brief, section};

use super::text::{Kept, text_with};
use crate::lab::expected_section;
use serde::Serialize;
use std::path::Path;
use tg_lab::predict::{expected, runs_for};
use tg_model::lab_plan::{Expectation, LabPlan};
use tg_model::summary::Summary;
use tg_model::verdict::RunVerdict;

/// The report as JSON: the summary's fields, and the verdict beside them.
#[derive(Serialize)]
pub struct Json<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    verdict: &'a RunVerdict,
    /// Of a lab: what its plan is expected to lose, where that can be simulated.
    expected: Option<Expectation>,
}

impl<'a> From<&'a Attributed> for Json<'a> {
    fn from(a: &'a Attributed) -> Json<'a> {
        let expected = whole_plan(a).and_then(|plan| expected(plan, runs_for(plan)).ok());
        Json { summary: &a.summary, verdict: &a.verdict, expected }
    }
}

/// The report for people.
pub fn text(attributed: &Attributed, run: &Path) -> String {
    text_with(&attributed.summary, &Kept::At(run), |page| {
        section(page, &attributed.verdict);
        if let Some(plan) = whole_plan(attributed) {
            expected_section(page, plan, &attributed.summary, &order_of_end(&attributed.verdict));
        }
    })
}

/// The plan of a lab that was carried out to its end.
fn whole_plan(attributed: &Attributed) -> Option<&LabPlan> {
    let stopped = attributed.verdict.effects.iter().all(|e| !e.event.ends_with(" complete"));
    attributed.plan.as_ref().filter(|_| !stopped)
}

/// Names of pods in the order in which they were asked to end.
fn order_of_end(verdict: &RunVerdict) -> Vec<String> {
    let mut asked: Vec<(i64, &str)> =
        verdict.pods.iter().filter_map(|p| Some((p.terminating_ns?, p.pod.name.as_str()))).collect();
    asked.sort_unstable();
    asked.into_iter().map(|(_, name)| name.to_owned()).collect()
}
