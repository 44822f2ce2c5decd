//! One connection's verdict, with the lines that it rests on. Changes when what is told of one does.

use crate::report::text::Page;
use tg_model::id::ConnId;
use tg_model::verdict::{Chance, Decision, Evidence, Finding, RunVerdict, Verdict};

/// Candidates shown at most.
const CANDIDATES: usize = 12;
/// Lines of evidence shown of a finding at most.
const LINES: usize = 8;

/// The verdict of one connection; `None`: it was not lost, or there is none such.
pub fn explain(v: &RunVerdict, conn: ConnId) -> Option<String> {
    let verdict = v.verdicts.iter().find(|v| v.conn == conn)?;
    let mut page = Page::default();
    one(&mut page, verdict);
    Some(page.finish())
}

/// Puts it on a page.
pub fn one(page: &mut Page, v: &Verdict) {
    let pod = v.pod.as_ref().map_or("a pod that is not known", |p| p.name.as_str());
    let life = |ns: i64| format!("{:.3} s", ns as f64 / 1e9);
    page.wrapped(
        "  ",
        &format!("Connection {} ({} to {}), on {pod}: {}", v.conn, life(v.established_ns), life(v.ended_ns), v.reason),
    );
    finding(page, "ended by", &v.ended_by);
    finding(page, "placed by", &v.placed_by);
    if let Some(d) = &v.decision {
        decision(page, d);
    }
    match v.avoidable {
        Some(true) => page.line("    avoidable: a ready candidate was to stay"),
        Some(false) if v.lineage.predecessor.is_some() => {
            page.line("    not avoidable: no ready candidate was to stay")
        }
        _ => {}
    }
}

fn finding(page: &mut Page, what: &str, f: &Finding) {
    page.wrapped("    ", &format!("{what} {}, {}: {}", f.cause, f.grade, f.cause.in_words()));
    f.evidence.iter().take(LINES).for_each(|e| page.hanging("      ", 8, &evidence(e)));
    f.missing.iter().take(LINES).for_each(|m| page.hanging("      ", 8, &format!("missing: {m}")));
}

fn evidence(e: &Evidence) -> String {
    format!("{:.3} s  {}:{}  {}", e.at_ns as f64 / 1e9, e.file, e.line, e.words)
}

fn decision(page: &mut Page, d: &Decision) {
    let inferred = if d.inferred { ", by the endpoints that were ready" } else { "" };
    page.line(&format!("    candidates of the decision{inferred}"));
    for c in d.candidates.iter().take(CANDIDATES) {
        let mark = if c.address == d.chosen { '>' } else { ' ' };
        page.line(&format!("    {mark} {}", candidate(c)));
    }
    let rest = d.candidates_total as usize - d.candidates.len().min(CANDIDATES).min(d.candidates_total as usize);
    if rest > 0 {
        page.line(&format!("      … and {rest} more"));
    }
}

fn candidate(c: &Chance) -> String {
    let pod = c.pod.clone().unwrap_or_else(|| c.address.to_string());
    let counted = match (c.weight, c.active, c.inactive) {
        (Some(weight), Some(active), Some(inactive)) => format!("  weight {weight}, {active}+{inactive}"),
        _ => String::new(),
    };
    let ready = match c.ready {
        Some(false) => ", not ready",
        _ => "",
    };
    let doomed = match c.doomed {
        Some(true) => ", to go",
        Some(false) => ", to stay",
        None => "",
    };
    let pod = crate::report::text::cut(&pod, 34);
    format!("{pod:<34}{counted}{ready}{doomed}")
}
