//! What a lab prints at its end. Changes when the order of its parts does.

use crate::report::{Page, hosts};
use tg_lab::lab::Outcome;
use tg_model::lab_plan::LabPlan;

/// The tables of the k8s-app-upgrade test, and where the rest is.
pub fn text(_plan: &LabPlan, outcome: &Outcome) -> String {
    let summary = &outcome.summary;
    let mut page = Page::default();
    hosts(&mut page, "Lost", summary.lost, &summary.hosts.lost);
    hosts(&mut page, "Lasting", summary.lasting, &summary.hosts.lasting);
    page.line("");
    if outcome.is_kept() {
        let folder = outcome.folder().display();
        page.wrapped("", &format!("The journals are in {folder}: `tg-cli report {folder}/run.jsonl` tells more."));
    } else {
        page.wrapped("", "No journals were kept: with --output DIR they are, and `tg-cli report` tells more.");
    }
    page.finish()
}
