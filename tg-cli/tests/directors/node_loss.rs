//! A lost node among several that the traffic goes to: what is said of each lost connection against what the lab
//! really did, and what the pods told of themselves.

use crate::bench::Lab;
use crate::nft::NEEDS;
use crate::support::{Suite, together};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};

pub fn add(suite: &mut Suite) {
    suite.test("node_loss::verdicts_agree_with_the_truth".into(), &NEEDS, together(verdicts_agree));
}

/// What the lab did, each with its time on the run's clock.
struct Truths {
    lines: Vec<(i64, Value)>,
    upgrade_ns: i64,
    lost_node: String,
    /// When the pod of this UID was an endpoint no more, before the balancers were told.
    left: HashMap<String, i64>,
}

/// A lost connection, with the pod that answered there.
struct Lost {
    pod: String,
    uid: String,
    /// The pod's node.
    at: String,
    /// The node that it came by: the pod sees that node's address.
    by: String,
    verdict: Value,
}

impl Lost {
    fn ended_ns(&self) -> i64 {
        self.verdict["ended_ns"].as_i64().unwrap()
    }

    fn established_ns(&self) -> i64 {
        self.verdict["established_ns"].as_i64().unwrap()
    }

    fn is_reset(&self) -> bool {
        self.verdict["reason"] == "reset"
    }
}

impl Truths {
    fn of(lab: &Lab) -> Truths {
        let [cluster, run] = ["cluster.jsonl", "run.jsonl"].map(|f| lab.file(f)[0]["monotonic_ns"].as_i64().unwrap());
        let on_run = |line: &Value| cluster + line["at_ns"].as_i64().unwrap() - run;
        let told = lab.file("cluster.jsonl");
        let upgrade = told.iter().find(|l| l["event"] == "rollout").unwrap();
        let (mut ready, mut left) = (HashSet::new(), HashMap::new());
        for line in told.iter().filter(|l| l["event"] == "endpoints") {
            let all = line["endpoints"].as_array().unwrap().iter().filter(|e| e["ready"] == true);
            let now: HashSet<String> = all.map(|e| e["pod_uid"].as_str().unwrap().to_owned()).collect();
            left.extend(ready.difference(&now).map(|uid| (uid.clone(), on_run(line))));
            ready = now;
        }
        let lines: Vec<(i64, Value)> = lab.file("truth.jsonl").into_iter().map(|l| (on_run(&l), l)).collect();
        let (_, fault) = lines.iter().find(|(_, l)| l["truth"] == "fault").unwrap();
        let lost_node = fault["node"].as_str().unwrap().to_owned();
        Truths { upgrade_ns: on_run(upgrade), lost_node, left, lines }
    }

    /// When this was first done to a pod, or to a node where there is none.
    fn since(&self, pod: Option<&str>, what: &[&str]) -> Option<i64> {
        let is_it = |l: &Value| l["pod"].as_str() == pod && what.contains(&l["truth"].as_str().unwrap());
        self.lines.iter().find(|(_, l)| is_it(l)).map(|(at, _)| *at)
    }

