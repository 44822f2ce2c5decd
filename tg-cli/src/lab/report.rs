//! What a lab prints at its end. Changes when the order of its parts does.

use super::families;
use crate::exit::Problem;
use crate::report::{Journals, Page, brief, hosts};
use tg_lab::lab::{Outcome, RUN};
use tg_model::lab_plan::{LabFamily, LabPlan};

/// The tables of the k8s-app-upgrade test, why, what was expected, and where the rest is.
pub fn text(plan: &LabPlan, outcome: &Outcome) -> Result<String, Problem> {
    let summary = &outcome.summary;
    let mut page = Page::default();
    hosts(&mut page, "Lost", summary.lost, &summary.hosts.lost);
    hosts(&mut page, "Lasting", summary.lasting, &summary.hosts.lasting);
    if plan.family == LabFamily::Both {
        families::section(&mut page, &outcome.folder().join(RUN))?;
    }
    let attributed = Journals::of_folder(outcome.folder()).and_then(|journals| journals.attributed())?;
    brief(&mut page, &attributed.verdict);
    if let Some(expected) = &attributed.expected {
        expected.section(&mut page, summary, &attributed.verdict.pods);
    }
    page.line("");
    if outcome.is_kept() {
        let folder = outcome.folder().display();
        page.wrapped("", &format!("More of it, from the journals that were kept: `tg-cli report {folder}`"));
    } else {
        page.wrapped("", "No journals were kept. With --output DIR they are, and `tg-cli report DIR` tells more.");
    }
    Ok(page.finish())
}
