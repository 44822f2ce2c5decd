//! The tables of why connections were lost, each left out where it has nothing to say. Changes when a figure is
//! shown in another way.

use crate::report::text::{Page, cut, some};
use crate::span::show;
use tg_model::verdict::{Cause, CauseTally, Conformance, Effect, PodShare, RunVerdict, ServiceTime};

/// Rows of a table that grows with the run: the first and the last tell what there is to tell.
const ROWS: usize = 40;
/// Columns of a pod's name.
const NAME: usize = 29;

/// How often each cause was found, by grade.
pub fn causes(page: &mut Page, title: &str, tallies: &[CauseTally]) {
    if tallies.is_empty() {
        return;
    }
    page.line("");
    page.line(&format!("{title:<38} {:>9} {:>9} {:>12}", "confirmed", "suspected", "unattributed"));
    for t in tallies {
        let dash = |n: u64| if n == 0 { "-".to_owned() } else { n.to_string() };
        let (confirmed, suspected, unattributed) = (dash(t.confirmed), dash(t.suspected), dash(t.unattributed));
        page.line(&format!("  {:<36} {confirmed:>9} {suspected:>9} {unattributed:>12}", t.cause.name()));
    }
}

/// One of the avoidable losses, with the decision behind it.
pub fn example(page: &mut Page, v: &RunVerdict) {
    let worth = v
        .verdicts
        .iter()
        .find(|v| v.avoidable == Some(true))
        .or_else(|| v.verdicts.iter().find(|v| !matches!(v.ended_by.cause, Cause::PodTerminated)));
    let Some(verdict) = worth else { return };
    page.line("\nFor example");
    super::explain::one(page, verdict);
}

/// Pods by the time at which they were asked to end.
pub fn pods(page: &mut Page, pods: &[PodShare]) {
    // A run alone: the tables of hosts say the same.
    if pods.iter().all(|p| p.pod.uid.is_none()) {
        return;
    }
    let mut pods: Vec<&PodShare> = pods.iter().filter(|p| p.connections > 0 || p.terminating_ns.is_some()).collect();
    pods.sort_by_key(|p| (p.terminating_ns.is_none(), p.terminating_ns, p.ready_ns));
    page.line("");
    page.line(&format!(
        "{:<NAME$} {:>8} {:>8} {:>6} {:>5} {:>7} {:>9}",
        "Pods", "ready", "to end", "had", "lost", "lasting", "put there"
    ));
    let at = |ns: Option<i64>| ns.map_or("-".to_owned(), seconds);
    let row = |page: &mut Page, p: &PodShare| {
        page.line(&format!(
            "  {:<27} {:>8} {:>8} {:>6} {:>5} {:>7} {:>9}",
            cut(&p.pod.name, 27),
            at(p.ready_ns),
            at(p.terminating_ns),
            p.connections,
            p.lost,
            p.lasting,
            if p.pod.doomed == Some(true) { p.rescheduled_to.to_string() } else { "-".into() }
        ));
    };
    some_rows(page, &pods, "more pods", row);
    page.wrapped("  ", "In seconds of the run. Put there: reconnects while the pod was to go, and lost again with it.");
}

/// The first and the last of too many.
fn some_rows<T>(page: &mut Page, all: &[&T], what: &str, row: impl Fn(&mut Page, &T)) {
    if all.len() <= ROWS {
        all.iter().for_each(|one| row(page, one));
        return;
    }
    let half = ROWS / 2;
    all[..half].iter().for_each(|one| row(page, one));
    page.line(&format!("  … {} {what}", all.len() - ROWS));
    all[all.len() - half..].iter().for_each(|one| row(page, one));
}

fn seconds(ns: i64) -> String {
    format!("{:.2}", ns as f64 / 1e9)
}

