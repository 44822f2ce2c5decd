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
use serde::Serialize;
use std::path::Path;
use tg_model::lab_plan::Expectation;
use tg_model::summary::Summary;
use tg_model::verdict::RunVerdict;

/// The report as JSON: the summary's fields, and the verdict beside them.
#[derive(Serialize)]
pub struct Json<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    verdict: &'a RunVerdict,
    /// Of a lab: what it was expected to lose.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<&'a Expectation>,
}

impl<'a> From<&'a Attributed> for Json<'a> {
    fn from(a: &'a Attributed) -> Json<'a> {
        Json { summary: &a.summary, verdict: &a.verdict, expected: a.expected.as_ref().map(|e| &e.expectation) }
    }
}

/// The report for people. `kept`: what to give to `report` for more of it.
pub fn text(attributed: &Attributed, kept: &Path) -> String {
    text_with(&attributed.summary, &Kept::At(kept), |page| {
        section(page, &attributed.verdict);
        if let Some(expected) = &attributed.expected {
            expected.section(page, &attributed.summary, &attributed.verdict.pods);
        }
    })
}
