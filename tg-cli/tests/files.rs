//! The binary on files: what it prints, on which stream, and its exit code. Needs no network.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tg_model::counts::Counts;
use tg_model::histogram::Histogram;
use tg_model::id::{ConnId, SlotId};
use tg_model::journal::{Closed, Ending, Established, Footer, Header, Line, Sample, SlotTotals, Totals, encode_line};
use tg_model::outcome::EndReason;
use tg_model::plan::{Plan, PlanSpec, Target};

fn tg(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tg-cli")).args(args).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tg-model/tests/fixtures/ctraffic").join(name)
}

fn header() -> Header {
    let spec = PlanSpec { conns: 1, ..PlanSpec::new(["[::1]:5003".parse::<Target>().unwrap()]) };
    Header {
        tg_version: "0.1.0".into(),
        command: Vec::new(),
        plan: Plan::try_from(spec).unwrap(),
        period_ns: Some(200_000_000),
        engine: "epoll".into(),
        engine_note: None,
        nap_ns: 0,
        spin_ns: 0,
        machine: "m".into(),
        kernel: "k".into(),
        boot_id: "b".into(),
        monotonic_ns: 1,
        realtime_ns: 1_795_399_522_770_350_151,
    }
}

fn established(nth: u64) -> Established {
    Established {
        conn: ConnId { slot: SlotId(0), nth },
        first_attempt_ns: nth * 1_000_000_000,
        attempt_ns: nth * 1_000_000_000,
        established_ns: nth * 1_000_000_000 + 5,
        failed_attempts: 0,
        local: "[::1]:40000".parse().unwrap(),
        remote: "[::1]:5003".parse().unwrap(),
    }
}

fn closed(nth: u64, reason: EndReason, counts: Counts) -> Line {
    Line::Closed(Box::new(Closed {
        established: established(nth),
        ended_ns: (nth + 1) * 1_000_000_000,
        reason,
        errno: None,
        detail: None,
        detection_ns: 0,
        host: Some(format!("pod-{nth}")),
        identity: None,
        counts,
        tcp: None,
    }))
}

/// The lines of a run of one slot: a connection lost, its replacement lasting.
fn journal() -> Vec<Vec<u8>> {
    let mut latency = Histogram::default();
    (0..4).for_each(|_| latency.record(100_000));
    let encoded = latency.encode();
    let counts = Counts { intended: 2, sent: 2, received: 2, ..Counts::default() };
    let mut both = counts;
    both.add(&counts);
    let totals = Totals { attempts: 2, failed_attempts: 0, established: 2, lost: 1, counts: both };
    let lines = [
        Line::Header(Box::new(header())),
        Line::Established(established(0)),
        closed(0, EndReason::ClosedByPeer, counts),
        Line::Established(established(1)),
        closed(1, EndReason::Completed, counts),
        Line::Sample(Box::new(Sample {
            at_ns: 2_000_000_000,
            since_ns: 0,
            realtime_ns: 0,
            active: 1,
            connecting: 0,
            totals,
            latency: encoded.clone(),
            service_time: encoded.clone(),
            lateness: encoded,
        })),
        Line::Slot(SlotTotals { slot: SlotId(0), totals }),
        Line::Footer(Footer {
            ending: Ending::Planned,
            error: None,
            zero_ns: Some(0),
            stopped_ns: 2_000_000_000,
            ended_ns: 2_000_000_000,
            totals,
            records_lost: 0,
            cpu_ns: 0,
        }),
    ];
    let encode = |line: &Line| {
        let mut text = Vec::new();
        encode_line(line, &mut text);
        text
    };
    lines.iter().map(encode).collect()
}

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

