//! Verdicts against the truth: what a lab really did, which no verdict is made from.

use crate::cli::process::Process;
use crate::journals::Kept;
use crate::lab;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use tg_lab::lab::{Truth, TruthLine};
use tg_model::cluster_event::{ClusterEvent, RolloutPhase};
use tg_model::lab_plan::FaultKind;

/// What the lab did, each with its time on the run's clock.
struct Truths {
    lines: Vec<(i64, Truth)>,
    upgrade_ns: i64,
}

/// A lost connection, by the run's journal and the address that it was led to.
struct Lost {
    pod: String,
    replaced: bool,
    established_ns: i64,
    ended_ns: i64,
}

/// Causes that agree with the truth.
struct Causes {
    ended_by: &'static [&'static str],
    placed_by: &'static [&'static str],
}

impl Truths {
    fn of(kept: &Kept) -> Truths {
        let [cluster, run] = ["cluster.jsonl", "run.jsonl"].map(|f| kept.lines(f)[0]["monotonic_ns"].as_i64().unwrap());
        let on_run = |at_ns: u64| cluster + at_ns as i64 - run;
        let line = |value: Value| {
            let line: TruthLine = serde_json::from_value(value).unwrap();
            (on_run(line.at_ns), line.truth)
        };
        let started =
            |(_, e): &(u64, ClusterEvent)| matches!(e, ClusterEvent::Rollout(r) if r.phase == RolloutPhase::Started);
        let upgrade = kept.cluster().into_iter().find(started).unwrap();
        Truths { lines: kept.lines("truth.jsonl").into_iter().map(line).collect(), upgrade_ns: on_run(upgrade.0) }
    }

    /// What was done to a pod, in the order of time.
    fn of_pod<'a>(&'a self, pod: &'a str) -> impl DoubleEndedIterator<Item = (i64, &'a Truth)> {
        let is_of = move |truth: &Truth| match truth {
            Truth::Started { pod: p, .. } | Truth::Ended { pod: p, .. } => p == pod,
            Truth::Listens { pod: p } | Truth::Term { pod: p } | Truth::Kill { pod: p } => p == pod,
            Truth::Fault { pod: p, .. } => p.as_deref() == Some(pod),
            Truth::Healed { .. } => false,
        };
        self.lines.iter().filter(move |(_, truth)| is_of(truth)).map(|(at, truth)| (*at, truth))
    }

    fn causes(&self, lost: &Lost) -> Causes {
        let of_pod = || self.of_pod(&lost.pod);
        let is_start = |truth: &Truth| matches!(truth, Truth::Started { .. } | Truth::Listens { .. });
        let is_storm = |truth: &Truth| matches!(truth, Truth::Fault { fault: FaultKind::ResetStorm, .. });
        let before = of_pod().rfind(|(at, truth)| *at <= lost.established_ns && !is_storm(truth));
        let ran = matches!(before, Some((_, Truth::Listens { .. })));
        // Its client may hear of its end when the pod has been started again.
        let mut during = of_pod().filter(|(_, truth)| !is_start(truth));
        let during = during.rfind(|(at, _)| (lost.established_ns..=lost.ended_ns).contains(at));
        let ended_by: &[&str] = match during.map(|(_, truth)| truth) {
            _ if !ran => &["pod-terminated", "endpoint-lag"],
            Some(Truth::Fault { fault: FaultKind::ResetStorm, .. }) => &["reset-by-third-party"],
            Some(Truth::Fault { fault: FaultKind::PodKill, .. }) => &["pod-terminated"],
            Some(Truth::Term { .. } | Truth::Kill { .. } | Truth::Ended { .. }) => &["pod-terminated"],
            _ => &[],
        };
        let doomed = of_pod().any(|(_, truth)| matches!(truth, Truth::Started { doomed: true, .. }));
        let placed_by: &[&str] = match lost.replaced && doomed && lost.established_ns >= self.upgrade_ns {
            _ if !ran => &["endpoint-lag", "scheduled", "rescheduled-to-doomed"],
            true => &["rescheduled-to-doomed"],
            false => &["scheduled"],
        };
        Causes { ended_by, placed_by }
    }

    /// Confirmed findings that are not so, in words; and how many of each cause are.
    fn against(&self, verdicts: &[(Lost, Value)]) -> (Vec<String>, BTreeMap<String, usize>) {
        let (mut wrong, mut right) = (Vec::new(), BTreeMap::new());
        for (lost, verdict) in verdicts {
            let causes = self.causes(lost);
            for (which, true_ones) in [("ended_by", causes.ended_by), ("placed_by", causes.placed_by)] {
                let (finding, cause) = (&verdict[which], verdict[which]["cause"].as_str().unwrap());
                if finding["grade"] != "confirmed" {
                    continue;
                }
                match true_ones.contains(&cause) {
                    true => *right.entry(cause.to_owned()).or_default() += 1,
                    false => wrong.push(format!("{which} {cause}, in truth {true_ones:?}: {verdict:#}")),
                }
            }
        }
        (wrong, right)
    }
}

