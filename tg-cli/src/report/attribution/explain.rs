//! One connection's verdict, with the lines that it rests on. Changes when what is told of one does.

use crate::report::text::Page;
use tg_model::verdict::{Chance, Decision, Evidence, Finding, Verdict};

/// Candidates shown at most.
const CANDIDATES: usize = 12;
/// Lines of evidence shown of a finding at most.
const LINES: usize = 8;

/// The verdict of one connection.
pub fn explain(verdict: &Verdict) -> String {
    let mut page = Page::default();
    one(&mut page, verdict);
    page.finish()
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
    let is_chosen = |c: &&Chance| c.address == d.chosen;
    // The chosen one is shown wherever it is.
    let (first, others) = d.candidates.split_at(d.candidates.len().min(CANDIDATES));
    let shown: Vec<&Chance> = first.iter().chain(others.iter().filter(is_chosen)).collect();
    for c in &shown {
        let mark = if is_chosen(c) { '>' } else { ' ' };
        page.line(&format!("    {mark} {}", candidate(c)));
    }
    let rest = (d.candidates_total as usize).saturating_sub(shown.len());
    if rest > 0 {
        page.line(&format!("      … and {rest} more"));
    }
}

fn candidate(c: &Chance) -> String {
    let pod = c.pod.clone().unwrap_or_else(|| c.address.to_string());
    let counted = match (c.weight, c.active, c.inactive) {
        (Some(weight), Some(active), Some(inactive)) => Some(format!("weight {weight}, {active}+{inactive}")),
        _ => None,
    };
    let ready = (c.ready == Some(false)).then(|| "not ready".to_owned());
    let doomed = c.doomed.map(|goes| if goes { "to go" } else { "to stay" }.to_owned());
    let said: Vec<String> = [counted, ready, doomed].into_iter().flatten().collect();
    let pod = crate::report::text::cut(&pod, 34);
    format!("{pod:<34}  {}", said.join(", ")).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use tg_model::verdict::Director;

    fn chance(nth: u8) -> Chance {
        Chance {
            address: SocketAddr::from(([10, 0, 0, nth], 80)),
            weight: None,
            active: None,
            inactive: None,
            pod: Some(format!("pod-{nth}")),
            ready: None,
            doomed: None,
        }
    }

    #[test]
    fn a_candidate_has_what_is_known_of_it() {
        assert_eq!(candidate(&chance(1)), "pod-1");
        let to_go = Chance { doomed: Some(true), ..chance(1) };
        assert_eq!(candidate(&to_go).split_whitespace().collect::<Vec<_>>(), ["pod-1", "to", "go"]);
        let all = Chance { weight: Some(1), active: Some(2), inactive: Some(3), ready: Some(false), ..to_go };
        assert!(candidate(&all).ends_with("  weight 1, 2+3, not ready, to go"));
    }

    #[test]
    fn the_chosen_candidate_is_always_shown() {
        let evidence = Evidence { file: "n".into(), line: 1, seq: None, at_ns: 0, words: "w".into() };
        let candidates: Vec<Chance> = (1..=16).map(chance).collect();
        let mut made = Decision {
            node: "n".into(),
            director: Director::Ipvs,
            scheduler: None,
            at_ns: 0,
            chosen: candidates[14].address,
            candidates,
            candidates_total: 20,
            inferred: false,
            evidence,
        };
        let shown = |made: &Decision| {
            let mut page = Page::default();
            decision(&mut page, made);
            page.finish()
        };
        let text = shown(&made);
        assert!(text.contains("    > pod-15\n") && text.contains("… and 7 more"), "{text}");
        made.chosen = made.candidates[0].address;
        let text = shown(&made);
        assert!(text.contains("    > pod-1\n") && !text.contains("pod-15") && text.contains("… and 8 more"), "{text}");
    }
}
