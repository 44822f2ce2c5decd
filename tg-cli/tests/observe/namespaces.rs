//! Namespaces: which are known, asked, filtered by, and whose they are.

use crate::daemon::body;
use crate::faults_support::{eventually, shell, start};
use crate::network::{KINDS, Network, within, within_file};
use crate::support::{Capability, Suite, cgroups};
use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

const NEEDS: &[Capability] = &[Capability::Bpf, Capability::Nft, Capability::Netns];

pub fn add(suite: &mut Suite) {
    suite.test("namespaces::come_and_go".into(), NEEDS, come_and_go);
    suite.test("namespaces::only_those_asked_for".into(), NEEDS, only_those_asked_for);
    let mount = [NEEDS, &[Capability::Root]].concat();
    suite.test("namespaces::one_that_cannot_be_asked".into(), &mount, one_that_cannot_be_asked);
    let pod = [NEEDS, &[Capability::Cgroup, Capability::Root]].concat();
    suite.test("namespaces::a_pod_by_its_cgroup".into(), &pod, a_pod_by_its_cgroup);
}

fn come_and_go() {
    let network = Network::new(KINDS[0]);
    let observer = network.observe("");
    let name = format!("{}-late", network.node());
    shell(&format!("ip netns add {name}"));
    let of = |l: &serde_json::Value, gone: bool| {
        l["kind"] == "node-namespace" && l["netns"]["name"] == *name && l["gone"] == gone
    };
    observer.awaits("it is known", |l| of(l, false));
    shell(&format!("ip netns del {name}"));
    observer.awaits("it is gone", |l| of(l, true));
    observer.end();
}

/// A filter that changes while the observer runs: a namespace that is asked for is told of from when it comes, also
/// when another one comes under its name; others are not.
fn only_those_asked_for() {
    let network = Network::new(KINDS[0]);
    let name = format!("{}-late", network.node());
    let observer = network.observe(&format!("--netns {name}"));
    let refused = |netns: &str| drop(within(netns, || TcpStream::connect(network.vip()).unwrap_err()));
    let (mut inodes, mut kept) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        shell(&format!("ip netns add {name} && ip -n {name} link set lo up"));
        shell(&format!("ip -n {name} addr add {}/32 dev lo", network.vip().ip()));
        let known = |l: &serde_json::Value| {
            let inode = &l["netns"]["inode"];
            let new = l["kind"] == "node-namespace" && l["netns"]["name"] == *name && l["gone"] == false;
            (new && !inodes.contains(inode)).then(|| inode.clone())
        };
        let inode = eventually("it is known", || observer.lines().iter().find_map(known));
        refused(&network.client());
        refused(&name);
        observer.awaits("its reset is told", |l| l["event"] == "reset-sent" && l["netns"]["inode"] == inode);
        inodes.push(inode);
        // What has no name any more stays, and so does its number: the next has another.
        kept.push(File::open(Path::new("/run/netns").join(&name)).unwrap());
        shell(&format!("ip netns del {name}"));
    }
    let lines = observer.end();
    let told = |l: &&serde_json::Value| ["reset-sent", "reset-received", "tcp-state"].iter().any(|e| l["event"] == **e);
    assert!(lines.iter().filter(told).all(|l| inodes.contains(&l["netns"]["inode"])), "{lines:#?}");
}

/// A cgroup, gone with the test.
struct Cgroup(PathBuf);

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The kernel empties it once its process has ended.
        eventually("the cgroup is empty", || std::fs::remove_dir(&self.0).is_ok().then_some(()));
        let _ = std::fs::remove_dir(self.0.parent().unwrap());
    }
}

