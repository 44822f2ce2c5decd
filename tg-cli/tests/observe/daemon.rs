//! The daemon itself: what it needs, what it serves, how it ends.

use crate::faults_support::{eventually, lines_of, run, start, tg, through};
use crate::network::{KINDS, Network, Observer, within};
use crate::support::{Capability, Suite};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
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
    suite.test("daemon::root_keeps_few_capabilities".into(), &root, root_keeps_few_capabilities);
    for (name, signal) in [("sigterm", "TERM"), ("sigkill", "KILL")] {
        suite.test(format!("daemon::nothing_stays_attached::{name}"), &network, || nothing_stays_attached(signal));
    }
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

fn get(stream: impl Read + Write, path: &str) -> impl BufRead {
    let mut stream = stream;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    BufReader::new(stream)
}

pub fn body(stream: impl Read + Write, path: &str) -> String {
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
