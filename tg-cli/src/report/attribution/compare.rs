//! Two runs side by side. Changes when another figure is worth comparing.

use super::read::Attributed;
use crate::report::text::{Page, cut};
use crate::span::show;
use std::collections::BTreeMap;
use tg_model::verdict::{CauseTally, Conformance, PodShare};

/// The comparison, for people. The names are those of what was given.
pub fn compare(names: [&str; 2], sides: [&Attributed; 2]) -> String {
    let mut page = Page::default();
    row(&mut page, "", names.map(|n| cut(n, 20)));
    let totals = sides.map(|s| &s.verdict.totals);
    let known = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
    row(&mut page, "Lost connections", totals.map(|t| t.lost.to_string()));
    row(&mut page, "  perfect", totals.map(|t| known(t.perfect)));
    row(&mut page, "  more", totals.map(|t| known(t.more)));
    row(&mut page, "  of these avoidable", totals.map(|t| t.avoidable.to_string()));
    row(&mut page, "Lasting connections", totals.map(|t| t.lasting.to_string()));
    row(&mut page, "Reconnects", totals.map(|t| t.reconnects.to_string()));
    row(&mut page, "Failed attempts", sides.map(|s| s.summary.failed_attempts.total.to_string()));
    causes(&mut page, "What ended them", sides.map(|s| &s.verdict.ended_by[..]));
    causes(&mut page, "What had put them there", sides.map(|s| &s.verdict.placed_by[..]));
    row(&mut page, "\nLost by the first pod to go", sides.map(|s| of_pod(&s.verdict.pods, |w| w.first().copied())));
    row(&mut page, "Lost by the last", sides.map(|s| of_pod(&s.verdict.pods, |w| w.last().copied())));
    row(&mut page, "Most lasting on one pod", sides.map(|s| most(&s.verdict.pods)));
    row(&mut page, "Fewest on one that stayed", sides.map(|s| fewest(&s.verdict.pods)));
    row(&mut page, "\nDecisions that conform", sides.map(|s| conformance(&s.verdict.conformance)));
    row(&mut page, "Time without service", sides.map(|s| show(s.verdict.service.total_ns)));
    row(&mut page, "  median", sides.map(|s| show(s.verdict.service.p50_ns)));
    row(&mut page, "  longest", sides.map(|s| show(s.verdict.service.max_ns)));
    row(&mut page, "  out at once at most", sides.map(|s| s.verdict.service.slots_out_max.to_string()));
    row(&mut page, "Latency p99", sides.map(|s| show(s.summary.latency.p99_ns)));
    for (name, side) in names.iter().zip(sides) {
        page.line("");
        page.wrapped("", &format!("{name}: {}", super::text::against_perfect(&side.verdict.totals)));
        side.verdict.sentences.iter().for_each(|s| page.wrapped("  ", s));
    }
    page.finish()
}

fn row(page: &mut Page, what: &str, values: [String; 2]) {
    let (space, what) = what.strip_prefix('\n').map_or((false, what), |what| (true, what));
    if space {
        page.line("");
    }
    page.line(&format!("{what:<36} {:>20} {:>20}", values[0], values[1]));
}

/// Each cause that either side has, by name.
fn causes(page: &mut Page, title: &str, sides: [&[CauseTally]; 2]) {
    let mut by_cause: BTreeMap<_, [u64; 2]> = BTreeMap::new();
    for (nth, tallies) in sides.into_iter().enumerate() {
        tallies.iter().for_each(|t| by_cause.entry(t.cause).or_default()[nth] = t.total());
    }
    if !by_cause.is_empty() {
        page.line(&format!("\n{title}"));
    }
    for (cause, counts) in by_cause {
        row(page, &format!("  {cause}"), counts.map(|n| n.to_string()));
    }
}

/// A pod among those that were asked to end, in that order.
fn of_pod<'a>(pods: &'a [PodShare], which: impl Fn(&[&'a PodShare]) -> Option<&'a PodShare>) -> String {
    let mut went: Vec<&PodShare> = pods.iter().filter(|p| p.terminating_ns.is_some()).collect();
    went.sort_by_key(|p| p.terminating_ns);
    which(&went).map_or("-".to_owned(), |p| p.lost.to_string())
}

fn most(pods: &[PodShare]) -> String {
    pods.iter().map(|p| p.lasting).max().map_or("-".to_owned(), |n| n.to_string())
}

fn fewest(pods: &[PodShare]) -> String {
    let stayed = pods.iter().filter(|p| p.terminating_ns.is_none() && p.stopped_ns.is_none());
    stayed.map(|p| p.lasting).min().map_or("-".to_owned(), |n| n.to_string())
}

fn conformance(all: &[Conformance]) -> String {
    let sum = |of: fn(&Conformance) -> u64| all.iter().map(of).sum::<u64>();
    match sum(|c| c.judged) {
        0 => "-".to_owned(),
        judged => format!("{} of {judged}", sum(|c| c.conform)),
    }
}
