//! The forms in which a roll is told.

use super::roll::{EACH, Rolled, roll, small};
use crate::cli::case::Case;
use crate::cli::process::{Signal, tg};
use serde_json::{Value, json};

/// Two pods, the one killed.
const ENDS: [Signal; 2] = [Signal::TERM, Signal::KILL];

/// The tables by host, as they are to be printed.
fn tables(rolled: &Rolled) -> String {
    let hosts = rolled.hosts();
    let mut text = String::new();
    for (title, key) in [("Lost", "lost"), ("Lasting", "lasting")] {
        let rows = hosts[key].as_object().unwrap();
        let total: u64 = rows.values().filter_map(Value::as_u64).sum();
        text += &format!("{title} connections: {total}\n");
        rows.iter().for_each(|(host, n)| text += &format!("  {host} {n}\n"));
    }
    text
}

pub fn text(case: Case) {
    let rolled = roll(case, &ENDS, &[]);
    let live = &rolled.finished.stdout;
    let tables = tables(&rolled);
    assert!(live.starts_with(&format!("{tables}\nWhy they were lost\n")), "{live}");
    let refused = format!("\nFailed attempts to connect: {} of ", rolled.journal.read().failed().len());
    assert!(live.contains(&refused), "{live}");
    let outages = tg(&["report", rolled.journal.path(), "--format", "json"]).json()["outages"]["count"].clone();
    assert!(live.contains(&format!(" in all, {outages} times\n")), "{live}");
    assert!(live.lines().all(|l| l.chars().count() <= 80 || l.contains("run.jsonl")), "{live}");
    assert_eq!(rolled.finished.code, 0);

    assert_eq!(&tg(&["report", rolled.journal.path()]).stdout, live);
    let analyzed = tg(&["report", rolled.journal.path(), "--analyze", "hosts"]).stdout;
    if rolled.nameless() == 0 {
        assert_eq!(analyzed, tables);
    } else {
        // ctraffic's analyser passes over connections without a host.
        assert!(analyzed.contains(&format!("  pod-1 {EACH}\nLasting connections: ")), "{analyzed}");
    }
}

pub fn ctraffic(case: Case) {
    let rolled = roll(case, &ENDS, &["--format", "ctraffic"]);
    let statistics = rolled.finished.json();
    let story = rolled.journal.read();
    assert_eq!(rolled.finished.code, 0);
    assert_eq!(statistics["FailedConnections"], rolled.lost());
    assert_eq!(statistics["FailedConnects"], story.failed().len());
    let (conns, rate) = (ENDS.len() * EACH, (ENDS.len() * EACH * 20) as f64);
    assert_eq!((&statistics["Connections"], &statistics["PacketSize"]), (&json!(conns), &json!(1024)));
    assert_eq!(statistics["Rate"].as_f64(), Some(rate), "KiB/s over all");
    let entries = statistics["ConnStats"].as_array().unwrap();
    let count = |host: &str, lost: bool| {
        let is_it = |e: &&Value| e["Host"] == host && (e["Err"] != "") == lost;
        entries.iter().filter(is_it).count()
    };
    for pod in ["pod-0", "pod-1"] {
        let new = format!("{pod}-new");
        assert_eq!((count(pod, true), count(pod, false)), (EACH, 0), "{pod}");
        assert_eq!((count(&new, true), count(&new, false)), (0, EACH), "{new}");
    }
    assert_eq!(entries.len(), story.closed().len());
    let sent: u64 = entries.iter().filter_map(|e| e["Sent"].as_u64()).sum();
    assert_eq!(statistics["Sent"], sent);

    // What a script of ctraffic's saved, and the journal, say the same.
    let saved = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(saved.path(), &rolled.finished.stdout).unwrap();
    let saved = saved.path().to_str().unwrap();
    for kind in ["hosts", "connections", "throughput"] {
        let of = |file: &str| tg(&["report", file, "--analyze", kind]).stdout;
        assert_eq!(of(saved), of(rolled.journal.path()), "{kind}");
    }
    assert_eq!(tg(&["report", rolled.journal.path(), "--format", "ctraffic"]).stdout, rolled.finished.stdout);
}

pub fn expectation_holds(case: Case) {
    let at_most = format!("lost<={EACH}");
    let rolled = small(case, &["--format", "json", "--expect", &at_most, "--expect", "hosts.lost.pod-0==3"]);
    assert_eq!(rolled.finished.json()["lost"], json!(EACH));
    assert!(!rolled.finished.stderr.iter().any(|l| l.contains("expectation")), "{:?}", rolled.finished.stderr);
    assert_eq!(rolled.finished.code, 0);
}

pub fn expectation_does_not_hold(case: Case) {
    let fewer = format!("lost<={}", EACH - 1);
    let rolled = small(case, &["--format", "json", "--expect", &fewer, "--expect", "accounting.ok==true"]);
    let said: Vec<_> = rolled.finished.stderr.iter().filter(|l| l.contains("expectation")).collect();
    assert_eq!(said, [&format!("expectation failed: {fewer}: lost is {EACH}")]);
    // The report is there all the same.
    assert_eq!(rolled.finished.json()["lost"], json!(EACH));
    assert_eq!(rolled.finished.code, 3);
}
