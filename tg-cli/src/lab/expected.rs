//! What was expected beside what was observed. Changes when what of it is told does.

use crate::report::{Page, some};
use anyhow::Context;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use tg_lab::lab::{CLUSTER, PLAN};
use tg_lab::predict::{expected, runs_for};
use tg_model::cluster_event::{ClusterEvent, ClusterLine, ClusterReader, PodPhase, RolloutPhase};
use tg_model::lab_plan::{Expectation, LabPlan, Spread};
use tg_model::plan::Transport;
use tg_model::summary::Summary;
use tg_model::verdict::PodShare;

/// Simulated upgrades: more tell little more.
const RUNS_MAX: u32 = 200;
/// Pods of the table at most; the first and the last tell what there is to tell.
const PODS_MAX: usize = 20;
/// A pod's name longer than this is cut.
const NAME_MAX: usize = 42;

/// What a lab was expected to lose.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// By simulation of its plan.
    pub expectation: Expectation,
    /// Old pods in the order in which the upgrade asked them to end.
    order: Vec<String>,
}

impl Expected {
    /// For the folder of a lab. `None`: nothing can be expected of it. It has no plan or no cluster's journal, its upgrade was not carried
    /// out, it has a scheduler that only a kernel has; or it had UDP flows, which are not lost with their pod.
    pub fn of_folder(folder: &Path) -> anyhow::Result<Option<Expected>> {
        let (path, cluster) = (folder.join(PLAN), folder.join(CLUSTER));
        let has_text = |path: &Path| path.metadata().is_ok_and(|found| found.is_file() && found.len() > 0);
        if !has_text(&path) || !has_text(&cluster) {
            return Ok(None);
        }
        let what = || format!("reading {}", path.display());
        let plan: LabPlan = serde_json::from_slice(&std::fs::read(&path).with_context(what)?).with_context(what)?;
        let (order, complete) = order_of_end(&cluster)?;
        if !complete || plan.transport == Transport::Udp {
            return Ok(None);
        }
        let expectation = expected(&plan, runs_for(&plan).min(RUNS_MAX)).ok();
        Ok(expectation.map(|expectation| Expected { expectation, order }))
    }

    /// Puts the section on a page.
    pub fn section(&self, page: &mut Page, summary: &Summary, pods: &[PodShare]) {
        let Expectation { lost, runs, not_simulated, .. } = &self.expectation;
        page.line("");
        page.line(&row("Expected, by simulation", "observed", "expected", "5 % to 95 %"));
        figure(page, "Lost connections", summary.lost, lost);
        if self.order.len() <= PODS_MAX {
            self.by_pod(page, pods);
        }
        for kind in not_simulated {
            page.wrapped("  ", &format!("The fault {kind} is not simulated: what it costs comes on top."));
        }
        if not_simulated.is_empty() && !lost.holds(summary.lost) {
            let (runs, observed) = (some(u64::from(*runs), "simulated upgrade"), summary.lost);
            let Spread { min, max, .. } = lost;
            page.wrapped("", &format!("{observed} lost is outside of what {runs} gave, {min} to {max}."));
        }
    }

    /// By the verdict's pods: a connection that was lost before a server named itself has no host, but a pod.
    fn by_pod(&self, page: &mut Page, pods: &[PodShare]) {
        page.line("  of them by pod, in the order in which the upgrade ended them");
        for (nth, name) in self.order.iter().enumerate() {
            let observed = pods.iter().find(|p| p.pod.name == *name).map_or(0, |p| p.lost);
            let name = format!("  {}", name.chars().take(NAME_MAX).collect::<String>());
            match self.expectation.lost_by_old_pod.get(nth) {
                Some(spread) => figure(page, &name, observed, spread),
                None => page.line(&row(&name, &observed.to_string(), "", "")),
            }
        }
    }
}

/// The pods of a cluster's journal in the order in which they were asked to end, and whether an upgrade is complete and
/// all of them are gone: else some of what they would have lost is not lost yet.
fn order_of_end(cluster: &Path) -> anyhow::Result<(Vec<String>, bool)> {
    let what = || format!("reading {}", cluster.display());
    let file = File::open(cluster).with_context(what)?;
    let mut reader = ClusterReader::open(BufReader::new(file)).with_context(what)?;
    let (mut order, mut gone, mut complete) = (Vec::new(), 0, false);
    while let Some(line) = reader.next_line().with_context(what)? {
        let ClusterLine::Event(seen) = line else { continue };
        match seen.event {
            ClusterEvent::Pod(change) if change.phase == PodPhase::Terminating => order.push(change.pod.name),
            ClusterEvent::Pod(change) if change.phase == PodPhase::Gone => gone += 1,
            ClusterEvent::Rollout(rollout) => complete |= rollout.phase == RolloutPhase::Complete,
            _ => {}
        }
    }
    let whole = complete && gone == order.len();
    Ok((order, whole))
}

