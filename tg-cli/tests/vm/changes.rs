//! What becomes of modules, destinations, connections and conntrack's entries, and what there was before.

use crate::bed::{CLIENT, MODULES, NODE, bed, candidates, ipvsadm, observe, on_node, pods, vips};
use crate::faults_support::shell;
use crate::network::within;
use crate::support::{Capability, Suite};
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpStream, UdpSocket};

const NEEDS: [Capability; 3] = [Capability::Bpf, Capability::Ipvsadm, Capability::Nft];

/// Before there is a module.
pub fn before(suite: &mut Suite) {
    suite.test("changes::modules_come".into(), &NEEDS, modules_come);
}

/// While no connection is near its end.
pub fn of_before(suite: &mut Suite) {
    suite.test("changes::what_was_there_before".into(), &NEEDS, what_was_there_before);
}

pub fn add(suite: &mut Suite) {
    let mut test = |name: &str, body: fn()| suite.test(format!("changes::{name}"), &NEEDS, body);
    test("destinations", destinations);
    test("connections", connections);
    test("tracked", tracked);
    test("a_reset_behind_ipvs", a_reset_behind_ipvs);
    test("nothing_is_lost", nothing_is_lost);
    test("conntrack_s_netlink_comes_later", conntrack_s_netlink_comes_later);
    test("modules_go", modules_go);
}

const PROGRAMS: [&str; 5] = ["binding", "conntrack", "ipvs-decision", "ipvs-conn", "ipvs-dest"];

fn attached(l: &Value, program: &str) -> bool {
    l["kind"] == "node-program" && l["program"] == program && l["way"].is_string()
}

/// The observer is there first, says so, and attaches when they come.
fn modules_come() {
    let bed = bed();
    // To find out whether nft is there has loaded conntrack.
    for program in PROGRAMS.iter().filter(|p| p.starts_with("ipvs")) {
        let is_it = |l: &Value| l["kind"] == "node-program" && l["program"] == **program;
        let status = bed.observer.awaits("what it is attached by", is_it);
        assert!(status["refused"][0].as_str().unwrap().contains("is not loaded"), "{status}");
    }
    shell(&format!("modprobe -a {MODULES}"));
    for scheduler in ["rr", "lc", "wrr", "wlc", "sh", "mh"] {
        let function = format!("ip_vs_{scheduler}_schedule");
        let is_it = |l: &Value| attached(l, "ipvs-decision") && l["way"].as_str().unwrap().contains(&function);
        bed.observer.awaits(&format!("{function} is watched"), is_it);
    }
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    for program in PROGRAMS {
        let status = bed.observer.awaits(program, |l| attached(l, program) && l["times"] == "kernel");
        let uncounted = status["cost"].as_str().is_some_and(|cost| cost.contains("cannot be counted"));
        let kprobe = status["way"].as_str().unwrap().starts_with("kprobe");
        assert_eq!(uncounted, kprobe && release.starts_with("6.1."), "{status} on {release}");
    }
    let [v4, v6] = vips();
    assert!(ipvsadm(v4).is_empty() && ipvsadm(v6).is_empty());
}

/// An observer that is there before conntrack's netlink says so, and asks each namespace again until it answers.
fn conntrack_s_netlink_comes_later() {
    let _bed = bed();
    let modprobe = std::fs::read_to_string("/proc/sys/kernel/modprobe").unwrap();
    // The kernel would load it for whoever asks.
    shell("sysctl -qw kernel.modprobe=/nowhere");
    // Another observer asks now and then, and holds it for as long as that takes.
    shell("for i in $(seq 100); do rmmod nf_conntrack_netlink && exit 0; sleep 0.1; done; exit 1");
    let directory = tempfile::tempdir().unwrap();
    let late = observe(directory.path());
    let of_tables = |l: &Value| l["kind"] == "node-program" && l["program"] == "conntrack-table";
    let off = late.awaits("no table can be asked", of_tables);
    // The guest's own and the three that have a name.
    let refused: Vec<&str> = off["refused"].as_array().unwrap().iter().map(|why| why.as_str().unwrap()).collect();
    assert!(off["way"].is_null() && refused.len() == 1 && refused[0].contains("and 3 more: "), "{off}");
    shell(&format!("sysctl -qw kernel.modprobe={} && modprobe nf_conntrack_netlink", modprobe.trim()));
    late.awaits("all are asked", |l| of_tables(l) && l["way"].is_string() && l["refused"].is_null());
    late.end();
}

