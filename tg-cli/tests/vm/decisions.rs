//! Each connection has its decision, with what `ipvsadm` said just before it was made.

use crate::bed::{CLIENT, PODS, bed, candidates, inactive, ipvsadm, on_node, pods, vips};
use crate::faults_support::{lines_of, run, start, tg};
use crate::network::within;
use crate::support::{Capability, Suite};
use serde_json::Value;
use std::net::{Shutdown, SocketAddr};

const SCHEDULERS: [&str; 6] = ["rr", "lc", "wrr", "wlc", "sh", "mh"];
/// Nothing is overdue here, however starved the guest is.
const PATIENT: &str = "--response-timeout 60s --connect-timeout 60s";
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
        // What is closed on one side stays inactive for longer than all of this takes.
        on_node("ipvsadm --set 0 3600 0");
        on_node(&format!("ipvsadm -A -t {vip} -s {scheduler}"));
        for (n, pod) in pods(vip).iter().enumerate() {
            on_node(&format!("ipvsadm -a -t {vip} -r {pod} -m -w {}", n + 1));
        }
    } else {
        on_node(&format!("ipvsadm -E -t {vip} -s {scheduler}"));
    }
    let already: i64 = ipvsadm(vip).values().map(|c| c.2).sum();
    let mut closed = 0;
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
        if n % 2 == 1 {
            client.shutdown(Shutdown::Write).unwrap();
            closed += 1;
        }
        bed.held.push((client, pod));
        inactive(vip, already + closed);
    }
}

/// A socket of both families has mapped addresses.
fn to_canonical(address: SocketAddr) -> String {
    SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
}

/// Of a run of tg's own: a decision for each of its connections, and for nothing else.
fn of_a_run() {
    let mut bed = bed();
    let [vip, _] = vips();
    let vip = SocketAddr::new(vip.ip(), 5003);
    let server = within(PODS, || start(&mut tg("serve --listen [::]:5003")));
    server.says("listens on");
    on_node(&format!("ipvsadm -A -t {vip} -s wlc"));
    for pod in pods(vip) {
        on_node(&format!("ipvsadm -a -t {vip} -r {} -m -w 1", SocketAddr::new(pod.ip(), 5003)));
    }
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("run.jsonl");
    let line = format!("run -a {vip} --conns 12 --rate 2 --duration 2s {PATIENT} --output {}", output.display());
    within(CLIENT, || run(&mut tg(&line))).exits(0);
    on_node(&format!("ipvsadm -D -t {vip}"));
    let is_it = |l: &Value| l["change"] == "deleted" && l["service"]["address"] == vip.to_string();
    bed.observer.awaits("what came before is told, too", is_it);
    let told = bed.observer.lines();
    let decisions = told.iter().filter(|l| l["event"] == "ipvs-decision");
    let decisions = decisions.filter(|l| l["service"]["address"] == vip.to_string()).map(|l| &l["client"]);
    let lines = lines_of(&std::fs::read(&output).unwrap());
    let connections: Vec<&Value> = lines.iter().filter(|l| l["kind"] == "established").map(|l| &l["local"]).collect();
    bed.connected += connections.len();
    assert_eq!(connections.len(), 12);
    let sorted = |mut all: Vec<&Value>| {
        all.sort_by_key(|a| a.as_str().map(str::to_owned));
        all.into_iter().cloned().collect::<Vec<Value>>()
    };
    assert_eq!(sorted(decisions.collect()), sorted(connections));
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
