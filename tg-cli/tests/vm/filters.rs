//! SYN, FIN and RST on an interface before 6.6, where a filter outlives its process, and since.

use crate::bed::{NODE, on_node, vips};
use crate::faults_support::{Running, eventually, start, tg};
use crate::network::Observer;
use crate::support::{Capability, Suite};
use serde_json::Value;
use std::path::Path;

pub fn add(suite: &mut Suite) {
    suite.test("filters::legacy_tc".into(), &[Capability::Bpf, Capability::Ipvsadm], legacy_tc);
}

fn observe(journal: &Path) -> Running {
    let [vip, _] = vips();
    let line = format!("observe --vip {vip} --interface {NODE}/n0 --legacy-tc --output {}", journal.display());
    let running = start(&mut tg(&line));
    running.says("observing");
    running
}

/// Filters on the node's interface that are tg's.
fn filters() -> usize {
    let both = ["ingress", "egress"].map(|way| on_node(&format!("tc filter show dev n0 {way}")));
    both.concat().lines().filter(|l| l.contains("tcx_in") || l.contains("tcx_out")).count()
}

fn legacy_tc() {
    let mut bed = crate::bed::bed();
    let [vip, _] = vips();
    let directory = tempfile::tempdir().unwrap();
    let journal = directory.path().join("node.jsonl");
    let observer = Observer { running: observe(&journal), journal: journal.clone() };
    let status = observer.awaits("its status", |l| l["kind"] == "node-program" && l["program"] == "segments");
    let legacy = status["way"] == "clsact in, clsact out on node/n0";
    assert!(legacy || status["way"] == "tcx in, tcx out on node/n0", "{status}");
    assert_eq!(filters(), if legacy { 2 } else { 0 });
    let (client, pod) = bed.connect(vip);
    let local = client.local_addr().unwrap().to_string();
    drop((client, pod));
    for (direction, end) in [("in", "src"), ("out", "dst")] {
        let is_it = |l: &Value| {
            l["event"] == "segments" && l["direction"] == direction && l["tuple"][end] == *local && l["fin"] == 1
        };
        assert_eq!(observer.awaits("both ways are counted", is_it)["syn"], 1);
    }
    observer.end();
    assert_eq!(filters(), 0);

    observe(&journal).kill().was_killed();
    eventually("what is left is known", || (filters() == if legacy { 2 } else { 0 }).then_some(()));
    let again = Observer { running: observe(&journal), journal };
    assert_eq!(filters(), if legacy { 2 } else { 0 });
    again.end();
    assert_eq!(filters(), 0);
}