/// A module that is unloaded, which needs that nobody holds it, and one that is loaded again.
fn modules_go() {
    let mut bed = bed();
    bed.held.clear();
    on_node("ipvsadm -C");
    shell("rmmod ip_vs_mh");
    let has_mh = |l: &Value| l["way"].as_str().is_some_and(|way| way.contains("ip_vs_mh_schedule"));
    let seen = bed.observer.lines().iter().rposition(has_mh).unwrap();
    let later = |l: &Value| l["seq"].as_u64().unwrap() > seen as u64;
    bed.observer.awaits("it is let go of", |l| later(l) && attached(l, "ipvs-decision") && !has_mh(l));
    shell("modprobe ip_vs_mh");
    bed.observer.awaits("it is watched again", |l| later(l) && attached(l, "ipvs-decision") && has_mh(l));
}

fn destinations() {
    let bed = bed();
    for vip in vips() {
        let [_, _, pod] = pods(vip);
        let other = SocketAddr::new(pod.ip(), 8081);
        let told = |change: &str, weight: i64| {
            let is_it = |l: &Value| {
                l["event"] == "ipvs-dest"
                    && l["change"] == change
                    && l["destination"]["address"] == other.to_string()
                    && l["destination"]["weight"] == weight
            };
            let line = bed.observer.awaits(&format!("{other} {change} with weight {weight}"), is_it);
            assert_eq!(line["service"]["address"], vip.to_string());
            assert_eq!((&line["service"]["scheduler"], &line["netns"]["name"]), (&"mh".into(), &NODE.into()));
        };
        on_node(&format!("ipvsadm -a -t {vip} -r {other} -m -w 7"));
        told("added", 7);
        on_node(&format!("ipvsadm -e -t {vip} -r {other} -m -w 0"));
        told("edited", 0);
        on_node(&format!("ipvsadm -d -t {vip} -r {other}"));
        told("deleted", 0);
        // A destination that was never chosen joined the filter all the same.
        let watched = |l: &Value| l["kind"] == "node-watched" && l["address"] == other.to_string();
        let of = SocketAddr::new(vip.ip(), 0).to_string();
        assert_eq!(bed.observer.awaits("it is watched", watched)["backend_of"], of);
    }
}

/// Made when it is decided, expired once its time is up: a second after a flow's last datagram.
fn connections() {
    let mut bed = bed();
    on_node("ipvsadm --set 0 0 1");
    for vip in vips() {
        let [pod, ..] = pods(vip);
        on_node(&format!("ipvsadm -A -u {vip} -s rr"));
        on_node(&format!("ipvsadm -a -u {vip} -r {pod} -m -w 1"));
        let any = if vip.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let local = within(CLIENT, || {
            let socket = UdpSocket::bind(any).unwrap();
            socket.connect(vip).unwrap();
            socket.send(b"one").unwrap();
            socket.local_addr().unwrap().to_string()
        });
        bed.connected += 1;
        let of = |phase: &'static str| {
            let local = local.clone();
            // A TCP connection may have had the same port.
            let udp = |l: &Value| l["event"] == "ipvs-conn" && l["protocol"] == 17;
            move |l: &Value| udp(l) && l["phase"] == phase && l["client"] == *local
        };
        let made = bed.observer.awaits("it is made", of("made"));
        assert_eq!((&made["service"], &made["destination"]), (&vip.to_string().into(), &pod.to_string().into()));
        assert_eq!(made["netns"]["name"], NODE);
        let expired = bed.observer.awaits("it is expired", of("expired"));
        for field in ["service", "destination", "protocol", "netns"] {
            assert_eq!(expired[field], made[field], "{field}");
        }
        on_node(&format!("ipvsadm -D -u {vip}"));
        let is_it = |l: &Value| {
            l["event"] == "ipvs-dest"
                && l["change"] == "deleted"
                && l["service"]["protocol"] == 17
                && l["service"]["address"] == vip.to_string()
        };
        bed.observer.awaits("its destination went with its service", is_it);
    }
}

