//! What a reader must know before the numbers. Changes when a new doubt about them comes up.

use super::page::{Page, some};
use tg_model::summary::{RunEnding, Summary};

pub fn warnings(page: &mut Page, s: &Summary) {
    let mut any = false;
    let mut warn = |page: &mut Page, text: &str| {
        page.wrapped("", text);
        any = true;
    };
    match s.ending {
        RunEnding::Cut => warn(
            page,
            &format!(
                "! The journal has no end: the run was killed, or still goes on. This is what it holds: {} alive \
                 where it breaks off, shown as lasting; packets as of its last sample.",
                some(s.alive_at_cut, "connection")
            ),
        ),
        RunEnding::Failed => {
            let why = s.error.as_deref().unwrap_or("no reason was recorded");
            warn(page, &format!("! The run ended early: {why}"));
        }
        RunEnding::Aborted => {
            warn(page, "! The run was ended at once: echoes that were out are counted as lost in flight.");
        }
        RunEnding::Planned | RunEnding::Stopped => {}
    }
    if s.journal.unreadable_lines > 0 {
        let lines: Vec<String> = s.journal.unreadable.iter().map(|u| u.line.to_string()).collect();
        let more = if s.journal.unreadable_lines > lines.len() as u64 { " …" } else { "" };
        let n = some(s.journal.unreadable_lines, "line");
        warn(page, &format!("! {n} of the journal cannot be read: {}{more}", lines.join(", ")));
    }
    if !s.accounting.ok {
        warn(page, &format!("! The numbers do not add up, in {}:", some(s.accounting.violation_count, "place")));
        s.accounting.violations.iter().for_each(|v| page.wrapped("    ", v));
    }
    if any {
        page.line("");
    }
}