/// Whether schedulers did what their names say.
pub fn conformance(page: &mut Page, all: &[Conformance]) {
    if all.is_empty() {
        return;
    }
    page.line("\nDid the scheduler do what its name says?");
    for c in all.iter().take(ROWS) {
        let service = c.service.map_or(String::new(), |s| format!(" for {s}"));
        let who = format!("{} on {}{service}", c.scheduler, c.node);
        let decisions = some(c.decisions, "decision");
        let told = match (c.judged, &c.not_judged) {
            (0, Some(why)) => format!("{who}: {decisions}, not judged: {why}."),
            (judged, why) => {
                let why = why.as_ref().map_or(String::new(), |w| format!(" ({w})"));
                let rest = if judged == c.decisions { String::new() } else { format!(" of {decisions}") };
                format!("{who}: {} of {judged} judged{rest} conform{why}.", c.conform)
            }
        };
        page.wrapped("  ", &told);
        if let Some(d) = &c.first_deviation {
            let chosen = d.chosen.map_or("nothing".to_owned(), |a| a.to_string());
            let expected: Vec<String> = d.expected.iter().take(3).map(ToString::to_string).collect();
            let expected = if expected.is_empty() { "nothing".into() } else { expected.join(" or ") };
            let at = format!("{}:{}", d.evidence.file, d.evidence.line);
            page.wrapped("    ", &format!("First that does not, {at}: {chosen} was chosen, {expected} would conform."));
        }
    }
    if all.len() > ROWS {
        page.line(&format!("  … and {} more", all.len() - ROWS));
    }
}

/// Time without service, of slots together.
pub fn service(page: &mut Page, s: &ServiceTime) {
    if s.outages == 0 {
        return;
    }
    let whole = if s.service_out_ns == 0 {
        "the service as a whole was never out".to_owned()
    } else {
        format!(
            "the service as a whole was out for {}, the longest {}",
            show(s.service_out_ns),
            show(s.service_out_max_ns)
        )
    };
    page.line("");
    page.wrapped(
        "",
        &format!("At most {} of {} were out at once; {whole}.", s.slots_out_max, some(s.slots, "connection")),
    );
}

/// What followed what the cluster did.
pub fn effects(page: &mut Page, effects: &[Effect]) {
    if effects.is_empty() {
        return;
    }
    page.line("");
    page.line(&format!("{:<45} {:>8} {:>5} {:>9} {:>9}", "What the cluster did", "at", "lost", "first", "last"));
    let after = |ns: Option<i64>| {
        let sign = |ns: i64| if ns < 0 { "-" } else { "+" };
        ns.map_or(String::new(), |ns| format!("{}{}", sign(ns), show(ns.unsigned_abs())))
    };
    let all: Vec<&Effect> = effects.iter().collect();
    some_rows(page, &all, "more events", |page, e| {
        let lost = if e.lost > 0 { e.lost.to_string() } else { "-".to_owned() };
        page.line(&format!(
            "  {:<43} {:>8} {lost:>5} {:>9} {:>9}",
            cut(&e.event, 43),
            seconds(e.at_ns),
            after(e.first_after_ns),
            after(e.last_after_ns)
        ));
    });
}

/// Evidence that was lost, and causes that these journals cannot confirm.
pub fn evidence(page: &mut Page, v: &RunVerdict) {
    page.line("");
    if v.evidence_lost.is_empty() {
        if v.inputs.len() > 1 {
            page.line("Evidence lost: none that is known.");
        }
    } else {
        page.line("Evidence lost");
        for e in v.evidence_lost.iter().take(ROWS) {
            let program = e.program.as_ref().map_or(String::new(), |p| format!(", {p}"));
            let lost = e.lost.map_or("an unknown number of events".to_owned(), |n| some(n, "event"));
            let until = if e.to_ns == i64::MAX { "its end".into() } else { format!("{} s", seconds(e.to_ns)) };
            let cost =
                if e.lowered > 0 { format!("; it lowered {}", some(e.lowered, "finding")) } else { String::new() };
            let from = seconds(e.from_ns);
            page.wrapped("  ", &format!("{}{program}, {from} s to {until}: {lost}, {}{cost}.", e.file, e.why));
        }
        if v.evidence_lost.len() > ROWS {
            page.line(&format!("  … and {} more spans", v.evidence_lost.len() - ROWS));
        }
    }
    let not: Vec<&str> = v.not_covered.iter().map(|n| n.cause.name()).collect();
    if !not.is_empty() {
        page.wrapped(
            "",
            &format!("Causes that these journals cannot confirm: {} (--format json says why).", not.join(", ")),
        );
    }
}