/// A namespace without a name has its pod's, by the cgroup of a process in it.
fn a_pod_by_its_cgroup() {
    let network = Network::new(KINDS[0]);
    let number = format!("{:012x}", std::process::id());
    let (uid, container) = (format!("0b5a3f5e-9f6c-4a55-9a0c-{number}"), format!("{number:0>64}"));
    let slice = cgroups().unwrap().join(format!("kubepods-besteffort-pod{}.slice", uid.replace('-', "_")));
    let cgroup = Cgroup(slice.join(format!("cri-containerd-{container}.scope")));
    std::fs::create_dir_all(&cgroup.0).unwrap();
    let observer = network.observe("");
    let vip = network.vip().ip();
    let script = format!("ip link set lo up && ip addr add {vip}/32 dev lo && echo ready >&2 && exec sleep 1000");
    let process = start(Command::new("unshare").args(["-n", "sh", "-c", &script]));
    process.says("ready");
    std::fs::write(cgroup.0.join("cgroup.procs"), process.id().to_string()).unwrap();
    let netns = PathBuf::from(format!("/proc/{}/ns/net", process.id()));
    let refused = || drop(within_file(&netns, || TcpStream::connect(network.vip()).unwrap_err()));
    // Nobody has looked for it before something happened in it.
    refused();
    let known = observer.awaits("the pod is known", |l| l["kind"] == "node-namespace" && l["pod_uid"] == uid);
    assert_eq!((&known["container"], &known["netns"]["name"]), (&container.into(), &format!("pod {uid}").into()));
    refused();
    let name = &known["netns"]["name"];
    observer.awaits("the pod's reset is told", |l| l["event"] == "reset-sent" && l["netns"]["name"] == *name);
    observer.end();
    process.kill().was_killed();
}

/// A name in /run/netns of what is no network, gone with the test.
struct NoNetwork(PathBuf);

impl NoNetwork {
    fn new(name: &str) -> NoNetwork {
        let file = Path::new("/run/netns").join(name);
        let there = file.display();
        shell(&format!("touch {there} && unshare -u sh -c 'mount --bind /proc/self/ns/uts {there}'"));
        NoNetwork(file)
    }
}

impl Drop for NoNetwork {
    fn drop(&mut self) {
        // Lazily: an observer may just have it open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = std::fs::remove_file(&self.0);
    }
}

/// It is told of once, with the reason, however often it is tried, and until it is gone.
fn one_that_cannot_be_asked() {
    let network = Network::new(KINDS[0]);
    let observer = network.observe("--listen 127.0.0.1:0");
    let place: SocketAddr = observer.running.says("/healthz at http://").parse().unwrap();
    let [name, late] = ["none", "late"].map(|what| format!("{}-{what}", network.node()));
    let of_tables = |l: &serde_json::Value| l["program"] == "conntrack-table" && l["way"].is_string();
    let of_it = |l: &serde_json::Value| {
        let refused = l["refused"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
        of_tables(l) && refused.into_iter().any(|why| why.contains(&*name) && why.contains("Invalid argument"))
    };
    let in_status = |is_it: &dyn Fn(&serde_json::Value) -> bool| {
        let status: serde_json::Value =
            serde_json::from_str(&body(TcpStream::connect(place).unwrap(), "/status")).unwrap();
        status["programs"].as_array().unwrap().iter().any(is_it)
    };
    assert!(in_status(&of_tables) && !in_status(&of_it));
    let it = NoNetwork::new(&name);
    let told = observer.awaits("it is told of", of_it);
    assert!(told["cost"].is_string(), "{told}");
    eventually("/status has it", || in_status(&of_it).then_some(()));
    shell(&format!("ip netns add {late}"));
    observer.awaits("looks go on", |l| l["netns"]["name"] == *late && l["gone"] == false);
    shell(&format!("ip netns del {late}"));
    observer.awaits("and on", |l| l["netns"]["name"] == *late && l["gone"] == true);
    drop(it);
    let over = |l: &serde_json::Value| of_tables(l) && !of_it(l) && l["seq"].as_u64() > told["seq"].as_u64();
    observer.awaits("it is over", over);
    eventually("/status has it no more", || (!in_status(&of_it)).then_some(()));
    assert_eq!(observer.end().iter().filter(|l| of_it(l)).count(), 1);
}
