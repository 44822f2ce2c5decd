//! What a run prints, where, and its exit code; and what it refuses to begin.

use super::process::{json, refusing, text, tg};
use std::fs::File;
use std::process::{Command, Stdio};

#[test]
fn without_an_address_a_run_has_a_server_of_its_own() {
    for more in [&[][..], &["--family", "ipv4"], &["--family", "ipv4", "--udp"], &["--family", "ipv4", "--closed-loop"]]
    {
        // Longer than a starved machine sends nothing.
        let args = ["run", "--conns", "4", "--rate", "15", "--duration", "1s", "--format", "json"];
        let got = tg().args(args).args(more).output().unwrap();
        assert_eq!(got.status.code(), Some(0), "{more:?}: {}", text(&got.stderr));
        assert!(text(&got.stderr).contains("a server was started on "), "{}", text(&got.stderr));
        let json = json(&got);
        assert_eq!((&json["lost"], &json["lasting"]), (&0.into(), &4.into()), "{more:?}");
        assert_eq!(json["packets"]["intended"], 60, "{more:?}");
        assert_eq!(json["hosts"]["lasting"]["tg-embedded"], 4, "{more:?}");
        assert_eq!(json["accounting"]["ok"], true, "{more:?}: {}", json["accounting"]);
    }
}

#[test]
fn an_expectation_that_fails_ends_with_3_after_the_report() {
    let args = ["run", "--family", "ipv4", "--conns", "2", "--duration", "100ms", "--expect", "lasting==2"];
    let got = tg().args(args).args(["--expect", "lasting<2", "--expect", "hosts.lost.pod-1>=1"]).output().unwrap();
    assert_eq!(got.status.code(), Some(3));
    assert!(text(&got.stdout).starts_with("Lost connections: 0\nLasting connections: 2\n"));
    let said: Vec<&str> = text(&got.stderr).lines().filter(|l| l.starts_with("expectation")).collect();
    assert_eq!(
        said,
        [
            "expectation failed: lasting<2: lasting is 2",
            "expectation failed: hosts.lost.pod-1>=1: hosts.lost.pod-1 is 0"
        ]
    );
}

#[test]
fn a_server_that_refuses_is_told_in_the_report() {
    let (_socket, address) = refusing();
    let got =
        tg().args(["run", "--address", &address.to_string(), "--conns", "2", "--duration", "100ms"]).output().unwrap();
    assert_eq!(got.status.code(), Some(0), "{}", text(&got.stderr));
    let report = text(&got.stdout);
    assert!(report.starts_with("Lost connections: 0\nLasting connections: 0\n\nFailed attempts to connect: "));
    assert!(report.contains("  refused "), "{report}");
    assert!(report.contains("2 of 2 places, 2 of them at any time"), "{report}");
    assert!(report.contains("tg-cli serve"), "{report}");
}

#[test]
fn too_few_descriptors_are_refused_before_the_first_attempt() {
    let (_socket, address) = refusing();
    for address in [&["--address", &address.to_string()][..], &[]] {
        let got = Command::new("sh")
            .args(["-c", "ulimit -n 100 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_tg-cli"), "run", "--conns", "200"])
            .args(address)
            .output()
            .unwrap();
        assert_eq!((got.status.code(), text(&got.stdout)), (Some(2), ""), "{address:?}");
        let said = text(&got.stderr);
        assert!(said.contains("100 may be had") && said.contains("ulimit -n "), "{said}");
    }
}

#[test]
fn sources_of_another_host_are_refused_by_address() {
    let got =
        tg().args(["run", "--address", "127.0.0.1:9", "--source", "192.0.2.0/24", "--conns", "2"]).output().unwrap();
    assert_eq!(got.status.code(), Some(2), "{}", text(&got.stderr));
    assert!(text(&got.stderr).contains("192.0.2.1"), "{}", text(&got.stderr));
}

#[test]
fn one_source_a_connection() {
    let files = tempfile::tempdir().unwrap();
    let journal = files.path().join("run.jsonl");
    let args = ["run", "--source", "127.0.7.0/24", "--conns", "3", "--duration", "50ms", "-o"];
    let got = tg().args(args).arg(&journal).output().unwrap();
    assert_eq!(got.status.code(), Some(0), "{}", text(&got.stderr));
    let journal = std::fs::read_to_string(journal).unwrap();
    for source in ["127.0.7.1:", "127.0.7.2:", "127.0.7.3:"] {
        assert!(journal.contains(&format!("\"local\":\"{source}")), "{source}");
    }
}

#[test]
fn a_full_disk_under_the_journal_or_the_report_loses_neither_the_other() {
    let run = ["run", "--family", "ipv4", "--conns", "2", "--duration", "100ms"];
    let got = tg().args(run).args(["--output", "/dev/full"]).output().unwrap();
    assert_eq!(got.status.code(), Some(1));
    assert!(text(&got.stdout).starts_with("Lost connections: 0\nLasting connections: 2\n"), "{}", text(&got.stdout));
    assert!(text(&got.stderr).contains("error: writing the journal /dev/full: "), "{}", text(&got.stderr));

    let files = tempfile::tempdir().unwrap();
    let journal = files.path().join("run.jsonl");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let got = tg().args(run).arg("--output").arg(&journal).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(got.status.code(), Some(1));
    assert!(text(&got.stderr).contains("error: writing to stdout: "), "{}", text(&got.stderr));
    let report = tg().arg("report").arg(&journal).output().unwrap();
    assert!(text(&report.stdout).starts_with("Lost connections: 0\nLasting connections: 2\n"));

    let got = tg().args(run).args(["--output", "/nowhere/run.jsonl"]).output().unwrap();
    assert_eq!(got.status.code(), Some(1));
    assert!(text(&got.stderr).contains("/nowhere/run.jsonl"), "{}", text(&got.stderr));
}

#[test]
fn what_ctraffics_scripts_read() {
    let run = ["run", "--family", "ipv4", "--conns", "2", "--duration", "100ms", "--format", "ctraffic"];
    let json = json(&tg().args(run).output().unwrap());
    assert_eq!((&json["FailedConnections"], &json["FailedConnects"]), (&0.into(), &0.into()));
    assert_eq!(json["ConnStats"].as_array().unwrap().len(), 2);
}

#[test]
fn doctor_tells_what_a_plan_needs() {
    let got = tg().args(["doctor", "--conns", "50", "--format", "json"]).output().unwrap();
    assert_eq!(got.status.code(), Some(0), "{}", text(&got.stderr));
    let json = json(&got);
    assert_eq!((&json["descriptors"]["conns"], &json["descriptors"]["needed"]), (&50.into(), &82.into()));
    assert!(json["wake_up"]["suggested_spin_ns"].is_u64(), "{json}");
}
