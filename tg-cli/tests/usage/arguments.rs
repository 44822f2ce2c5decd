//! Options whose values cannot be, or exclude each other.

use crate::faults_support::{Journal, run, tg};
use crate::support::{Capability, Suite};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// A command line at fault, and what has to be told: what is wrong, and what is wanted.
type Row = (&'static str, &'static [&'static str]);

const COUNTS: &[Row] = &[
    ("run --conns 0", &["connections is 0", "want 1 to 1000000"]),
    ("run --conns 1000001", &["connections is 1000001", "want 1 to 1000000"]),
    ("run --conns 4294967295", &["want 1 to 1000000"]),
    ("run --conns 99999999999", &["--conns"]),
    ("run --conns=-1", &["--conns"]),
    ("run --conns 1.5", &["--conns"]),
    ("run --in-flight 0", &["in-flight", "want 1 to 65536"]),
    ("run --in-flight 65537", &["in-flight", "want 1 to 65536"]),
    ("run --conns 1000000 --in-flight 100", &["connections × in-flight", "at most"]),
    ("run --threads 0", &["threads", "want 1 to 80"]),
    ("run --threads 81", &["threads", "want 1 to 80"]),
    ("run --threads 4294967295", &["threads", "want 1 to 80"]),
    ("run --seed=-1", &["--seed"]),
    ("doctor --conns 0", &["connections is 0", "want 1 to 1000000"]),
    ("doctor --threads 0", &["threads"]),
];

const RATES: &[Row] = &[
    ("run --rate 0", &["rate is 0.0 packets/s", "0.001 or more"]),
    ("run --rate=-5", &["rate is -5.0 packets/s", "0.001 or more"]),
    ("run --rate NaN", &["rate is NaN packets/s", "0.001 or more"]),
    ("run --rate inf", &["rate is inf packets/s", "at most 10000000"]),
    ("run --rate 1e300", &["rate is 8e301 packets/s", "at most 10000000"]),
    ("run --rate 1e-300", &["rate is 1e-300 packets/s", "0.001 or more"]),
    ("run --rate fast", &["--rate", "want packets/s, such as 5 or 0.5"]),
    ("run --total-rate 0", &["rate is 0.0", "0.001 or more"]),
    ("run --total-rate NaN", &["rate is NaN"]),
    ("run --total-rate inf", &["rate is inf", "at most 10000000"]),
    ("run --total-rate 1e300", &["rate is 1e300 packets/s", "at most 10000000"]),
    ("run --total-rate=-1", &["rate is", "0.001 or more"]),
    ("run --total-rate fast", &["--total-rate"]),
];

const SIZES: &[Row] = &[
    ("run --size 0", &["packet size is 0", "want 64 to 1048576 bytes"]),
    ("run --size 63", &["packet size is 63", "want 64 to 1048576 bytes"]),
    ("run --size 1048577", &["want 64 to 1048576 bytes"]),
    ("run --size 4294967295", &["want 64 to 1048576 bytes"]),
    ("run --size 1e9", &["--size"]),
    ("run --udp --size 71", &["packet size is 71", "want 72 to 65507 bytes"]),
    ("run --udp --size 65508", &["packet size is 65508", "want 72 to 65507 bytes"]),
];

const TIMES: &[Row] = &[
    ("run --duration 0", &["duration is 0ns", "want 1ms to"]),
    ("run --duration 1ns", &["duration is 1ns", "want 1ms to"]),
    ("run --duration 400d", &["duration is", "want 1ms to"]),
    ("run --duration 1000000d", &["--duration", "too long"]),
    ("run --duration=-1s", &["--duration", "want a number and a unit"]),
    ("run --duration 10", &["--duration", "want a number and a unit"]),
    ("run --duration NaN", &["--duration", "want a number and a unit"]),
    ("run --connect-timeout 0s", &["connect time-out", "want 1ms to 3600s"]),
    ("run --connect-timeout 2h", &["connect time-out", "want 1ms to 3600s"]),
    ("run --response-timeout 0", &["response time-out", "want 1ms to 3600s"]),
    ("run --user-timeout 0", &["user time-out", "want 1ms to 3600s"]),
    ("run --ramp 2h", &["ramp", "3600s"]),
    ("run --spin 1s", &["spin window", "want 0 to 10 ms"]),
    ("run --spin sometimes", &["--spin", "0 or auto"]),
    ("run --backoff 0s", &["back-off"]),
    ("run --backoff 2s..1s", &["shortest back-off is 2s", "to 1s"]),
    ("run --backoff 1s..2h", &["longest back-off", "to 3600s"]),
    ("run --backoff 1s..", &["--backoff", "want a number and a unit"]),
    ("serve --drain wait", &["want close, reset or wait SECONDS"]),
    ("serve --drain wait soon", &["`soon` is no time", "want a number and a unit"]),
];

const ADDRESSES: &[Row] = &[
    ("run --address nowhere", &["no port in `nowhere`", "want ADDRESS:PORT, [IPV6]:PORT or NAME:PORT"]),
    ("run --address :5003", &["want ADDRESS:PORT"]),
    ("run --address ::1:5003", &["want ADDRESS:PORT, [IPV6]:PORT"]),
    ("run --address [::1]", &["no port", "want ADDRESS:PORT"]),
    ("run --address 127.0.0.1:0", &["port 0", "want ADDRESS:PORT"]),
    ("run --address 127.0.0.1:65536", &["no port from 1 to 65535", "want ADDRESS:PORT"]),
    ("run --address http://127.0.0.1:5003", &["neither an address nor a name"]),
    ("run --address [::1]:5003 --family ipv4", &["[::1]:5003 is not IPv4", "give one that is"]),
    ("run --address 127.0.0.1:1 --family ipv6", &["127.0.0.1:1 is not IPv6", "give one that is"]),
    ("run --address [::1]:1 --address 127.0.0.1:1 --family ipv6", &["127.0.0.1:1 is not IPv6"]),
    ("serve --listen nowhere", &["nowhere", "ADDR:PORT"]),
    ("serve --listen 127.0.0.1", &["127.0.0.1", "ADDR:PORT"]),
    ("serve --listen 127.0.0.1:5999 127.0.0.1:5999", &["127.0.0.1:5999", "overlap"]),
    ("serve --listen :5003", &["want ADDRESS:PORT", "[::]:5003"]),
    ("serve --listen 127.0.0.1:5999 [::]:5999", &["overlap", "[::] takes IPv4 too"]),
];

const CONTRADICTIONS: &[Row] = &[
    ("run --rate 5 --total-rate 400", &["--total-rate", "cannot be used with", "--rate"]),
    ("run --duration 5s --until-signal", &["--until-signal", "cannot be used with", "--duration"]),
    ("run --rate max", &["needs the closed loop", "give a rate, or --closed-loop"]),
    ("run --output -", &["stdout has the report", "name a file"]),
    ("run --udp --user-timeout 1s", &["a user time-out is TCP's", "--udp"]),
    ("report x --format json --analyze hosts", &["cannot be used with"]),
    ("report --events n.jsonl run.jsonl", &["--events", "cannot be used with"]),
    ("report --cluster c.jsonl run.jsonl", &["--cluster", "cannot be used with"]),
    ("serve --udp --engine uring", &["UDP needs the epoll engine"]),
    ("serve --drain close 5", &["want close, reset or wait SECONDS"]),
];

const WORDS: &[Row] = &[
    ("", &["Usage: tg-cli"]),
    ("reprot", &["reprot"]),
    ("run --conn 5", &["--conn", "--conns"]),
    ("run extra", &["extra"]),
    ("run --engine kqueue", &["kqueue", "auto, uring, epoll"]),
    ("run --family ipv5", &["ipv5", "any, ipv4, ipv6"]),
    ("run --format xml", &["xml", "text, json, ctraffic"]),
    ("run --resolve never", &["never", "start, each"]),
    ("serve --drain drop", &["drop", "want close, reset or wait SECONDS"]),
    ("serve --engine kqueue", &["kqueue", "epoll, uring"]),
    ("serve --name=", &["name is empty"]),
    ("report", &["FILE"]),
    ("report x --analyze everything", &["everything", "hosts, connections, throughput"]),
    ("completions cmd", &["cmd", "bash"]),
];

const EXPECTATIONS: &[Row] = &[
    ("run --expect lots", &["--expect", "want FIELD OP VALUE, such as lost<=80"]),
    ("run --expect losst<=80", &["no field `losst`", "lost, "]),
    ("run --expect latency.p98_ns<5ms", &["no field `latency.p98_ns`", "latency.p99_ns"]),
    ("run --expect latency<5ms", &["`latency` holds several", "latency.p99_ns"]),
    ("run --expect lost<=many", &["`lost` is a number", "many"]),
    ("run --expect lost<=NaN", &["`lost` is a number"]),
    ("run --expect ending<planned", &["want == or !="]),
    ("run --expect lost<=80 --expect lasst>0", &["no field `lasst`"]),
];

pub fn add(suite: &mut Suite) {
    for rows in [COUNTS, RATES, SIZES, TIMES, ADDRESSES, CONTRADICTIONS, WORDS, EXPECTATIONS] {
        for (line, words) in rows {
            suite.test(format!("arguments::{line}"), &[], || refused(line, words));
        }
    }
    suite.test("arguments::a_name_that_does_not_resolve".into(), &[], a_name_that_does_not_resolve);
    suite.test("arguments::a_name_that_resolves_never".into(), &[], a_name_that_resolves_never);
    suite.test("arguments::a_place_that_no_journal_can_have".into(), &[], a_place_that_no_journal_can_have);
    suite.test("arguments::an_io_uring_that_may_be_had".into(), &[Capability::Uring], an_engine_asked_for_is_taken);
    suite.test("arguments::bytes_that_are_no_text".into(), &[], bytes_that_are_no_text);
    suite.test("arguments::an_expectation_that_fails".into(), &[], an_expectation_that_fails);
}

/// Before anything is done: no server is started, nothing is printed.
fn refused(line: &str, words: &[&str]) {
    let done = run(&mut tg(line)).exits(2).prints_nothing().tells(words).keeps_from(&["was started"]);
    // A line that nobody reads to its end says nothing.
    assert!(done.stderr.lines().all(|l| l.chars().count() < 600), "{done}");
}

/// The resolver's own patience is no matter of this test.
const RESOLVER: (&str, &str) = ("RES_OPTIONS", "timeout:1 attempts:1");

fn a_name_that_does_not_resolve() {
    let mut command = tg("run --address nonexistent.invalid:5003 --duration 100ms");
    let words = ["`nonexistent.invalid:5003`: the name does not resolve", "give another name, or an address"];
    run(command.env(RESOLVER.0, RESOLVER.1)).exits(1).prints_nothing().tells(&words);
}

/// Resolved for each attempt, it is each attempt's failure, and no reason not to run.
fn a_name_that_resolves_never() {
    let journal = Journal::new();
    let line = "run --address nonexistent.invalid:5003 --resolve each --conns 2 --duration 200ms --format json";
    let done = run(tg(&format!("{line} {}", journal.option())).env(RESOLVER.0, RESOLVER.1)).exits(0);
    let json = done.report();
    assert!(json["failed_attempts"]["local_error"].as_u64().unwrap() >= 2, "{done}");
    assert_eq!(json["failed_attempts"]["local_error"], json["failed_attempts"]["total"]);
    assert_eq!((&json["established"], &json["never_connected"]), (&0.into(), &2.into()));
    let lines = journal.lines();
    let failed = lines.iter().find(|l| l["kind"] == "attempt-failed").unwrap();
    assert!(failed["detail"].as_str().unwrap().starts_with("the name does not resolve: "), "{failed}");
}

fn a_place_that_no_journal_can_have() {
    let dir = tempfile::tempdir().unwrap();
    for place in [dir.path().join("missing/run.jsonl"), dir.path().to_path_buf()] {
        let place = place.to_str().unwrap();
        let line = format!("run --conns 1 --duration 100ms --output {place}");
        run(&mut tg(&line)).exits(1).prints_nothing().tells(&["creating the journal", place]);
    }
}

/// A path may be any bytes, all else is text.
fn bytes_that_are_no_text() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(OsStr::from_bytes(b"run\xff\x1b[2J"));
    let done = run(tg("run --conns 1 --duration 50ms --output").arg(&path)).exits(0);
    assert!(!done.stdout.contains('\x1b'), "{done}");
    run(tg("report").arg(&path)).exits(0).prints(&["Lasting connections: 1\n"]);
    run(tg("report").arg(path.with_extension("missing"))).exits(1).keeps_from(&["\x1b"]);
    for option in ["--address", "--rate", "--duration", "--expect", "--source"] {
        let done = run(tg("run").arg(option).arg(OsStr::from_bytes(b"\xff\x1b[2J"))).exits(2).prints_nothing();
        done.keeps_from(&["\x1b"]);
    }
}

fn an_engine_asked_for_is_taken() {
    for engine in ["uring", "epoll"] {
        let line = format!("run --conns 1 --duration 50ms --engine {engine} --format json");
        let json = run(&mut tg(&line)).exits(0).keeps_from(&["note"]).report();
        assert_eq!((&json["engine"], &json["engine_note"]), (&engine.into(), &serde_json::Value::Null));
    }
}

fn an_expectation_that_fails() {
    let line = "run --conns 2 --duration 50ms --expect lost==0 --expect lasting>2 --expect engine==none";
    run(&mut tg(line))
        .exits(3)
        .prints(&["Lost connections: 0\nLasting connections: 2\n"])
        .tells(&["expectation failed: lasting>2: lasting is 2", "expectation failed: engine==none: engine is \""])
        .keeps_from(&["lost==0"]);
}
