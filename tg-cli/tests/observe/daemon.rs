//! The daemon itself: what it needs, what it serves, how it ends.

use crate::faults_support::{eventually, lines_of, run, shell, start, tg, through};
use crate::network::{KINDS, Network, Observer, within, within_file};
use crate::support::{Capability, Suite, cgroups};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

const BPF: &[Capability] = &[Capability::Bpf];

pub fn add(suite: &mut Suite) {
    suite.test("daemon::usage".into(), &[], usage);
    suite.test("daemon::no_rights".into(), &[Capability::Root], no_rights);
    suite.test("daemon::check".into(), BPF, check);
    let root = [BPF, &[Capability::Root]].concat();
    suite.test("daemon::an_ordinary_user".into(), &root, an_ordinary_user);
    let network = [BPF, &[Capability::Nft, Capability::Netns]].concat();
    suite.test("daemon::http".into(), &network, http);
    suite.test("daemon::two_at_once".into(), &network, two_at_once);
    suite.test("daemon::what_was_there_before".into(), &network, what_was_there_before);
    suite.test("daemon::namespaces_come_and_go".into(), &network, namespaces_come_and_go);
    let mount = [&network[..], &[Capability::Root]].concat();
    suite.test("daemon::a_namespace_that_cannot_be_asked".into(), &mount, a_namespace_that_cannot_be_asked);
    suite.test("daemon::only_the_namespaces_asked_for".into(), &network, only_the_namespaces_asked_for);
    suite.test("daemon::root_keeps_few_capabilities".into(), &root, root_keeps_few_capabilities);
    for (name, signal) in [("sigterm", "TERM"), ("sigkill", "KILL")] {
        suite.test(format!("daemon::nothing_stays_attached::{name}"), &network, || nothing_stays_attached(signal));
    }
    let pod = [&network[..], &[Capability::Cgroup, Capability::Root]].concat();
    suite.test("daemon::a_pod_by_its_cgroup".into(), &pod, a_pod_by_its_cgroup);
    suite.test("daemon::run_time".into(), &network, run_time);
}

fn usage() {
    run(&mut tg("observe")).exits(2).tells(&["--vip"]);
    for (line, word) in [
        ("observe --vip service", "192.0.2.1:80"),
        ("observe --vip 192.0.2.1 --interface eth0=tc", "=xdp"),
        ("observe --vip 192.0.2.1 --listen 0.0.0.0:9464", "loopback"),
    ] {
        run(&mut tg(line)).exits(2).tells(&[word]).prints_nothing();
    }
}

const NOBODY: [&str; 5] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];

fn no_rights() {
    run(&mut through(&NOBODY, "observe --vip 192.0.2.1:80")).exits(1).tells(&["cap_bpf", "--check"]);
    run(&mut through(&NOBODY, "observe --check")).exits(1).prints(&[
        "capabilities",
        "CAP_BPF (loading programs)",
        "NEEDED",
    ]);
}

fn check() {
    let about = ["kernel", "BTF", "capabilities", "lockdown", "kprobes", "tracefs", "conntrack", "conntrack events"];
    run(&mut tg("observe --check")).exits(0).prints(&about);
}

/// The capabilities that `--check` names are enough, and most are given up once everything is attached.
fn an_ordinary_user() {
    let said = run(&mut through(&NOBODY, "observe --check")).exits(1);
    let words = said.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let named = words.split("give the binary ").nth(1).and_then(|rest| rest.split("+ep").next()).unwrap();
    let set: Vec<String> = named.split(',').map(|c| format!("+{}", c.trim().trim_start_matches("cap_"))).collect();
    let (inheritable, ambient) = (format!("--inh-caps={}", set.join(",")), format!("--ambient-caps={}", set.join(",")));
    let user = [&NOBODY[..4], &[&*inheritable, &*ambient, "--"]].concat();
    let observer = start(&mut through(&user, "observe --vip 192.0.2.1:80"));
    observer.says("observing");
    let status = std::fs::read_to_string(format!("/proc/{}/status", observer.id())).unwrap();
    let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).unwrap().trim().to_owned();
    // CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_SYS_ADMIN.
    let kept = format!("{:016x}", 1u64 << 12 | 1 << 19 | 1 << 21);
    assert_eq!((field("Uid:").split_whitespace().next(), field("CapEff:")), (Some("65534"), kept.clone()));
    assert_eq!((field("CapPrm:"), field("CapInh:"), field("CapAmb:")), (kept, "0".repeat(16), "0".repeat(16)));
    observer.signal("TERM");
    observer.end().exits(0).keeps_from(&["off: BTF"]);
}