fn figure(page: &mut Page, name: &str, observed: u64, s: &Spread) {
    let range = if s.p5 == s.p95 { s.p5.to_string() } else { format!("{} to {}", s.p5, s.p95) };
    page.line(&row(name, &observed.to_string(), &format!("{:.1}", s.mean), &range));
}

fn row(name: &str, observed: &str, expected: &str, range: &str) -> String {
    format!("{name:<44} {observed:>9} {expected:>9} {range:>14}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tg_model::lab_plan::LabSpec;
    use tg_model::verdict::PodRef;

    #[test]
    fn a_folder_without_a_plan_or_with_half_an_upgrade_gives_nothing_to_expect() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Expected::of_folder(folder.path()).unwrap(), None);
        let plan = serde_json::to_string(&LabPlan::try_from(LabSpec::default()).unwrap()).unwrap();
        std::fs::write(folder.path().join(PLAN), plan).unwrap();
        assert_eq!(Expected::of_folder(folder.path()).unwrap(), None, "there is no cluster's journal");
        let header = r#"{"v":1,"kind":"cluster-header","tg_version":"0","command":[],"source":"lab","machine":"m","boot_id":"b","monotonic_ns":1,"realtime_ns":2,"services":[]}"#;
        let rollout = |phase: &str| {
            format!(
                r#"{{"v":1,"kind":"cluster-event","at_ns":1,"event":"rollout","phase":"{phase}","deployment":"d","replica_set":"r","replicas":8,"max_surge":1,"max_unavailable":0}}"#
            )
        };
        let write = |lines: &[String]| {
            std::fs::write(folder.path().join(CLUSTER), format!("{header}\n{}\n", lines.join("\n"))).unwrap();
        };
        write(&[rollout("started")]);
        assert_eq!(Expected::of_folder(folder.path()).unwrap(), None);
        let pod = |phase: &str| {
            format!(
                r#"{{"v":1,"kind":"cluster-event","at_ns":1,"event":"pod","phase":"{phase}","pod":{{"name":"p","uid":"u","node":"n","addresses":[],"replica_set":"r"}}}}"#
            )
        };
        write(&[rollout("started"), pod("terminating"), rollout("complete")]);
        assert_eq!(Expected::of_folder(folder.path()).unwrap(), None, "an old pod is there still");
        write(&[rollout("started"), pod("terminating"), rollout("complete"), pod("gone")]);
        let expected = Expected::of_folder(folder.path()).unwrap().unwrap();
        assert!(expected.expectation.lost.holds(119), "{:?}", expected.expectation.lost);
    }

    #[test]
    fn a_pod_s_losses_are_the_verdict_s() {
        let plan = LabPlan::try_from(LabSpec::default()).unwrap();
        let expected =
            Expected { expectation: super::expected(&plan, 1).unwrap(), order: vec!["a".into(), "b".into()] };
        let pod = |name: &str, lost| PodShare {
            pod: PodRef { name: name.into(), uid: None, node: None, replica_set: None, doomed: None },
            ready_ns: None,
            terminating_ns: None,
            stopped_ns: None,
            connections: 9,
            lost,
            lasting: 0,
            rescheduled_to: 0,
        };
        let mut page = Page::default();
        expected.by_pod(&mut page, &[pod("c", 3), pod("a", 7)]);
        let text = page.finish();
        let observed: Vec<&str> = text.lines().skip(1).filter_map(|l| l.split_whitespace().nth(1)).collect();
        assert_eq!(observed, ["7", "0"], "{text}");
    }

    #[test]
    fn rows_fit_80_columns() {
        assert!(row(&format!("  {}", "x".repeat(NAME_MAX)), "1000000", "1000000.0", "999999 to 1000000").len() <= 84);
        assert_eq!(row(&format!("  {}", "x".repeat(NAME_MAX)), "119", "119.1", "118 to 120").len(), 79);
    }
}
