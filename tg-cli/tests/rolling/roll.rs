//! Pods that end and come back in turn, and what a run must say of that.

use crate::cli::case::Case;
use crate::cli::journal::{Journal, Story};
use crate::cli::pod::Pod;
use crate::cli::process::{Finished, Process, Signal, tg};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use tg_model::journal::{Closed, Outage};

/// Connections to each pod.
pub const EACH: usize = 3;
/// How the pods end.
const ENDS: [Signal; 3] = [Signal::TERM, Signal::KILL, Signal::TERM];

/// A run through a roll, after its end.
pub struct Rolled {
    pub finished: Finished,
    pub journal: Journal,
    pods: usize,
    ends: Vec<Signal>,
}

/// What the pods are called before and after.
fn old(pod: usize) -> String {
    format!("pod-{pod}")
}

fn new(pod: usize) -> String {
    format!("pod-{pod}-new")
}

/// Runs until each of the pods has ended as `ends` says and has come back, one after the other.
pub fn roll(case: Case, ends: &[Signal], more: &[&str]) -> Rolled {
    let pods = ends.len();
    let addresses: Vec<SocketAddr> = ends.iter().map(|_| case.lasting_address()).collect();
    let start = |pod: usize, name: String| Pod::start(case, &name, Some(addresses[pod]), &[]);
    let mut running: Vec<Pod> = (0..pods).map(|pod| start(pod, old(pod))).collect();
    let conns = (pods * EACH).to_string();
    let plan = ["--conns", &conns, "--rate", "20", "--until-signal"];
    let (mut run, journal) = case.run(&addresses, &[&plan[..], more].concat());
    for (pod, how) in ends.iter().enumerate() {
        journal.wait_until("the pod is known", &mut run, |s| s.answered_by(&old(pod)) == EACH);
        let ended = running.remove(0);
        ended.process.signal(*how);
        ended.process.finish();
        let tried = |s: &Story| s.slots_that_failed().iter().filter(|slot| slot.0 as usize % pods == pod).count();
        journal.wait_until("each of its connections is lost and was refused", &mut run, |s| tried(s) == EACH);
        running.push(start(pod, new(pod)));
        journal.wait_until("its slots have service again", &mut run, |s| is_back(s, &new(pod)));
    }
    run.signal(Signal::INT);
    let finished = run.finish();
    Rolled { finished, journal, pods, ends: ends.to_vec() }
}

fn is_back(story: &Story, host: &str) -> bool {
    let back: Vec<_> = story.outages().into_iter().filter(|o| o.over).filter_map(|o| o.replacement).collect();
    let answered = story.identified().into_iter().filter(|i| i.host.as_deref() == Some(host));
    answered.filter(|i| back.contains(&i.conn)).count() == EACH
}

impl Rolled {
    /// Connections that got into the queue of a listener whose process was dying: established for the
    /// kernel, and lost before anybody said who he is. Nothing came back on them.
    pub fn nameless(&self) -> u64 {
        let story = self.journal.read();
        let nameless: Vec<&Closed> = story.lost().into_iter().filter(|c| c.host.is_none()).collect();
        assert!(nameless.iter().all(|c| c.counts.received == 0), "{nameless:?}");
        // Only a pod that was killed leaves such a queue behind.
        let of_killed = |c: &&Closed| self.ends[c.established.conn.slot.0 as usize % self.pods] == Signal::KILL;
        assert!(nameless.iter().all(of_killed), "{nameless:?}");
        nameless.len() as u64
    }

    /// What the tables by host must hold.
    pub fn hosts(&self) -> Value {
        let of = |name: fn(usize) -> String| (0..self.pods).map(|p| (name(p), EACH as u64)).collect();
        let (mut lost, lasting): (BTreeMap<String, u64>, BTreeMap<String, u64>) = (of(old), of(new));
        lost.extend(Some(self.nameless()).filter(|n| *n > 0).map(|n| ("(unknown)".to_owned(), n)));
        json!({ "lost": lost, "lasting": lasting })
    }

