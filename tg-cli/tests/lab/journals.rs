//! What a lab keeps, and whether it hangs together.

use crate::{lab, table};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tg_model::cluster_event::{ClusterEvent, ClusterLine, ClusterReader, PodPhase, RolloutPhase};
use tg_model::journal::{Closed, Line, Reader};
use tg_model::lab_plan::{LabPlan, SchedulerKind};
use tg_model::node_event::{NodeEvent, NodeLine, NodeReader, ProxyConnPhase};
use tg_model::outcome::EndReason;

/// A folder for a lab, and what is in it.
pub struct Kept {
    folder: TempDir,
}

impl Kept {
    pub fn new() -> Kept {
        Kept { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    pub fn option(&self) -> String {
        format!("--output={}", self.path().display())
    }

    fn open(&self, name: &str) -> BufReader<File> {
        BufReader::new(File::open(self.path().join(name)).unwrap())
    }

    pub fn cluster(&self) -> Vec<(u64, ClusterEvent)> {
        let mut reader = ClusterReader::open(self.open("cluster.jsonl")).unwrap();
        let mut events = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            if let ClusterLine::Event(seen) = line {
                events.push((seen.at_ns, seen.event));
            }
        }
        assert_eq!((reader.notes().unreadable_count, reader.notes().cut), (0, false));
        events
    }

    pub fn node(&self) -> Vec<NodeEvent> {
        let mut reader = NodeReader::open(self.open("node-1.jsonl")).unwrap();
        let mut events = Vec::new();
        while let Some(numbered) = reader.next_line().unwrap() {
            if let NodeLine::Event(observed) = numbered.line {
                events.push(observed.event);
            }
        }
        assert_eq!((reader.notes().unreadable_count, reader.notes().cut), (0, false));
        events
    }

    pub fn closed(&self) -> Vec<Closed> {
        let mut reader = Reader::new(self.open("run.jsonl")).unwrap();
        let mut closed = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            if let Line::Closed(c) = line {
                closed.push(*c);
            }
        }
        closed
    }

    /// What was chosen for each client's end.
    pub fn chosen(&self) -> HashMap<SocketAddr, SocketAddr> {
        let decided = |event| match event {
            NodeEvent::ProxyDecision(d) => d.chosen.map(|chosen| (d.client, chosen)),
            _ => None,
        };
        self.node().into_iter().filter_map(decided).collect()
    }

    /// Where each pod listened.
    pub fn listened(&self) -> HashMap<String, SocketAddr> {
        let of = |t: serde_json::Value| {
            (t["pod"].as_str().unwrap().to_owned(), t["listen"][0].as_str().unwrap().parse().unwrap())
        };
        self.truth("started").into_iter().map(of).collect()
    }

    /// Connections that ended for that reason, of those that were put on the pod.
    pub fn ended_on(&self, pod: &str, reason: EndReason) -> usize {
        let (chosen, address) = (self.chosen(), self.listened()[pod]);
        let on_pod = |c: &&Closed| c.reason == reason && chosen.get(&c.established.local) == Some(&address);
        self.closed().iter().filter(on_pod).count()
    }

    /// Lines of the truth of that kind.
    pub fn truth(&self, kind: &str) -> Vec<serde_json::Value> {
        self.lines("truth.jsonl").into_iter().filter(|l| l["truth"] == kind).collect()
    }

    /// All lines of a file.
    pub fn lines(&self, name: &str) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.path().join(name)).unwrap();
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }
}

pub fn hang_together() {
    let kept = Kept::new();
    let done = lab(&["--scheduler", "lc", &kept.option()]);
    let files: BTreeSet<String> = names(&kept.path());
    assert_eq!(
        files,
        ["cluster.jsonl", "lab.json", "node-1.jsonl", "run.jsonl", "truth.jsonl"].map(String::from).into()
    );
    let plan: LabPlan = serde_json::from_reader(kept.open("lab.json")).unwrap();
    assert_eq!((plan.scheduler, plan.replicas, plan.conns, plan.seed), (SchedulerKind::Lc, 4, 16, 7));

    let events = kept.cluster();
    assert!(events.windows(2).all(|w| w[0].0 <= w[1].0));
    let mut phases: BTreeMap<String, Vec<PodPhase>> = BTreeMap::new();
    let mut rollout = Vec::new();
    for (_, event) in &events {
        match event {
            ClusterEvent::Pod(change) => phases.entry(change.pod.name.clone()).or_default().push(change.phase),
            ClusterEvent::Rollout(r) => rollout.push(r.phase),
            ClusterEvent::Endpoints(e) => {
                assert!(e.endpoints.iter().all(|e| !(e.ready && e.terminating)));
                assert!(e.endpoints.iter().filter(|e| e.ready).count() <= 5);
            }
            _ => {}
        }
    }
    assert_eq!(rollout, [RolloutPhase::Started, RolloutPhase::Complete]);
    let (_, old) = table(&done.stdout, "Lost");
    let old: BTreeSet<String> = old.into_iter().map(|(pod, _)| pod).collect();
    assert_eq!(phases.len(), 8);
    use PodPhase::{Created, Gone, Ready, Stopped, Terminating};
    for (pod, phases) in phases {
        let whole: &[PodPhase] =
            if old.contains(&pod) { &[Created, Ready, Terminating, Stopped, Gone] } else { &[Created, Ready] };
        assert_eq!(phases, whole, "{pod}");
    }

    let node = kept.node();
    let phase = |wanted| node.iter().filter(|e| matches!(e, NodeEvent::ProxyConn(c) if c.phase == wanted)).count();
    assert_eq!((phase(ProxyConnPhase::Made), phase(ProxyConnPhase::Ended)), (32, 32));
    assert_eq!(kept.truth("term").len(), 4);
    assert!(kept.truth("ended").iter().all(|t| t["code"] == 0 && t["asked"] == true));
}

fn names(folder: &Path) -> BTreeSet<String> {
    std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

pub fn decisions() {
    let kept = Kept::new();
    lab(&["--scheduler", "rr", &kept.option()]);
    let decided = |event: &NodeEvent| match event {
        NodeEvent::ProxyDecision(d) => d.candidates.iter().any(|c| Some(c.address) == d.chosen && c.weight == 1),
        _ => true,
    };
    assert!(kept.node().iter().all(decided), "what was chosen is not among what took connections");
    let (chosen, listened) = (kept.chosen(), kept.listened());
    let closed = kept.closed();
    assert!(closed.iter().filter(|c| c.reason.is_lost()).count() >= 16);
    for c in closed {
        let backend = chosen.get(&c.established.local).unwrap_or_else(|| panic!("no decision: {c:?}"));
        assert_eq!(c.host.as_ref().and_then(|pod| listened.get(pod)), Some(backend), "{c:?}");
    }
}
