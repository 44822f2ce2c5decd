//! Reports of why connections were lost, from a lab's folder and from journals one by one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../faults_support/mod.rs"]
mod faults_support;

use faults_support::{Done, run, tg};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::LazyLock;
use tempfile::TempDir;

/// A small upgrade, without privileges, by rr: its folder. Made once, for all tests, where the next run of them finds
/// and removes it.
static LAB: LazyLock<PathBuf> = LazyLock::new(|| {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("why-lab");
    let _ = std::fs::remove_dir_all(&dir);
    let times = "--settle 1s --ready 200ms --min-ready 100ms --prestop 150ms";
    run(&mut tg(&format!("lab --replicas 3 --conns 9 {times} --output {}", dir.display()))).exits(0);
    dir
});

fn folder() -> String {
    LAB.to_str().unwrap().to_owned()
}

fn file(name: &str) -> PathBuf {
    LAB.join(name)
}

fn report(options: &str) -> Done {
    run(&mut tg(&format!("report {options}")))
}

fn json(options: &str) -> Value {
    serde_json::from_str(&report(&format!("{options} --format json")).exits(0).stdout).unwrap()
}

/// A copy of the lab's folder that a test may damage.
fn copy() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["run.jsonl", "cluster.jsonl", "node-1.jsonl", "lab.json"] {
        std::fs::copy(file(name), dir.path().join(name)).unwrap();
    }
    dir
}

#[test]
fn a_folder_s_report_begins_with_the_tables_and_says_why_in_80_columns() {
    let text = report(&folder()).exits(0).stdout;
    let place = |words: &str| text.find(words).unwrap_or_else(|| panic!("no {words} in\n{text}"));
    assert!(text.starts_with("Lost connections: "));
    let order =
        ["\nLasting connections: 9\n", "\n9 lost is perfect; ", "\nWhat ended them ", "\nWhat had put them there "];
    let order = order.map(place);
    assert!(order.is_sorted(), "{text}");
    for words in ["\nPods ", "Did the scheduler do what its name says?", "were out at once", "What the cluster did"] {
        place(words);
    }
    place("Evidence lost: none that is known.");
    place("Expected, by simulation");
    let wide = |l: &&str| l.chars().count() > 80 && !l.contains("/why-lab");
    assert_eq!(text.lines().find(wide), None);
}

#[test]
fn as_json_it_is_the_run_s_summary_with_the_verdict_beside() {
    let (whole, alone) = (json(&folder()), json(&file("run.jsonl").display().to_string()));
    for (field, value) in alone.as_object().unwrap() {
        assert_eq!(whole[field], *value, "{field}");
    }
    let totals = &whole["verdict"]["totals"];
    assert_eq!(totals["lost"], whole["lost"]);
    assert_eq!(totals["perfect"], 9);
    assert_eq!(totals["confirmed"], whole["lost"], "{:#}", whole["verdict"]["verdicts"]);
    let verdicts = whole["verdict"]["verdicts"].as_array().unwrap();
    assert_eq!(verdicts.len() as u64, whole["lost"].as_u64().unwrap());
    assert!(verdicts.iter().all(|v| v["decision"]["candidates"].as_array().is_some_and(|c| c.len() >= 3)));
    assert_eq!(whole["verdict"]["conformance"][0]["scheduler"], "rr");
    assert!(whole["expected"]["lost"]["mean"].is_number());
}

#[test]
fn journals_one_by_one_give_the_same_verdict() {
    let [run, node, cluster] = ["run.jsonl", "node-1.jsonl", "cluster.jsonl"].map(|n| file(n).display().to_string());
    let whole = json(&format!("--run {run} --events {node} --cluster {cluster}"));
    assert_eq!(whole["verdict"], json(&folder())["verdict"]);
    let alone = json(&format!("--run {run}"));
    let totals = &alone["verdict"]["totals"];
    assert_eq!((&totals["confirmed"], &totals["suspected"]), (&Value::from(0), &whole["lost"]));
    report(&format!("--run {run}")).exits(0).prints(&["! No node's journal", "! No cluster's journal"]);
}

