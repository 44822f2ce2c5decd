//! What is lost, by scheduler, family and strategy.

use crate::{lab, start, table};

fn all(pods: &[(String, u64)], number: u64) -> bool {
    pods.len() == 4 && pods.iter().all(|(_, n)| *n == number)
}

pub fn lc() {
    let done = lab(&["--scheduler", "lc"]);
    let (lost, old) = table(&done.stdout, "Lost");
    let (lasting, new) = table(&done.stdout, "Lasting");
    assert_eq!((lost, lasting), (16, 16), "{}", done.stdout);
    assert!(all(&old, 4) && all(&new, 4), "{}", done.stdout);
    assert!(old.iter().all(|(pod, _)| new.iter().all(|(other, _)| set_of(pod) != set_of(other))));
    assert!(done.stdout.contains("16 lost is perfect; 16 were"), "{}", done.stdout);
}

fn set_of(pod: &str) -> &str {
    let (set, name) = pod.rsplit_once('-').unwrap();
    assert!(set.starts_with("mserver-") && name.len() == 5, "{pod}");
    set
}

pub fn rr() {
    let done = lab(&["--scheduler", "rr"]);
    let (lost, _) = table(&done.stdout, "Lost");
    assert!(lost >= 16, "{}", done.stdout);
    assert_eq!(table(&done.stdout, "Lasting").0, 16);
    // The pods in the order in which they were ended, each with its lost connections first.
    let rows = done.stdout.lines().skip_while(|l| !l.starts_with("  of them by pod")).skip(1).take(4);
    let observed: Vec<u64> = rows.map(|l| l.split_whitespace().nth(1).unwrap().parse().unwrap()).collect();
    assert_eq!((observed.len(), observed.iter().sum()), (4, lost), "{}", done.stdout);
    assert_eq!(observed[0], 4, "nothing was sent there a second time");
    assert!(observed[3] > observed[0], "{}", done.stdout);
    assert!(done.stdout.contains("because rr takes each pod in"), "{}", done.stdout);
}

pub fn ipv6() {
    let done = lab(&["--scheduler", "lc", "--family", "6"]);
    assert_eq!((table(&done.stdout, "Lost").0, table(&done.stdout, "Lasting").0), (16, 16), "{}", done.stdout);
}

pub fn both() {
    let done = lab(&["--scheduler", "lc", "--family", "both"]);
    assert_eq!((table(&done.stdout, "Lost").0, table(&done.stdout, "Lasting").0), (16, 16), "{}", done.stdout);
    for family in ["IPv4", "IPv6"] {
        let line = format!("{family}: 8 lost, 8 lasting, 0 failed attempts");
        assert!(done.stdout.contains(&line), "{}", done.stdout);
    }
}

pub fn udp() {
    let done = lab(&["--scheduler", "lc", "--udp", "--response-timeout", "1s"]);
    let (lasting, new) = table(&done.stdout, "Lasting");
    assert_eq!(lasting, 16, "{}", done.stdout);
    assert!(all(&new, 4), "{}", done.stdout);
}

pub fn nodes() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out");
    let done = lab(&["--scheduler", "lc", "--nodes", "2", "--ecmp", "--output", output.to_str().unwrap()]);
    assert_eq!(table(&done.stdout, "Lasting").0, 16, "{}", done.stdout);
    for node in ["node-1", "node-2"] {
        let text = std::fs::read_to_string(output.join(format!("{node}.jsonl"))).unwrap();
        assert!(text.contains("proxy-decision"), "{node} got no traffic");
    }
}

pub fn several_at_once() {
    let done = lab(&["--scheduler", "lc", "--max-surge", "0", "--max-unavailable", "50%"]);
    let (lost, old) = table(&done.stdout, "Lost");
    assert!(lost >= 16 && old.len() >= 4, "{}", done.stdout);
    assert_eq!(table(&done.stdout, "Lasting").0, 16, "{}", done.stdout);
    let done = lab(&["--scheduler", "lc", "--max-surge", "100%"]);
    // All new pods are there before the first old one ends.
    assert_eq!(table(&done.stdout, "Lost").0, 16, "{}", done.stdout);
}

/// As the lab goes on until then, so does what is expected of it.
pub fn last_hook() {
    let done = lab(&["--replicas", "1", "--conns", "2", "--settle", "1s", "--prestop", "2s", "--grace", "1s"]);
    assert_eq!((table(&done.stdout, "Lost").0, table(&done.stdout, "Lasting").0), (2, 2), "{}", done.stdout);
    let expected = done.stdout.lines().find(|l| l.starts_with("Lost connections  ")).unwrap();
    assert_eq!(expected.split_whitespace().skip(2).collect::<Vec<_>>(), ["2", "2.0", "2"], "{}", done.stdout);
    assert!(!done.stdout.contains("is outside of"), "{}", done.stdout);
}

pub fn expectation() {
    let done = start(&["--scheduler", "lc", "--expect", "lost<=15", "--expect", "lasting==16"]).finish().with(3);
    assert_eq!(table(&done.stdout, "Lost").0, 16, "the report is printed all the same");
    assert!(done.stderr.iter().any(|l| l.contains("lost<=15")), "{:?}", done.stderr);
}
