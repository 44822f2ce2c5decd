//! What was expected beside what was observed. Changes when what of it is told does.

use crate::report::{Page, some};
use anyhow::Context;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use tg_lab::predict::{expected, runs_for};
use tg_model::cluster_event::{ClusterEvent, ClusterLine, ClusterReader, PodPhase};
use tg_model::lab_plan::{Expectation, LabPlan, Spread};
use tg_model::plan::Transport;
use tg_model::summary::Summary;

/// Pods of the table at most; the first and the last tell what there is to tell.
const PODS_MAX: usize = 20;
/// A host's name longer than this is cut.
const NAME_MAX: usize = 42;

/// Old pods in the order in which the upgrade asked them to end, from a cluster's journal.
pub fn order_of_end(cluster: &Path) -> anyhow::Result<Vec<String>> {
    let what = || format!("reading {}", cluster.display());
    let file = File::open(cluster).with_context(what)?;
    let mut reader = ClusterReader::open(BufReader::new(file)).with_context(what)?;
    let mut order = Vec::new();
    while let Some(line) = reader.next_line().with_context(what)? {
        if let ClusterLine::Event(seen) = line
            && let ClusterEvent::Pod(change) = seen.event
            && change.phase == PodPhase::Terminating
        {
            order.push(change.pod.name);
        }
    }
    Ok(order)
}

/// The section, where a prediction can be made. `order`: see [`order_of_end`].
pub fn section(page: &mut Page, plan: &LabPlan, summary: &Summary, order: &[String]) {
    // UDP flows are not lost with their pod: another one answers them.
    if plan.transport == Transport::Udp {
        return;
    }
    let Ok(expected) = expected(plan, runs_for(plan)) else { return };
    page.line("");
    page.line(&row("Expected, by simulation", "observed", "expected", "5 % to 95 %"));
    figure(page, "Lost connections", summary.lost, &expected.lost);
    if order.len() <= PODS_MAX {
        by_pod(page, &summary.hosts.lost, order, &expected);
    }
    for kind in &expected.not_simulated {
        page.wrapped("  ", &format!("The fault {kind} is not simulated: what it costs comes on top."));
    }
    if expected.not_simulated.is_empty() && !expected.lost.holds(summary.lost) {
        let Spread { min, max, .. } = expected.lost;
        page.wrapped(
            "",
            &format!(
                "{} lost is outside of what {} gave, {min} to {max}: this machine was late, or something else happened.",
                summary.lost,
                some(expected.runs.into(), "simulated upgrade")
            ),
        );
    }
}

fn by_pod(page: &mut Page, lost: &BTreeMap<String, u64>, order: &[String], expected: &Expectation) {
    page.line("  of them by pod, in the order in which the upgrade ended them");
    for (nth, name) in order.iter().enumerate() {
        let observed = lost.get(name).copied().unwrap_or(0);
        let name = format!("  {}", name.chars().take(NAME_MAX).collect::<String>());
        match expected.lost_by_old_pod.get(nth) {
            Some(spread) => figure(page, &name, observed, spread),
            None => page.line(&row(&name, &observed.to_string(), "", "")),
        }
    }
}

fn figure(page: &mut Page, name: &str, observed: u64, s: &Spread) {
    let range = if s.p5 == s.p95 { s.p5.to_string() } else { format!("{} to {}", s.p5, s.p95) };
    page.line(&row(name, &observed.to_string(), &format!("{:.1}", s.mean), &range));
}

fn row(name: &str, observed: &str, expected: &str, range: &str) -> String {
    format!("{name:<44} {observed:>9} {expected:>9} {range:>14}")
}
