//! Each connection has its decision, with what `ipvsadm` said just before it was made.

use crate::bed::{CLIENT, PODS, bed, candidates, inactive, ipvsadm, on_node, pods, vips};
use crate::faults_support::{lines_of, run, start, tg};
use crate::network::within;
use crate::support::{Capability, Suite};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::SocketAddr;

const SCHEDULERS: [&str; 6] = ["rr", "lc", "wrr", "wlc", "sh", "mh"];
/// Connections by each scheduler.
const CONNECTIONS: usize = 5;

pub fn add(suite: &mut Suite) {
    let needs = [Capability::Bpf, Capability::Ipvsadm];
    for vip in vips() {
        let family = if vip.is_ipv4() { "v4" } else { "v6" };
        for scheduler in SCHEDULERS {
            suite.test(format!("decisions::{family}::{scheduler}"), &needs, move || one_by_one(vip, scheduler));
        }
    }
    suite.test("decisions::of_a_run".into(), &needs, of_a_run);
    suite.test("decisions::nothing_to_choose_from".into(), &needs, nothing_to_choose_from);
}

/// The service begins with its first scheduler; its connections stay.
fn one_by_one(vip: SocketAddr, scheduler: &str) {
    let mut bed = bed();
    if scheduler == SCHEDULERS[0] {
        bed.held.clear();
        on_node(&format!("ipvsadm -A -t {vip} -s {scheduler}"));
        for (n, pod) in pods(vip).iter().enumerate() {
            on_node(&format!("ipvsadm -a -t {vip} -r {pod} -m -w {}", n + 1));
        }
    } else {
        on_node(&format!("ipvsadm -E -t {vip} -s {scheduler}"));
    }
    let already: i64 = ipvsadm(vip).values().map(|c| c.2).sum();
    let mut closed = Vec::new();
    for n in 0..CONNECTIONS {
        let before = ipvsadm(vip);
        assert_eq!(before.len(), 3);
        let (client, pod) = bed.connect(vip);
        let local = client.local_addr().unwrap().to_string();
        let is_it = |l: &Value| l["event"] == "ipvs-decision" && l["client"] == *local;
        let decision = bed.observer.awaits("the decision is told", is_it);
        assert_eq!(decision["service"]["address"], vip.to_string());
        assert_eq!(decision["service"]["scheduler"], scheduler);
        assert_eq!(decision["netns"]["name"], "node");
        assert_eq!(decision["chosen"], to_canonical(pod.local_addr().unwrap()));
        assert_eq!((candidates(&decision), &decision["candidates_total"]), (before, &3.into()), "connection {n}");
        if n % 2 == 0 { bed.held.push((client, pod)) } else { closed.push((client, pod)) }
    }
    let count = i64::try_from(closed.len()).unwrap();
    drop(closed);
    inactive(vip, already + count);
}

/// A socket of both families has mapped addresses.
fn to_canonical(address: SocketAddr) -> String {
    SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
}

/// Of a run of tg's own: a decision for each of its connections, and for nothing else.
fn of_a_run() {
    let bed = bed();
    let [vip, _] = vips();
    let vip = SocketAddr::new(vip.ip(), 5003);
    let directory = tempfile::tempdir().unwrap();
    let journal = directory.path().join("node.jsonl");
    let observer = start(&mut tg(&format!("observe --vip {vip} --output {}", journal.display())));
    observer.says("observing");
    let server = within(PODS, || start(&mut tg("serve --listen [::]:5003")));
    server.says("listens on");
    on_node(&format!("ipvsadm -A -t {vip} -s wlc"));
    for pod in pods(vip) {
        on_node(&format!("ipvsadm -a -t {vip} -r {} -m -w 1", SocketAddr::new(pod.ip(), 5003)));
    }
    let output = directory.path().join("run.jsonl");
    let line = format!("run -a {vip} --conns 12 --rate 2 --duration 2s --output {}", output.display());
    within(CLIENT, || run(&mut tg(&line))).exits(0);
    observer.signal("TERM");
    observer.end().exits(0);
    let of = |path, kind: &str, event: Option<&str>, field: &str| -> Vec<String> {
        let lines = lines_of(&std::fs::read(path).unwrap());
        let lines = lines.iter().filter(|l| l["kind"] == kind && event.is_none_or(|e| l["event"] == e));
        lines.map(|l| l[field].as_str().unwrap().to_owned()).collect()
    };
    let connections = of(&output, "established", None, "local");
    let decisions = of(&journal, "node-event", Some("ipvs-decision"), "client");
    assert_eq!((connections.len(), decisions.len()), (12, 12));
    assert_eq!(BTreeSet::from_iter(connections), BTreeSet::from_iter(decisions));
    drop(bed);
}

/// Every weight is 0: a decision that chose nothing, and no connection.
fn nothing_to_choose_from() {
    let bed = bed();
    let [vip, _] = vips();
    for pod in pods(vip) {
        on_node(&format!("ipvsadm -e -t {vip} -r {pod} -m -w 0"));
    }
    let timeout = std::time::Duration::from_millis(300);
    within(CLIENT, || std::net::TcpStream::connect_timeout(&vip, timeout).unwrap_err());
    let is_it = |l: &Value| l["event"] == "ipvs-decision" && l["chosen"].is_null();
    let decision = bed.observer.awaits("the decision is told", is_it);
    assert!(candidates(&decision).values().all(|(weight, ..)| *weight == 0), "{decision}");
    for (n, pod) in pods(vip).iter().enumerate() {
        on_node(&format!("ipvsadm -e -t {vip} -r {pod} -m -w {}", n + 1));
    }
}
