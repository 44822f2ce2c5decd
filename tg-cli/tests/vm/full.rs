//! Conntrack's table really full: what is told of it against what the kernel counts, and what clients meet. In a
//! guest, whose limit is its own.

use crate::faults_support::{Journal, eventually, run, start, tg};
use crate::network::{Kind, Network, Observer, tuple, within};
use crate::support::{Capability, Suite};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

pub fn add(suite: &mut Suite) {
    let needs = [Capability::Bpf, Capability::Nft, Capability::Netns];
    suite.test("full::attempts_of_sockets".into(), &needs, attempts_of_sockets);
    suite.test("full::attempts_of_a_run".into(), &needs, attempts_of_a_run);
}

const KIND: Kind = Kind { v6: false, masquerade: false };
const ENTRIES: usize = 20;
const ATTEMPTS: usize = 6;
const LIMIT: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

/// A node whose table is full until this is dropped.
struct Full {
    /// Every namespace's limit as it was.
    before: String,
    /// Seen in both directions: the kernel gives up none of their entries for another.
    _held: Vec<(TcpStream, TcpStream)>,
}

impl Full {
    /// Of connections to another port of the pod than the service's.
    fn new(network: &Network) -> Full {
        let pod = SocketAddr::new(network.pod().ip(), 9999);
        let listener = within(&network.pod_netns(), || TcpListener::bind(pod).unwrap());
        let connect = || (within(&network.client(), || TcpStream::connect(pod).unwrap()), listener.accept().unwrap().0);
        let held = (0..ENTRIES).map(|_| connect()).collect();
        assert_eq!(of_node(network, "sysctl -n net.netfilter.nf_conntrack_count").trim(), ENTRIES.to_string());
        let before = std::fs::read_to_string(LIMIT).unwrap();
        std::fs::write(LIMIT, ENTRIES.to_string()).unwrap();
        Full { before, _held: held }
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        // What does not get it back fails in the tests that follow.
        let _ = std::fs::write(LIMIT, &self.before);
    }
}

/// What a command prints in the node.
fn of_node(network: &Network, line: &str) -> String {
    let output = Command::new("ip").args(["netns", "exec", &network.node()]).args(line.split(' ')).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Packets that the kernel had no entry for: a line for each processor, a column for each counter.
fn dropped_by_kernel(network: &Network) -> u64 {
    let text = of_node(network, "cat /proc/net/stat/nf_conntrack");
    let mut lines = text.lines().map(|l| l.split_whitespace());
    let at = lines.next().unwrap().position(|counter| counter == "drop").unwrap();
    lines.map(|mut l| u64::from_str_radix(l.nth(at).unwrap(), 16).unwrap()).sum()
}

/// What was told of the node's table.
fn tables<'a>(network: &Network, lines: &'a [Value]) -> impl Iterator<Item = &'a Value> {
    let node = network.node();
    lines.iter().filter(move |l| l["event"] == "conntrack-table" && l["netns"]["name"] == node)
}

fn dropped(network: &Network, lines: &[Value]) -> u64 {
    tables(network, lines).map(|l| l["dropped"].as_u64().unwrap()).sum()
}

fn drops(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|l| l["event"] == "drop").collect()
}

/// Waits until as much was told as the kernel has counted by now, both ways. Each look found a full table.
fn told(network: &Network, observer: &Observer) -> Vec<Value> {
    let count = dropped_by_kernel(network);
    let is_whole = |lines: &Vec<Value>| dropped(network, lines) >= count && drops(lines).len() as u64 >= count;
    let lines = eventually(format_args!("{count} packets are told of"), || Some(observer.lines()).filter(is_whole));
    for table in tables(network, &lines) {
        assert_eq!((&table["entries"], &table["max"]), (&ENTRIES.into(), &ENTRIES.into()), "{table}");
        assert_eq!((&table["insert_failed"], &table["early_dropped"]), (&0.into(), &0.into()), "{table}");
    }
    lines
}

/// A client tries in vain: its end.
fn in_vain(network: &Network) -> SocketAddr {
    within(&network.client(), || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(network.address(1, 2), 0).into()).unwrap();
        let refused = socket.connect_timeout(&network.vip().into(), Duration::from_millis(300)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::TimedOut);
        socket.local_addr().unwrap().as_socket().unwrap()
    })
}

