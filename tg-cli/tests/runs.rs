//! The binary's runs and servers as processes on loopback: exit codes, signals, what is lost when a
//! server is killed, and what is left when the run is.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Output, Stdio};

fn tg() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tg-cli"))
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&output.stderr)))
}

/// A process whose stderr is read line by line: what it says is what tests wait for.
struct Process {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
}

impl Process {
    fn start(args: &[&str]) -> Process {
        let mut child = tg().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        Process { child, lines }
    }

    /// The next line of stderr for which `wanted` holds.
    fn line(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let mut said = String::new();
        loop {
            let start = said.len();
            assert!(self.lines.read_line(&mut said).unwrap() > 0, "it ended without saying so:\n{said}");
            if wanted(&said[start..]) {
                return said[start..].to_owned();
            }
        }
    }

    /// Waits for a line of `--monitor` with so many active connections.
    fn active(&mut self, n: u64) {
        self.line(|l| l.split_whitespace().nth(1) == Some(&n.to_string()));
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    fn wait(mut self) -> Output {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        self.child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
        self.lines.read_to_end(&mut stderr).unwrap();
        Output { status: self.child.wait().unwrap(), stdout, stderr }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A test that failed leaves nothing running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server on its address, or on a free one of loopback.
fn serve(name: &str, listen: &str) -> (Process, String) {
    let mut server = Process::start(&["serve", "--listen", listen, "--name", name]);
    let said = server.line(|l| l.contains(" listens on "));
    let address = said.trim().rsplit(' ').next().unwrap().to_owned();
    (server, address)
}

/// A port of loopback that refuses: bound, so that nobody else gets it, and not listening.
fn refusing() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

#[test]
fn without_an_address_a_run_has_a_server_of_its_own() {
    for more in [&[][..], &["--family", "ipv4"], &["--family", "ipv4", "--udp"], &["--family", "ipv4", "--closed-loop"]] {
        let args = ["run", "--conns", "4", "--rate", "50", "--duration", "300ms", "--format", "json"];
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
fn connections_of_a_killed_server_are_lost_and_come_back_to_the_next_one() {
    let (mut first, address) = serve("pod-1", "127.0.0.1:0");
    let run = ["run", "--address", &address, "--conns", "4", "--rate", "20", "--until-signal"];
    let mut run = Process::start(&[&run[..], &["--monitor", "--backoff", "10ms..50ms", "--format", "json"]].concat());
    run.active(4);
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    run.active(0);
    let (second, _) = serve("pod-2", &address);
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
    assert_eq!((&json["descriptors"]["conns"], &json["descriptors"]["needed"]), (&50.into(), &132.into()));
    assert!(json["wake_up"]["suggested_spin_ns"].is_u64(), "{json}");
}