/// Every thread of it gives up what is not needed, from every set: also what an exec could bring back.
fn root_keeps_few_capabilities() {
    let observer = start(&mut tg("observe --vip 192.0.2.1:80 --listen 127.0.0.1:0"));
    observer.says("observing");
    let kept = 1u64 << 12 | 1 << 19 | 1 << 21;
    for task in std::fs::read_dir(format!("/proc/{}/task", observer.id())).unwrap() {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        for (set, most) in [("CapInh:", 0), ("CapPrm:", kept), ("CapEff:", kept), ("CapBnd:", kept), ("CapAmb:", 0)] {
            let has = status.lines().find_map(|l| u64::from_str_radix(l.strip_prefix(set)?.trim(), 16).ok()).unwrap();
            // Where tests themselves run with fewer, it has no more.
            assert_eq!(has & !most, 0, "{set} {has:x} of {status}");
        }
    }
    observer.signal("TERM");
    observer.end().exits(0);
}

/// Numbers after a word in what the kernel tells of a process's open files.
fn in_fdinfo(pid: u32, word: &str) -> Vec<u32> {
    let files = std::fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap();
    let texts = files.filter_map(|f| std::fs::read_to_string(f.ok()?.path()).ok());
    let number = |text: String| text.lines().find_map(|l| l.strip_prefix(word)?.trim().parse().ok());
    texts.filter_map(number).collect()
}

/// However it ends: its programs and links are gone from the kernel, also those on an interface.
fn nothing_stays_attached(signal: &str) {
    let network = Network::new(KINDS[0]);
    let observer = network.observe(&format!("--interface {node}/n0 --interface {node}/n1=xdp", node = network.node()));
    let ids = in_fdinfo(observer.running.id(), "prog_id:");
    let links = in_fdinfo(observer.running.id(), "link_id:");
    assert!(ids.len() >= 8 && links.len() >= 9, "{ids:?} {links:?}");
    let programs = || aya::programs::loaded_programs().filter_map(Result::ok).map(|p| p.id()).collect::<Vec<_>>();
    let loaded = programs();
    assert!(ids.iter().all(|id| loaded.contains(id)), "{ids:?} of {loaded:?}");
    let on_interface = || {
        let shown = Command::new("ip").args(["-n", &network.node(), "-d", "link", "show", "n1"]).output().unwrap();
        String::from_utf8(shown.stdout).unwrap().contains("xdp")
    };
    assert!(on_interface());
    let journal = observer.journal.clone();
    observer.running.signal(signal);
    let done = observer.running.end();
    let lines = lines_of(&std::fs::read(journal).unwrap());
    if signal == "TERM" {
        done.exits(0);
        assert_eq!(lines.last().unwrap()["kind"], "node-footer");
        // It has waited for that: nothing is left to the kernel's leisure.
        assert!(!on_interface());
    } else {
        done.was_killed();
        assert_ne!(lines.last().unwrap()["kind"], "node-footer");
    }
    // The kernel frees a program once nobody can be running it any more.
    eventually("the programs are gone", || programs().iter().all(|id| !ids.contains(id)).then_some(()));
    let left = || aya::programs::loaded_links().filter_map(Result::ok).map(|l| l.id()).any(|id| links.contains(&id));
    eventually("the links are gone", || (!left()).then_some(()));
    assert!(!on_interface());
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
        let there = self.0.display();
        shell(&format!("umount {there} && rm {there}"));
    }
}