fn attempts_of_sockets() {
    let network = Network::new(KIND);
    let (listener, observer) = (network.listener(), network.observe(""));
    let full = Full::new(&network);
    assert_eq!(dropped_by_kernel(&network), 0);
    let tried: Vec<SocketAddr> = (0..3).map(|_| in_vain(&network)).collect();
    assert!(dropped_by_kernel(&network) >= 3);
    let log = Command::new("dmesg").output().unwrap().stdout;
    assert!(String::from_utf8_lossy(&log).contains("nf_conntrack: table full, dropping packet"));
    let lines = told(&network, &observer);
    let count = dropped_by_kernel(&network);
    assert_eq!(dropped(&network, &lines), count, "{lines:#?}");
    let drops = drops(&lines);
    assert_eq!(drops.len() as u64, count, "{drops:#?}");
    let is_right = |d: &&Value| d["netns"]["name"] == network.node() && d["reason"] == "NETFILTER_DROP";
    assert!(drops.iter().all(is_right), "{drops:#?}");
    for client in tried {
        let syn = tuple(client, network.vip());
        assert!(drops.iter().any(|d| d["tuple"] == syn), "{syn}: {drops:#?}");
    }
    drop(full);
    let connected = within(&network.client(), || TcpStream::connect(network.vip()).unwrap());
    assert_eq!(listener.accept().unwrap().1, connected.local_addr().unwrap());
    assert_eq!(dropped_by_kernel(&network), count);
    assert!(!observer.end().iter().any(|l| l["kind"] == "node-gap"));
}

/// They fail while the table is full, and are reported so; only the cluster tells that no rule dropped them.
fn attempts_of_a_run() {
    let network = Network::new(KIND);
    let server = within(&network.pod_netns(), || start(&mut tg(&format!("serve --listen {}", network.pod()))));
    server.says("listens on");
    let observer = network.observe("");
    let full = Full::new(&network);
    let journal = Journal::new();
    // One connection: whose a dropped packet is can be told.
    let options = "-c 1 --until-signal --response-timeout 60s --connect-timeout 200ms --backoff 100ms..100ms";
    let line = format!("run -a {} {options} {}", network.vip(), journal.option());
    let traffic = within(&network.client(), || start(&mut tg(&line)));
    journal.awaits(ATTEMPTS, "attempt-failed");
    let failed = journal.lines().iter().filter(|l| l["kind"] == "attempt-failed").count();
    told(&network, &observer);
    drop(full);
    journal.awaits(1, "established");
    traffic.signal("INT");
    traffic.end().exits(0);
    let (node, run) = (observer.journal.clone(), journal.path());
    let cluster = run.with_file_name("cluster.jsonl");
    std::fs::write(&cluster, of_cluster(&network, &observer.end()[0])).unwrap();

    let files = format!("--run {} --events {}", run.display(), node.display());
    let alone = findings(&files);
    let whole = findings(&format!("{files} --cluster {}", cluster.display()));
    assert!(alone[..failed].iter().chain(&whole[..failed]).all(|f| f["cause"] == "conntrack-full"), "{whole:#?}");
    assert!(alone[..failed].iter().all(|f| f["grade"] == "suspected"), "{alone:#?}");
    // Where the observer looked at the table about then, the next look, without a drop, may have begun before this one.
    let (confirmed, others): (Vec<_>, Vec<_>) = whole[..failed].iter().partition(|f| f["grade"] == "confirmed");
    let border = json!(["whether the table had room at that moment is not told"]);
    assert!(!confirmed.is_empty() && others.iter().all(|f| f["missing"] == border), "{whole:#?}");
}

/// What is said of attempts that failed, in their order.
fn findings(files: &str) -> Vec<Value> {
    let report = run(&mut tg(&format!("report {files} --format json"))).exits(0).json();
    let troubles = report["verdict"]["troubles"].as_array().unwrap().iter();
    troubles.filter(|t| t["kind"] == "failed-attempt").map(|t| t["finding"].clone()).collect()
}

/// What a cluster tells where a node leads to the pods of all: the observer's machine watched it.
fn of_cluster(network: &Network, node: &Value) -> String {
    let mut header = json!({ "v": 1, "kind": "cluster-header", "command": [], "source": "kubernetes" });
    for field in ["tg_version", "machine", "boot_id", "monotonic_ns", "realtime_ns"] {
        header[field] = node[field].clone();
    }
    header["services"] = json!([{ "name": "pod", "vips": [network.vip()], "external_traffic": "cluster" }]);
    let footer = json!({ "v": 1, "kind": "cluster-footer", "ended_ns": u64::MAX / 4 });
    format!("{header}\n{footer}\n")
}
