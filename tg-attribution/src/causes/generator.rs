//! Causes that are the generator's own. Changes when the evidence for one does.

use crate::case::Case;
use crate::source::Sources;
use tg_model::outcome::EndReason;
use tg_model::verdict::{Cause, Finding};

/// The generator's own record is the exact evidence.
pub fn local_error(case: &Case) -> Option<Finding> {
    (case.end.reason == EndReason::LocalError).then(|| {
        case.draft(Cause::LocalError).proof(case.own_line(), "the generator's machine refused an operation").finish()
    })
}

/// It had no time to read an echo that had come: it sent so late in that second.
pub fn starved(case: &Case) -> Option<Finding> {
    if case.end.reason != EndReason::ResponseTimeout {
        return None;
    }
    let (from, to) = case.window();
    let run = &case.world.run;
    let late = run.late_in(from, to).0?;
    let late_ns = late.max_ns;
    // Half of it: the echo's own way takes the rest.
    if late_ns < run.response_timeout_ns / 2 {
        return None;
    }
    let source = Sources::of_run(late.line, late.at_ns);
    let words = format!("packets were sent up to {:.3} s late in this second", late_ns as f64 / 1e9);
    let draft = case
        .draft(Cause::GeneratorStarved)
        .proof(source, words)
        .proof(case.own_line(), "an echo was out too long by the generator's clock")
        .lacks_if(late_ns < run.response_timeout_ns, "its lateness alone does not make up the response time-out")
        .lacks_if(!case.drops_were_watched(), "no node's journal shows that nothing was dropped");
    (!case.was_dropped()).then(|| draft.finish())
}