/// Conntrack's entries as `conntrack -L` has them, with masquerade, so that the pod sees the node; and their end.
fn tracked() {
    let mut bed = bed();
    shell("ip netns exec node sysctl -qw net.ipv4.vs.conntrack=1");
    let rules = "add table inet tg; add chain inet tg post { type nat hook postrouting priority 100; }; \
                 add rule inet tg post tcp dport 8080 masquerade";
    within(NODE, || shell(&format!("nft '{rules}'")));
    for vip in vips() {
        let (client, pod) = bed.connect(vip);
        let (local, of_pod) = (client.local_addr().unwrap(), [pod.local_addr().unwrap(), pod.peer_addr().unwrap()]);
        let of_pod = of_pod.map(|a| SocketAddr::new(a.ip().to_canonical(), a.port()).to_string());
        assert_ne!(of_pod[1], local.to_string(), "masqueraded");
        let of = |phase: &'static str| {
            let src = local.to_string();
            move |l: &Value| l["event"] == "conntrack" && l["phase"] == phase && l["original"]["src"] == *src
        };
        let reply = json!({ "src": of_pod[0], "dst": of_pod[1] });
        let confirmed = bed.observer.awaits("it is confirmed", of("confirmed"));
        assert_eq!((&confirmed["original"]["dst"], &confirmed["reply"]), (&vip.to_string().into(), &reply));
        assert_eq!((&confirmed["program"], &confirmed["netns"]["name"]), (&"conntrack".into(), &NODE.into()));
        assert_eq!(confirmed["tcp_state"], "syn-sent");
        on_node(&format!("conntrack -D -s {} -p tcp --sport {}", local.ip(), local.port()));
        let destroyed = bed.observer.awaits("it is destroyed", of("destroyed"));
        assert_eq!((&destroyed["reply"], &destroyed["tcp_state"]), (&reply, &"established".into()));
    }
    shell("ip netns exec node nft delete table inet tg; ip netns exec node sysctl -qw net.ipv4.vs.conntrack=0");
}

/// Where only IPVS translates, it is undone all the same.
fn a_reset_behind_ipvs() {
    let mut bed = bed();
    for vip in vips() {
        let (client, pod) = bed.connect(vip);
        let local = client.local_addr().unwrap().to_string();
        socket2::SockRef::from(&pod).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(pod);
        let is_it = |l: &Value| l["event"] == "reset-sent" && l["client"]["src"] == *local;
        let reset = bed.observer.awaits("the reset is told", is_it);
        assert_eq!((&reset["client"]["dst"], &reset["netns"]["name"]), (&vip.to_string().into(), &"pods".into()));
    }
}

/// An observer that comes later tells of what there is.
fn what_was_there_before() {
    let mut bed = bed();
    let [v4, v6] = vips();
    let ends: Vec<(TcpStream, TcpStream)> = vec![bed.connect(v4), bed.connect(v6)];
    let directory = tempfile::tempdir().unwrap();
    let late = observe(directory.path());
    let end = late.awaits("the snapshot", |l| l["entry"] == "ipvs-end" && l["netns"]["name"] == NODE);
    assert_eq!((&end["services"], &end["destinations"], &end["error"]), (&2.into(), &6.into(), &Value::Null));
    let lines = late.lines();
    for (vip, (client, pod)) in [v4, v6].into_iter().zip(&ends) {
        let of = |entry: &'static str| {
            let vip = vip.to_string();
            lines.iter().filter(move |l| l["entry"] == entry && l["service"]["address"] == *vip)
        };
        assert_eq!(of("ipvs-service").count(), 1);
        let all: Vec<Value> = of("ipvs-dest").map(|l| l["destination"].clone()).collect();
        assert_eq!(candidates(&json!({ "candidates": all })), ipvsadm(vip));
        let local = client.local_addr().unwrap().to_string();
        let conn = lines.iter().find(|l| l["entry"] == "ipvs-conn" && l["client"] == *local).unwrap();
        let to = SocketAddr::new(pod.local_addr().unwrap().ip().to_canonical(), 8080).to_string();
        assert_eq!((&conn["service"], &conn["destination"]), (&vip.to_string().into(), &to.into()));
    }
    let listed = on_node("ipvsadm -Lnc").lines().filter(|l| l.starts_with("TCP")).count();
    assert!(end["connections"].as_u64().unwrap() as usize <= listed, "{end}");
    // One that it found: its reset is the client's.
    let (client, pod) = &ends[0];
    let local = client.local_addr().unwrap().to_string();
    socket2::SockRef::from(pod).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(ends);
    late.awaits("the reset is told", |l| l["event"] == "reset-sent" && l["client"]["src"] == *local);
    late.end();
}

/// As many decisions as connections, over all of it.
fn nothing_is_lost() {
    let bed = bed();
    let lines = bed.observer.lines();
    let decisions = lines.iter().filter(|l| l["event"] == "ipvs-decision" && l["chosen"].is_string()).count();
    let made = lines.iter().filter(|l| l["event"] == "ipvs-conn" && l["phase"] == "made").count();
    assert_eq!((decisions, made), (bed.connected, bed.connected));
    assert!(!lines.iter().any(|l| l["kind"] == "node-gap"), "{lines:#?}");
}
