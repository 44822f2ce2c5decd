//! What ends a run or its connections: a server that is killed, signals, the run's own death.

use super::process::{Process, json, serve, text, tg};
use std::fs::File;
use std::net::TcpListener;
use std::process::Command;

#[test]
fn connections_of_a_killed_server_are_lost_and_come_back_to_the_next_one() {
    let (mut first, address) = serve("pod-1", "127.0.0.1:0");
    let run = ["run", "--address", &address, "--conns", "4", "--rate", "20", "--until-signal"];
    let mut run = Process::start(&[&run[..], &["--monitor", "--backoff", "10ms..50ms", "--format", "json"]].concat());
    run.active(4);
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    run.active(0);
    let (second, _) = serve("pod-2", &address);
    // The second time each of them has had a second for an echo.
    run.active(4);
    run.active(4);
    run.signal("TERM");
    let got = run.wait();
    assert_eq!(got.status.code(), Some(0), "{}", text(&got.stderr));
    let json = json(&got);
    // A listener dies a little after its connections: some may get into its queue once more, to a server
    // that never tells its name.
    let unknown = json["hosts"]["lost"]["(unknown)"].as_u64().unwrap_or(0);
    assert_eq!((&json["lost"], &json["reconnects"]), (&(4 + unknown).into(), &(4 + unknown).into()));
    assert_eq!(json["hosts"]["lost"]["pod-1"], 4);
    assert_eq!(json["hosts"]["lasting"], serde_json::json!({ "pod-2": 4 }));
    assert_eq!((&json["outages"]["still_out"], &json["without_connection"]), (&0.into(), &0.into()));
    assert!(json["failed_attempts"]["refused"].as_u64().unwrap() >= 4);
    assert_eq!(
        (&json["ending"], &json["accounting"]["ok"]),
        (&"stopped".into(), &true.into()),
        "{}",
        json["accounting"]
    );
    second.signal("TERM");
    let served = second.wait();
    assert_eq!((served.status.code(), text(&served.stderr)), (Some(0), "pod-2 served 4 connections\n"));
}

#[test]
fn a_killed_run_leaves_a_journal_that_tells_what_was() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("run.jsonl");
    let path = path.to_str().unwrap();
    let args = ["run", "--family", "ipv4", "--conns", "3", "--rate", "20", "--until-signal", "--monitor", "-o", path];
    let mut run = Process::start(&args);
    run.active(3);
    run.active(3);
    run.signal("KILL");
    run.wait();
    let got = tg().args(["report", path, "--format", "json"]).output().unwrap();
    let json = json(&got);
    assert_eq!((&json["ending"], &json["alive_at_cut"]), (&"cut".into(), &3.into()));
    assert_eq!(json["hosts"]["lasting"]["tg-embedded"], 3);
    assert!(json["packets"]["received"].as_u64().unwrap() > 0);
}

#[test]
fn the_second_signal_ends_at_once_what_the_first_one_left_waiting() {
    // The kernel takes connections for a listener that never accepts, and nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let run = ["run", "--address", &address, "--conns", "2", "--until-signal", "--response-timeout", "1h"];
    let mut run = Process::start(&[&run[..], &["--monitor", "--format", "json"]].concat());
    run.active(2);
    run.signal("INT");
    run.line(|l| l.starts_with("Stopping:"));
    run.signal("INT");
    let json = json(&run.wait());
    assert_eq!((&json["ending"], &json["lost"]), (&"aborted".into(), &0.into()));
    assert!(json["packets"]["lost_in_flight"].as_u64().unwrap() >= 2);
}

#[test]
fn a_session_that_is_gone_ends_a_run_in_order() {
    let args = ["run", "--conns", "2", "--rate", "20", "--until-signal", "--monitor", "--format", "json"];
    // The signal may be ignored where the tests run, as by nohup.
    for hup in ["--default-signal=HUP", "--ignore-signal=HUP"] {
        let mut run = Process::of(Command::new("env").arg(hup).arg(env!("CARGO_BIN_EXE_tg-cli")).args(args));
        run.active(2);
        run.signal("HUP");
        if hup.starts_with("--ignore") {
            run.active(2);
            run.active(2);
            run.signal("TERM");
        }
        let got = run.wait();
        assert_eq!(got.status.code(), Some(0), "{}", text(&got.stderr));
        let json = json(&got);
        assert_eq!((&json["ending"], &json["hosts"]["lasting"]["tg-embedded"]), (&"stopped".into(), &2.into()));
    }
}

#[test]
fn a_signal_before_the_run_began_ends_the_process() {
    let files = tempfile::tempdir().unwrap();
    let fifo = files.path().join("sources");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let run = Process::start(&["run", "--source", fifo.to_str().unwrap()]);
    // Opens once the run has opened it for reading, which then waits for lines.
    let writer = File::options().write(true).open(&fifo).unwrap();
    run.signal("TERM");
    drop(writer);
    assert_eq!(run.wait().status.code(), Some(128 + 15));
}