#[test]
fn one_connection_is_explained_with_its_evidence() {
    let whole = json(&folder());
    let verdicts = whole["verdict"]["verdicts"].as_array().unwrap();
    for v in verdicts {
        let conn = format!("{}.{}", v["conn"]["slot"], v["conn"]["nth"]);
        let words = ["ended by pod-terminated, confirmed", "node-1.jsonl:", "candidates of the decision"];
        report(&format!("{} --explain {conn}", folder())).exits(0).prints(&words);
        assert_eq!(json(&format!("{} --explain {conn}", folder())), *v);
    }
    report(&format!("{} --explain 99.0", folder())).exits(1).tells(&["connection 99.0 was not lost"]);
    report(&format!("{} --explain x", folder())).exits(2).tells(&["SLOT.NTH"]);
    report(&format!("{} --explain 1.0", file("run.jsonl").display())).exits(2).tells(&["needs a lab's folder"]);
}

#[test]
fn two_folders_stand_side_by_side() {
    let both = format!("--compare {} {}", folder(), folder());
    let text = report(&both).exits(0).prints(&["Lost connections ", "Decisions that conform ", "perfect"]).stdout;
    let lost = text.lines().find(|l| l.starts_with("Lost connections ")).unwrap();
    let numbers: Vec<&str> = lost.split_whitespace().skip(2).collect();
    assert_eq!(numbers[0], numbers[1]);
    let sides = json(&both);
    assert_eq!(sides[0]["verdict"], sides[1]["verdict"]);
    report(&format!("--compare {}", folder())).exits(2);
    report(&format!("--compare {} /nowhere", folder())).exits(1).tells(&["/nowhere: No such file"]);
}

#[test]
fn other_forms_of_a_folder_are_its_run_s() {
    let run = file("run.jsonl").display().to_string();
    for form in ["--format ctraffic", "--analyze hosts", "--analyze connections"] {
        let of = |what: &str| report(&format!("{what} {form}")).exits(0).stdout;
        assert_eq!(of(&folder()), of(&run), "{form}");
    }
}

#[test]
fn a_file_in_the_wrong_place_is_told() {
    let [run, node, cluster] = ["run.jsonl", "node-1.jsonl", "cluster.jsonl"].map(|n| file(n).display().to_string());
    report(&format!("--run {node}")).exits(1).tells(&[&node, "is not a run's journal"]);
    report(&format!("--run {run} --events {cluster}")).exits(1).tells(&[&cluster, "is not a node's journal"]);
    report(&format!("--run {run} --cluster {node}")).exits(1).tells(&[&node, "is not a cluster's journal"]);
    report(&format!("--events {node}")).exits(2).tells(&["--run"]);
    report(&format!("{run} --run {run}")).exits(2);
}

#[test]
fn a_journal_that_is_empty_is_left_out() {
    let dir = copy();
    let folder = dir.path().display().to_string();
    for name in ["node-1.jsonl", "cluster.jsonl", "lab.json"] {
        std::fs::write(dir.path().join(name), "").unwrap();
    }
    let done = report(&folder).exits(0).tells(&["node-1.jsonl is empty", "cluster.jsonl is empty"]);
    done.prints(&["! No node's journal", "! No cluster's journal"]);
}

#[test]
fn a_journal_that_was_cut_is_reported_and_its_verdicts_are_lowered() {
    let dir = copy();
    let node = dir.path().join("node-1.jsonl");
    let bytes = std::fs::read(&node).unwrap();
    let header = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    for at in [header, bytes.len() / 3, bytes.len() / 2, bytes.len() - 10] {
        std::fs::write(&node, &bytes[..at]).unwrap();
        let whole = json(&dir.path().display().to_string());
        assert_eq!(whole["verdict"]["totals"]["unattributed"], 0);
        let lost = &whole["verdict"]["evidence_lost"][0];
        assert_eq!(lost["file"], "node-1.jsonl");
        report(&dir.path().display().to_string()).exits(0).prints(&["Evidence lost\n"]);
    }
    // Of a line in the middle the number is missing.
    let half = bytes.len() / 2 + bytes[bytes.len() / 2..].iter().position(|b| *b == b'\n').unwrap() + 1;
    let mut damaged = bytes.clone();
    damaged[half] = b'x';
    std::fs::write(&node, damaged).unwrap();
    let whole = json(&dir.path().display().to_string());
    assert_eq!(whole["verdict"]["evidence_lost"][0]["lost"], 1);
    assert_eq!(whole["verdict"]["inputs"][1]["unreadable_lines"], 1);
}