    /// Connections lost.
    pub fn lost(&self) -> u64 {
        (self.pods * EACH) as u64 + self.nameless()
    }
}

/// Three pods: every connection is told of by the right host and reason, and so is the time between.
pub fn all_told(case: Case) {
    let rolled = roll(case, &ENDS, &["--format", "json"]);
    let report = rolled.finished.json();
    assert_eq!(rolled.finished.code, 0);
    assert_eq!((&report["engine"], &report["ending"]), (&json!(case.engine.name()), &json!("stopped")));
    assert_eq!((&report["accounting"]["ok"], &report["journal"]["complete"]), (&json!(true), &json!(true)), "{report}");
    let (conns, lost) = ((rolled.pods * EACH) as u64, rolled.lost());
    assert_eq!(report["hosts"], rolled.hosts());
    assert_eq!(
        (&report["lost"], &report["lasting"], &report["reconnects"]),
        (&json!(lost), &json!(conns), &json!(lost))
    );
    assert_eq!((&report["never_connected"], &report["without_connection"]), (&json!(0), &json!(0)));

    // At least one attempt of each met nobody; no attempt ended in another way.
    let failed = &report["failed_attempts"];
    assert_eq!(failed["total"], failed["refused"], "{failed}");
    assert!(failed["total"].as_u64().unwrap() >= conns, "{failed}");
    let sum = |parts: &[&Value]| parts.iter().map(|v| v.as_u64().unwrap()).sum::<u64>();
    assert_eq!(report["attempts"], sum(&[&failed["total"], &report["established"]]));
    let ended = &report["ended"];
    let ways = if case.udp { [&ended["unreachable"], &json!(0)] } else { [&ended["closed_by_peer"], &ended["reset"]] };
    assert_eq!((sum(&ways), &ended["completed"]), (lost, &json!(conns)), "{ended}");

    let story = rolled.journal.read();
    story.check_lineage();
    check_outages(&report["outages"], &story, conns..=lost);

    let again = tg(&["report", rolled.journal.path(), "--format", "json"]);
    assert_eq!(again.stdout, rolled.finished.stdout);
}

/// Each slot was once without service, for as long as its parts say. (A nameless connection on which a
/// packet was sent parts such a time in two.)
fn check_outages(report: &Value, story: &Story, times: RangeInclusive<u64>) {
    assert_eq!((&report["over"], &report["still_out"]), (&report["count"], &json!(0)));
    assert!(times.contains(&report["count"].as_u64().unwrap()), "{report}");
    let part = |o: fn(&Outage) -> u64| story.outages().into_iter().map(o).sum::<u64>();
    let parts = [part(|o| o.detection_ns), part(|o| o.reconnect_ns), part(|o| o.wait_ns)];
    for (name, ns) in ["detection", "reconnect", "wait"].into_iter().zip(parts) {
        assert_eq!(report[name]["total_ns"], ns, "{name}");
    }
    assert_eq!(report["total_ns"], parts.iter().sum::<u64>());
    // Who was refused had to wait.
    let refused = story.outages().into_iter().filter(|o| o.failed_attempts > 0);
    assert_eq!(refused.filter(|o| o.over && o.reconnect_ns > 0).count() as u64, *times.start());
}

/// A roll of one pod, ended in order.
pub fn small(case: Case, more: &[&str]) -> Rolled {
    roll(case, &ENDS[..1], more)
}

/// A run that nobody disturbs, against one pod.
pub fn undisturbed(case: Case, more: &[&str]) -> (Process, Journal, Pod) {
    let pod = Pod::start(case, "pod-1", None, &[]);
    let plan = ["--conns", "3", "--rate", "20", "--until-signal"];
    let (mut run, journal) = case.run(&[pod.address], &[&plan[..], more].concat());
    journal.wait_until("the pod is known", &mut run, |s| s.answered_by("pod-1") == 3);
    (run, journal, pod)
}
