//! In the guest: a client, a node that balances by IPVS and three pods, and an observer of them that was there before
//! the modules were. Changes when what a test needs of them does.

use crate::faults_support::{eventually, shell, start, tg};
use crate::network::{Observer, within};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

pub const CLIENT: &str = "client";
pub const NODE: &str = "node";
pub const PODS: &str = "pods";
/// The pods' and the services' port.
pub const PORT: u16 = 8080;

/// The services' addresses, one of each family.
pub fn vips() -> [SocketAddr; 2] {
    ["192.0.2.9:8080", "[2001:db8::9]:8080"].map(|a| a.parse().unwrap())
}

/// The pods' of the same family: number 1 to 3 have these weights.
pub fn pods(of: SocketAddr) -> [SocketAddr; 3] {
    [1, 2, 3].map(|n| {
        let ip = if of.is_ipv4() { format!("10.9.2.{}", 10 + n) } else { format!("fd00:9:2::{}", 10 + n) };
        SocketAddr::new(ip.parse::<IpAddr>().unwrap(), PORT)
    })
}

pub const MODULES: &str = "ip_vs ip_vs_rr ip_vs_lc ip_vs_wrr ip_vs_wlc ip_vs_sh ip_vs_mh nf_conntrack_netlink";

/// What the tests share.
pub struct Bed {
    pub observer: Observer,
    pub listener: TcpListener,
    /// Connections that are held: what IPVS counts.
    pub held: Vec<(TcpStream, TcpStream)>,
    /// How many connections went through a service so far.
    pub connected: usize,
    _directory: tempfile::TempDir,
}

/// Made by the first test that wants it.
pub fn bed() -> MutexGuard<'static, Bed> {
    static BED: LazyLock<Mutex<Bed>> = LazyLock::new(|| Mutex::new(Bed::new()));
    BED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bed {
    fn new() -> Bed {
        network();
        let directory = tempfile::tempdir().unwrap();
        let observer = observe(directory.path());
        let listener = within(PODS, || TcpListener::bind("[::]:8080").unwrap());
        Bed { observer, listener, held: Vec::new(), connected: 0, _directory: directory }
    }

    /// Connects a client to a service; with the pod's end of it.
    pub fn connect(&mut self, vip: SocketAddr) -> (TcpStream, TcpStream) {
        let client = within(CLIENT, || TcpStream::connect(vip).unwrap());
        self.connected += 1;
        (client, self.listener.accept().unwrap().0)
    }
}

/// An observer of both services, once it is observing.
pub fn observe(directory: &std::path::Path) -> Observer {
    // Every port.
    let [v4, v6] = vips().map(|vip| vip.ip());
    let journal = directory.join("node.jsonl");
    let running = start(&mut tg(&format!("observe --vip {v4} --vip {v6} --output {}", journal.display())));
    running.says("observing");
    Observer { running, journal }
}

fn network() {
    let batch = |netns: &str, lines: &str| {
        let file = std::env::temp_dir().join("batch");
        std::fs::write(&file, lines).unwrap();
        shell(&format!("ip -n {netns} -batch {}", file.display()));
    };
    for name in [CLIENT, NODE, PODS] {
        shell(&format!("ip netns add {name}"));
        batch(name, "link set lo up\n");
    }
    batch(
        NODE,
        "link add n0 type veth peer name c0 netns client\nlink add n1 type veth peer name p0 netns pods\n\
         addr add 10.9.1.1/24 dev n0\naddr add fd00:9:1::1/64 dev n0 nodad\nlink set n0 up\n\
         addr add 10.9.2.1/24 dev n1\naddr add fd00:9:2::1/64 dev n1 nodad\nlink set n1 up\n\
         link add kube-ipvs0 type dummy\nlink set kube-ipvs0 up\n\
         addr add 192.0.2.9/32 dev kube-ipvs0\naddr add 2001:db8::9/128 dev kube-ipvs0 nodad\n",
    );
    let mut pods = String::new();
    for n in 11..=13 {
        pods += &format!("addr add 10.9.2.{n}/24 dev p0\naddr add fd00:9:2::{n}/64 dev p0 nodad\n");
    }
    for (name, link, addresses) in
        [(CLIENT, 1, "addr add 10.9.1.2/24 dev c0\naddr add fd00:9:1::2/64 dev c0 nodad\n"), (PODS, 2, &*pods)]
    {
        let device = if link == 1 { "c0" } else { "p0" };
        batch(
            name,
            &format!(
                "{addresses}link set {device} up\nroute add default via 10.9.{link}.1\n\
                 route add default via fd00:9:{link}::1\n"
            ),
        );
    }
    shell(&format!("ip netns exec {NODE} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"));
}

/// Runs a command in the node.
pub fn on_node(line: &str) -> String {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    let output = within(NODE, || command.output().unwrap());
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A destination's weight, active and inactive connections.
pub type Counts = (i64, i64, i64);

/// What `ipvsadm -Ln` says of a service's destinations.
pub fn ipvsadm(vip: SocketAddr) -> BTreeMap<String, Counts> {
    let text = on_node("ipvsadm -Ln");
    let mut mine = false;
    let mut table = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["TCP", address, ..] => mine = **address == *vip.to_string(),
            ["->", address, "Masq", weight, active, inactive] if mine => {
                let [weight, active, inactive] = [weight, active, inactive].map(|n| n.parse().unwrap());
                table.insert((*address).to_owned(), (weight, active, inactive));
            }
            _ => {}
        }
    }
    table
}

/// The same of a decision's candidates.
pub fn candidates(decision: &Value) -> BTreeMap<String, Counts> {
    let number = |c: &Value, name: &str| c[name].as_i64().unwrap();
    let candidates = decision["candidates"].as_array().unwrap().iter();
    let counts = |c| (number(c, "weight"), number(c, "active"), number(c, "inactive"));
    candidates.map(|c| (c["address"].as_str().unwrap().to_owned(), counts(c))).collect()
}

/// Waits until IPVS has so many inactive connections to a service: those that were closed.
pub fn inactive(vip: SocketAddr, count: i64) {
    eventually(format_args!("{count} connections to {vip} are inactive"), || {
        (ipvsadm(vip).values().map(|c| c.2).sum::<i64>() == count).then_some(())
    });
}
