//! How such a lab ends, and that nothing of it stays.

use crate::bench::{lines, namespaces, small};
use crate::faults_support::{Running, eventually, start, tg, through};
use crate::nft::NEEDS;
use crate::support::{Capability, Suite};
use crate::support::{alone, together};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

pub fn add(suite: &mut Suite) {
    let tests: [(&str, fn()); 2] = [
        ("one_that_is_interrupted_leaves_nothing", one_that_is_interrupted_leaves_nothing),
        ("what_a_killed_one_left_is_gone_with_the_next_start", what_a_killed_one_left_is_gone),
    ];
    for (name, body) in tests {
        suite.test(format!("ends::{name}"), &NEEDS, alone(body));
    }
    suite.test("ends::two_run_side_by_side_and_see_only_their_own".into(), &NEEDS, together(two_run_side_by_side));
    suite.test("ends::without_rights_it_says_so_first".into(), &[Capability::Root], without_rights_it_says_so_first);
}

struct Under {
    running: Running,
    folder: TempDir,
}

impl Under {
    fn start(options: &str) -> Under {
        let folder = tempfile::tempdir().unwrap();
        let line = small(&format!("--director nft --output {} {options}", folder.path().display()));
        Under { running: start(&mut tg(&line)), folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Once connections are there: the lab's number.
    fn has_traffic(&self) -> u8 {
        eventually("there is traffic", || {
            let text = std::fs::read(self.path("run.jsonl")).ok()?;
            String::from_utf8_lossy(&text).contains("identified").then_some(())
        });
        number(&self.path("cluster.jsonl"))
    }
}

/// No pod of it ends, or comes, by itself.
const FOR_EVER: &str = "--settle 1h";

/// By its service's address, 192.0.2.(number + 1).
fn number(cluster: &Path) -> u8 {
    let header = &lines(cluster)[0];
    let vip = header["services"][0]["vips"][0].as_str().unwrap();
    let last: u8 = vip.strip_prefix("192.0.2.").unwrap().split_once(':').unwrap().0.parse().unwrap();
    last - 1
}

fn one_that_is_interrupted_leaves_nothing() {
    let under = Under::start(FOR_EVER);
    let number = under.has_traffic();
    assert_eq!(namespaces(number).len(), 3 + 4, "client, router, node, pods");
    under.running.signal("INT");
    under.running.end().exits(1).tells(&["broken off"]);
    assert_eq!(namespaces(number), [""; 0]);
}

fn what_a_killed_one_left_is_gone() {
    let under = Under::start(FOR_EVER);
    let number = under.has_traffic();
    let pods = servers(number);
    assert_eq!(pods.len(), 4);
    under.running.kill().was_killed();
    assert_eq!(namespaces(number).len(), 3 + 4);
    eventually("its pods end with it", || servers(number).is_empty().then_some(()));
    let next = Under::start(FOR_EVER);
    // The same number, and only what is its own has it.
    assert_eq!(next.has_traffic(), number);
    assert_eq!(namespaces(number).len(), 3 + 4);
    next.running.signal("INT");
    next.running.end().exits(1);
}

/// Namespaces of pods of this lab in which something runs.
fn servers(number: u8) -> Vec<String> {
    let pods = namespaces(number).into_iter().filter(|name| name.contains("-mserver-"));
    let runs = |name: &String| {
        let told = Command::new("ip").args(["netns", "pids", name]).output().unwrap();
        !told.stdout.is_empty()
    };
    pods.filter(runs).collect()
}

fn two_run_side_by_side() {
    let (a, b) = (Under::start(""), Under::start(""));
    assert_ne!(a.has_traffic(), b.has_traffic());
    for Under { running, folder } in [a, b] {
        running.end().exits(0);
        let vip = format!("192.0.2.{}:", number(&folder.path().join("cluster.jsonl")) + 1);
        let tracked: Vec<_> = lines(&folder.path().join("node-1.jsonl"))
            .into_iter()
            .filter(|l| l["event"] == "conntrack")
            .map(|l| l["original"]["dst"].as_str().unwrap().to_owned())
            .collect();
        assert!(!tracked.is_empty() && tracked.iter().all(|dst| dst.starts_with(&vip)), "{tracked:?}");
    }
}

fn without_rights_it_says_so_first() {
    let without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"];
    let done = start(&mut through(&without, "lab --director nft")).end();
    done.exits(1).tells(&["root (CAP_SYS_ADMIN and CAP_NET_ADMIN)", "sudo"]);
}