#[test]
fn a_journal_is_reported_in_every_form() {
    let files = Files::new();
    let path = files.write("run.jsonl", &journal().concat());
    let text = tg(&["report", &path]);
    assert_eq!((text.status.code(), stderr(&text)), (Some(0), ""));
    assert!(stdout(&text).starts_with("Lost connections: 1\n  pod-0 1\nLasting connections: 1\n  pod-1 1\n"));
    let json = tg(&["report", &path, "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["lost"], &json["accounting"]["ok"]), (&1.into(), &true.into()));
    let ctraffic = tg(&["report", &path, "--format", "ctraffic"]);
    let path = files.write("ctraffic.json", &ctraffic.stdout);
    let hosts = tg(&["report", &path, "--analyze", "hosts"]);
    assert_eq!(stdout(&hosts), "Lost connections: 1\n  pod-0 1\nLasting connections: 1\n  pod-1 1\n");
}

#[test]
fn ctraffics_file_is_analysed_byte_for_byte() {
    let file = fixture("lossy.json");
    for kind in ["hosts", "connections", "throughput"] {
        let got = tg(&["report", file.to_str().unwrap(), "--analyze", kind]);
        let want = std::fs::read_to_string(fixture(&format!("lossy.{kind}.txt"))).unwrap();
        assert_eq!((got.status.code(), stdout(&got)), (Some(0), want.as_str()), "{kind}");
    }
    let again = tg(&["report", file.to_str().unwrap(), "--format", "ctraffic"]);
    assert!(again.stdout == std::fs::read(&file).unwrap());
}

#[test]
fn several_files_come_each_with_its_name_and_a_bad_one_does_not_hide_the_others() {
    let files = Files::new();
    let good = files.write("good", &journal().concat());
    let empty = files.write("empty", b"");
    let missing = files.0.path().join("missing").to_str().unwrap().to_owned();
    let got = tg(&["report", &good, &empty, &missing, &good]);
    assert_eq!(got.status.code(), Some(1));
    assert_eq!(stdout(&got).matches("Lost connections: 1\n").count(), 2);
    assert!(stdout(&got).starts_with(&format!("== {good}\nLost")));
    assert!(stderr(&got).contains(&format!("error: {empty}: the journal is empty")), "{}", stderr(&got));
    assert!(stderr(&got).contains(&format!("error: {missing}: No such file")), "{}", stderr(&got));
    let json = tg(&["report", &good, &good, "--format", "json"]);
    let objects: Vec<serde_json::Value> =
        serde_json::Deserializer::from_slice(&json.stdout).into_iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(objects.iter().map(|o| &o["file"]).collect::<Vec<_>>(), [&good, &good]);
}

#[test]
fn a_cut_or_damaged_journal_is_shown_with_a_note() {
    let files = Files::new();
    let whole = journal().concat();
    let cut = files.write("cut", &whole[..whole.len() - 20]);
    let got = tg(&["report", &cut]);
    assert_eq!(got.status.code(), Some(0));
    assert!(stdout(&got).starts_with("! The journal has no end"), "{}", stdout(&got));
    assert!(stdout(&got).contains("\nLost connections: 1\n"), "{}", stdout(&got));
    assert!(stderr(&got).contains("cut: the run was killed"), "{}", stderr(&got));

    let mut lines = journal();
    lines.insert(3, b"garb\x1b[2Jage\n".to_vec());
    let damaged = files.write("damaged", &lines.concat());
    let got = tg(&["report", &damaged, "--format", "json"]);
    assert_eq!(got.status.code(), Some(0));
    assert!(stderr(&got).contains("1 line of it cannot be read:\n  line 4: "), "{}", stderr(&got));
    assert!(!stderr(&got).contains('\x1b'));
    let json: serde_json::Value = serde_json::from_slice(&got.stdout).unwrap();
    assert_eq!(json["journal"]["unreadable_lines"], 1);
}

#[test]
fn a_journal_of_a_newer_version_is_refused_with_what_to_do() {
    let files = Files::new();
    let newer = String::from_utf8(journal().concat()).unwrap().replace("{\"v\":1,", "{\"v\":2,");
    let path = files.write("newer", newer.as_bytes());
    let got = tg(&["report", &path]);
    assert_eq!(got.status.code(), Some(1));
    assert!(stderr(&got).contains("use that version or later"), "{}", stderr(&got));
}

#[test]
fn a_reader_who_leaves_is_no_error_and_a_full_disk_is_one() {
    let files = Files::new();
    let path = files.write("run.jsonl", &journal().concat());
    // The pipe's other end is closed before anything is written.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let tg = || Command::new(env!("CARGO_BIN_EXE_tg-cli"));
    for args in [&["report", &path][..], &["--help"], &["completions", "bash"], &["report", &path, "--format", "json"]]
    {
        let got = tg().args(args).stdout(writer.try_clone().unwrap()).stderr(Stdio::piped()).output().unwrap();
        assert_eq!((got.status.code(), stderr(&got)), (Some(0), ""), "{args:?}");
    }
    let full = File::options().write(true).open("/dev/full").unwrap();
    let got = tg().args(["report", &path]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(got.status.code(), Some(1));
    assert!(stderr(&got).contains("error: writing to stdout: No space left"), "{}", stderr(&got));
}

#[test]
fn stdin_is_a_file_too() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tg-cli"))
        .args(["report", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&journal().concat()).unwrap();
    let got = child.wait_with_output().unwrap();
    assert!(stdout(&got).starts_with("Lost connections: 1\n"));
}

#[test]
fn a_command_line_at_fault_ends_with_2_before_anything_is_done() {
    for (args, word) in [
        (&["run", "--expect", "losst<=80"][..], "no field `losst`"),
        (&["run", "--conns", "0"], "connections"),
        (&["run", "--source", "/nowhere"], "source file /nowhere"),
        (&["run", "--address", "localhost"], "want ADDRESS:PORT"),
        (&["serve", "--drain", "drop"], "want close, reset or wait SECONDS"),
        (&["doctor", "--conns", "0"], "connections"),
        (&["report"], "FILE"),
        (&["report", "x", "--format", "json", "--analyze", "hosts"], "cannot be used with"),
        (&["reprot"], "reprot"),
    ] {
        let got = tg(args);
        assert_eq!(got.status.code(), Some(2), "{args:?}: {}", stderr(&got));
        assert!(stderr(&got).contains(word), "{args:?}: {}", stderr(&got));
        assert_eq!(stdout(&got), "", "{args:?}");
    }
}