    fn ended_by(&self, lost: &Lost) -> Vec<&'static str> {
        let by_then = |at: Option<i64>| at.is_some_and(|at| at <= lost.ended_ns());
        let mut causes = Vec::new();
        if by_then(self.since(Some(&lost.pod), &["term", "kill", "ended"])) {
            causes.push("pod-terminated");
        }
        if by_then(self.since(None, &["fault"])) {
            // What is not answered is sent again by TCP, for which the router may choose another node.
            causes.push("ecmp-rehash");
            if [&lost.at, &lost.by].contains(&&self.lost_node) && !lost.is_reset() {
                causes.push("blackhole");
            }
        }
        causes
    }

    fn placed_by(&self, lost: &Lost) -> Vec<&'static str> {
        let doomed = self.lines.iter().any(|(_, l)| l["pod"] == *lost.pod && l["doomed"] == true);
        let replaced = lost.verdict["conn"]["nth"] != 0;
        let to_doomed = replaced && doomed && lost.established_ns() >= self.upgrade_ns;
        let mut causes = vec![if to_doomed { "rescheduled-to-doomed" } else { "scheduled" }];
        if self.left.get(&lost.uid).is_some_and(|left| *left < lost.established_ns()) {
            // A starved machine's rules are late.
            causes.push("endpoint-lag");
        }
        causes
    }

    /// Confirmed findings that are not so, in words; and how many of each cause are.
    fn against(&self, all: &[Lost]) -> (Vec<String>, BTreeMap<String, usize>) {
        let (mut wrong, mut right) = (Vec::new(), BTreeMap::new());
        for lost in all {
            for (which, truth) in [("ended_by", self.ended_by(lost)), ("placed_by", self.placed_by(lost))] {
                let (finding, cause) = (&lost.verdict[which], lost.verdict[which]["cause"].as_str().unwrap());
                match finding["grade"] == "confirmed" {
                    true if truth.contains(&cause) => *right.entry(cause.to_owned()).or_default() += 1,
                    true => wrong.push(format!("{which} {cause}, in truth {truth:?}: {:#}", lost.verdict)),
                    false => {}
                }
            }
        }
        (wrong, right)
    }
}

/// Those that an echo came on: others' pods nobody knows but those whom verdicts are made from.
fn lost(lab: &Lab) -> Vec<Lost> {
    let run = lab.file("run.jsonl");
    let identified = run.iter().filter(|l| l["kind"] == "identified");
    let identities: HashMap<String, &Value> = identified.map(|l| (l["conn"].to_string(), &l["identity"])).collect();
    let of = |verdict: Value| {
        let identity = identities.get(&verdict["conn"].to_string())?;
        let word = |field: &str| identity[field].as_str().unwrap().to_owned();
        // 10.X.NODE.2
        let by = format!("node-{}", word("peer").split('.').nth(2).unwrap());
        Some(Lost { pod: word("pod"), uid: word("pod_uid"), at: word("node"), by, verdict })
    };
    lab.verdicts().into_iter().filter_map(of).collect()
}

fn verdicts_agree() {
    let shape = "--scheduler random --nodes 3 --ecmp --replicas 6 --conns 96";
    // Before it an echo on each connection, after it time enough for the losses. Shorter time-outs would find a starved
    // machine's slow echoes.
    let fault = "--fault node-loss@2s --settle 10s --response-timeout 4s --node-grace 1s";
    let lab = Lab::run(&format!("--director nft {shape} {fault}"));
    let (mut truths, all) = (Truths::of(&lab), lost(&lab));
    let (wrong, right) = truths.against(&all);
    assert!(wrong.is_empty(), "{} are wrong, such as\n{}", wrong.len(), wrong[0]);
    for (cause, least) in [("blackhole", 1), ("pod-terminated", 10), ("scheduled", 10)] {
        assert!(right.get(cause).is_some_and(|n| *n >= least), "{cause}: {right:?}");
    }

    // The cluster tells of the node: no silence there, or by way of it, is unexplained.
    let by_it = |l: &Lost| [&l.at, &l.by].contains(&&truths.lost_node);
    let fault_ns = truths.since(None, &["fault"]).unwrap();
    let was_lost = |l: &&Lost| by_it(l) && (fault_ns..truths.upgrade_ns).contains(&l.ended_ns());
    let there: Vec<&Lost> = all.iter().filter(was_lost).collect();
    assert!(there.len() >= 4, "{}", lab.done);
    for silent in there.iter().filter(|l| !l.is_reset()) {
        assert_eq!(silent.verdict["reason"], "response-timeout");
        assert_eq!(silent.verdict["ended_by"]["grade"], "confirmed", "{:#}", silent.verdict);
    }

    // Had it been otherwise, it would show.
    let kept = std::mem::take(&mut truths.lost_node);
    let (wrong, _) = truths.against(&all);
    assert!(wrong.iter().any(|w| w.starts_with("ended_by blackhole")), "without {kept}: {wrong:?}");
}