/// It is told of once, with the reason, however often it is tried, and until it is gone.
fn a_namespace_that_cannot_be_asked() {
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

/// The kernel measures only where it was asked for.
fn run_time() {
    let network = Network::new(KINDS[0]);
    let observer = network.observe("--listen 127.0.0.1:0 --run-time");
    let place: SocketAddr = observer.running.says("/healthz at http://").parse().unwrap();
    within(&network.client(), || TcpStream::connect(network.vip()).unwrap_err());
    for figure in ["tg_observer_runs_total", "tg_observer_run_seconds_total"] {
        eventually(figure, || {
            let metrics = body(TcpStream::connect(place).unwrap(), "/metrics");
            let value = metrics.lines().find_map(|l| l.strip_prefix(figure)?.strip_prefix("{program=\"send-reset\"} "));
            // Before the first tick it has no figures.
            (value?.parse::<f64>().unwrap() > 0.0).then_some(())
        });
    }
    observer.end();
}

/// A filter that changes while the observer runs: a namespace that is asked for is told of from when it comes, also
/// when another one comes under its name; others are not.
fn only_the_namespaces_asked_for() {
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

fn get(stream: impl Read + Write, path: &str) -> impl BufRead {
    let mut stream = stream;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    BufReader::new(stream)
}

fn body(stream: impl Read + Write, path: &str) -> String {
    let mut all = String::new();
    get(stream, path).read_to_string(&mut all).unwrap();
    assert!(all.starts_with("HTTP/1.0 200"), "{all}");
    all.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// What /events gives from the start is the journal; the others answer.
fn http() {
    let network = Network::new(KINDS[0]);
    let listener = network.listener();
    let observer = network.observe("--listen 127.0.0.1:0");
    let place: SocketAddr = observer.running.says("/healthz at http://").parse().unwrap();
    let connect = || TcpStream::connect(place).unwrap();
    assert_eq!(body(connect(), "/healthz"), "ok\n");
    let status: serde_json::Value = serde_json::from_str(&body(connect(), "/status")).unwrap();
    assert!(status["programs"].as_array().unwrap().iter().any(|p| p["program"] == "send-reset" && p["way"] != "null"));
    assert!(status["capabilities"].as_object().unwrap().values().all(serde_json::Value::is_string));
    let events = get(connect(), "/events?from=0");
    let (mut from_now, lines_before) = (get(connect(), "/events"), status["lines"].as_u64().unwrap());
    // Its head comes once its place in the journal is settled.
    let mut head = String::new();
    while head != "\r\n" {
        head.clear();
        assert_ne!(from_now.read_line(&mut head).unwrap(), 0);
    }
    drop(within(&network.client(), || TcpStream::connect(network.vip()).unwrap()));
    drop(listener.accept().unwrap());
    observer.awaits("the binding is told", |l| l["phase"] == "seen");
    eventually("/metrics counts it", || {
        body(connect(), "/metrics").contains("tg_observer_events_total{program=\"binding\"} 1").then_some(())
    });
    for (path, code) in [("/nowhere", "404"), ("/events?from=x", "400")] {
        let mut line = String::new();
        get(connect(), path).read_line(&mut line).unwrap();
        assert!(line.contains(code), "{path}: {line}");
    }
    let (journal, lines) = (observer.journal.clone(), observer.end());
    let first = from_now.lines().map_while(Result::ok).find(|l| l.starts_with('{')).unwrap();
    let first: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert!(first["seq"].as_u64().unwrap() >= lines_before, "{first}");
    let mut got: Vec<String> = events.lines().map_while(Result::ok).collect();
    let start = got.iter().position(|l| l.starts_with("{\"v\":1,\"seq\":0,")).unwrap();
    got.drain(..start);
    let want = std::fs::read_to_string(journal).unwrap();
    let want: Vec<&str> = want.lines().collect();
    assert!(got.len() > 10 && got.len() <= lines.len(), "{got:#?}");
    assert_eq!(got, want[..got.len()]);
}

/// Two observers of one service tell the same, and a unix socket will do.
fn two_at_once() {
    let network = Network::new(KINDS[0]);
    let socket = tempfile::tempdir().unwrap();
    let path = socket.path().join("tg.sock");
    let observers = [network.observe(&format!("--listen unix:{}", path.display())), network.observe("")];
    // Left by one that was killed: the next takes its place.
    let refused = within(&network.client(), || TcpStream::connect(network.vip()).unwrap_err());
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let node = network.node();
    for observer in &observers {
        observer.awaits("the binding is told", |l| l["phase"] == "seen" && l["netns"]["name"] == *node);
        observer.awaits("the reset is told", |l| l["event"] == "reset-sent");
    }
    assert_eq!(body(UnixStream::connect(&path).unwrap(), "/healthz"), "ok\n");
    let [first, second] = observers;
    first.running.kill().was_killed();
    assert!(path.exists());
    // The other one is not disturbed by that.
    let before = events_of(&second, "reset-sent");
    within(&network.client(), || TcpStream::connect(network.vip()).unwrap_err());
    eventually("the next reset is told", || (events_of(&second, "reset-sent") == before + 1).then_some(()));
    let again = network.observe(&format!("--listen unix:{}", path.display()));
    assert_eq!(body(UnixStream::connect(&path).unwrap(), "/healthz"), "ok\n");
    again.end();
    second.end();
    assert!(!path.exists());
}

fn events_of(observer: &Observer, event: &str) -> usize {
    observer.lines().iter().filter(|l| l["event"] == event).count()
}

/// A connection that an observer finds is told as such, and its end as that of any other.
fn what_was_there_before() {
    let network = Network::new(KINDS[1]);
    let listener = network.listener();
    let client = within(&network.client(), || TcpStream::connect(network.vip()).unwrap());
    let pod = listener.accept().unwrap().0;
    let local = client.local_addr().unwrap();
    let observer = network.observe("");
    let entry = observer.awaits("the snapshot", |l| l["entry"] == "conntrack");
    assert_eq!(
        (&entry["original"]["src"], &entry["netns"]["name"]),
        (&local.to_string().into(), &network.node().into())
    );
    let watched = observer.awaits("the pod is watched", |l| l["kind"] == "node-watched" && l["backend_of"].is_string());
    assert_eq!(watched["address"], network.pod().to_string());
    socket2::SockRef::from(&pod).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(pod);
    let reset = observer.awaits("the reset is told", |l| l["event"] == "reset-sent");
    assert_eq!(
        (&reset["client"]["src"], &reset["netns"]["name"]),
        (&local.to_string().into(), &network.pod_netns().into())
    );
    observer.end();
}

fn namespaces_come_and_go() {
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
