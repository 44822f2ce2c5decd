//! A small lab and the files that it leaves. Changes when what a test asks of them does.

use crate::faults_support::{Done, lines_of, run, tg};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Four pods and 16 connections, with short waits, but time enough for an echo on each connection before the upgrade
/// and after it: it tells the pod. A starved machine's slow echoes are no loss.
const SMALL: [(&str, &str); 7] = [
    ("--replicas", "4"),
    ("--conns", "16"),
    ("--settle", "2s"),
    ("--ready", "300ms"),
    ("--min-ready", "100ms"),
    ("--prestop", "300ms"),
    ("--response-timeout", "30s"),
];

/// The command line of a small lab with these options, some of them in place of its own.
pub fn small(options: &str) -> String {
    let given: Vec<&str> = options.split_whitespace().collect();
    let own = SMALL.iter().filter(|(option, _)| !given.contains(option));
    let own: String = own.map(|(option, value)| format!("{option} {value} ")).collect();
    format!("lab {own}{options}")
}

/// The lab that has ended, and its folder.
pub struct Lab {
    pub done: Done,
    folder: tempfile::TempDir,
}

impl Lab {
    /// Runs a small lab to its end, with these options too.
    pub fn run(options: &str) -> Lab {
        let folder = tempfile::tempdir().unwrap();
        let line = small(&format!("{options} --output {}", folder.path().display()));
        let done = run(&mut tg(&line)).exits(0);
        Lab { done, folder }
    }

    pub fn file(&self, name: &str) -> Vec<Value> {
        lines(&self.folder.path().join(name))
    }

    /// Connections that were lost, as the run's journal has them.
    pub fn lost(&self) -> Vec<Value> {
        let is_lost = |l: &Value| l["kind"] == "closed" && l["reason"] != "completed";
        self.file("run.jsonl").into_iter().filter(is_lost).collect()
    }

    /// What is said of each lost connection.
    pub fn verdicts(&self) -> Vec<Value> {
        let report = run(&mut tg(&format!("report {} --format json", self.folder.path().display()))).exits(0);
        let report: Value = serde_json::from_str(&report.stdout).unwrap();
        report["verdict"]["verdicts"].as_array().unwrap().clone()
    }

    /// The client's end of every connection that was established, with the pod that answered there.
    pub fn connections(&self) -> BTreeMap<String, String> {
        let run = self.file("run.jsonl");
        let of = |kind: &'static str| run.iter().filter(move |l| l["kind"] == kind);
        let pods: BTreeMap<String, &Value> = of("identified").map(|l| (l["conn"].to_string(), &l["host"])).collect();
        let end = |l: &Value| l["local"].as_str().unwrap().to_owned();
        of("established").map(|l| (end(l), pods[&l["conn"].to_string()].as_str().unwrap().to_owned())).collect()
    }

    /// The pod at each address that a pod had.
    pub fn pods(&self) -> BTreeMap<String, String> {
        let mut pods = BTreeMap::new();
        for line in self.file("cluster.jsonl") {
            for address in line["pod"]["addresses"].as_array().into_iter().flatten() {
                let name = line["pod"]["name"].as_str().unwrap().to_owned();
                pods.insert(address.as_str().unwrap().to_owned(), name);
            }
        }
        pods
    }

    /// The pods whose entries conntrack on a node destroyed, with how many; each was asked to end before.
    pub fn destroyed(&self, node: u8) -> BTreeMap<String, usize> {
        let (pods, mut asked) = (self.pods(), BTreeMap::new());
        // A journal's times are from its header's on.
        let cluster = self.file("cluster.jsonl");
        let start = |lines: &[Value]| lines[0]["monotonic_ns"].as_u64().unwrap();
        for line in cluster.iter().filter(|l| l["event"] == "pod" && l["phase"] == "terminating") {
            let at = start(&cluster) + line["at_ns"].as_u64().unwrap();
            asked.insert(line["pod"]["name"].as_str().unwrap().to_owned(), at);
        }
        let events = self.file(&format!("node-{node}.jsonl"));
        let mut destroyed = BTreeMap::new();
        for event in events.iter().filter(|l| l["event"] == "conntrack" && l["phase"] == "destroyed") {
            let at = start(&events) + event["at_ns"].as_u64().unwrap();
            let from: std::net::SocketAddr = event["reply"]["src"].as_str().unwrap().parse().unwrap();
            let pod = &pods[&from.ip().to_string()];
            assert!(asked.get(pod).is_some_and(|asked| *asked <= at), "{pod} does not end: {event}");
            *destroyed.entry(pod.clone()).or_default() += 1;
        }
        destroyed
    }

    /// What conntrack made of the service's connections on a node: the client's end, and the pod that it chose.
    pub fn tracked(&self, node: u8) -> BTreeMap<String, String> {
        let pods = self.pods();
        let vips = self.file("cluster.jsonl")[0]["services"][0]["vips"].as_array().unwrap().clone();
        let mut tracked = BTreeMap::new();
        for event in self.file(&format!("node-{node}.jsonl")) {
            let to = event["original"]["dst"].as_str().unwrap_or_default();
            if event["event"] == "conntrack" && event["phase"] == "confirmed" && vips.iter().any(|vip| vip == to) {
                let pod: std::net::SocketAddr = event["reply"]["src"].as_str().unwrap().parse().unwrap();
                let client = event["original"]["src"].as_str().unwrap().to_owned();
                tracked.insert(client, pods[&pod.ip().to_string()].clone());
            }
        }
        tracked
    }
}

/// A journal's whole lines.
pub fn lines(path: &Path) -> Vec<Value> {
    lines_of(&std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

/// Namespaces of the lab of this number.
pub fn namespaces(number: u8) -> Vec<String> {
    let names = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let names = names.map(|e| e.file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(&format!("tg-lab-{number}-"))).collect()
}