/// What is said of each lost connection, beside where it really was.
fn verdicts(kept: &Kept) -> Vec<(Lost, Value)> {
    let path = kept.path();
    let report = Process::start(&["report", path.to_str().unwrap(), "--format", "json"]).finish().with(0);
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    let pods: HashMap<SocketAddr, String> = kept.listened().into_iter().map(|(pod, address)| (address, pod)).collect();
    let chosen = kept.chosen();
    let closed: HashMap<String, _> = kept.closed().into_iter().map(|c| (c.established.conn.to_string(), c)).collect();
    let with_lost = |verdict: &Value| {
        let conn = format!("{}.{}", verdict["conn"]["slot"], verdict["conn"]["nth"]);
        let local = closed[&conn].established.local;
        let lost = Lost {
            pod: pods[&chosen[&local]].clone(),
            replaced: verdict["conn"]["nth"] != 0,
            established_ns: verdict["established_ns"].as_i64().unwrap(),
            ended_ns: verdict["ended_ns"].as_i64().unwrap(),
        };
        (lost, verdict.clone())
    };
    report["verdict"]["verdicts"].as_array().unwrap().iter().map(with_lost).collect()
}

pub fn verdicts_agree() {
    let kept = Kept::new();
    let faults = ["--fault", "reset-storm@500ms", "--fault", "pod-kill@1s", "--settle", "2s"];
    lab(&[&["--scheduler", "rr"], &faults[..], &[&kept.option()]].concat());
    let (mut truths, verdicts) = (Truths::of(&kept), verdicts(&kept));
    let (wrong, right) = truths.against(&verdicts);
    assert!(wrong.is_empty(), "{} are wrong, such as\n{}", wrong.len(), wrong[0]);
    // The storm took those of one pod of four, the upgrade all 16 once and some again.
    let enough = [("reset-by-third-party", 4), ("pod-terminated", 16), ("scheduled", 20), ("rescheduled-to-doomed", 1)];
    for (cause, least) in enough {
        assert!(right.get(cause).is_some_and(|n| *n >= least), "{cause}: {right:?}");
    }

    // Had it been otherwise, it would show.
    let pods: BTreeSet<String> = verdicts.iter().map(|(lost, _)| lost.pod.clone()).collect();
    for (_, truth) in &mut truths.lines {
        match truth {
            Truth::Fault { fault: FaultKind::ResetStorm, pod, .. } => {
                *pod = pods.iter().find(|other| Some(*other) != pod.as_ref()).cloned();
            }
            Truth::Started { doomed, .. } => *doomed = false,
            _ => {}
        }
    }
    let (wrong, _) = truths.against(&verdicts);
    let tells = |words: &str| wrong.iter().any(|w| w.starts_with(words));
    assert!(tells("ended_by reset-by-third-party") && tells("placed_by rescheduled-to-doomed"), "{wrong:?}");
}
