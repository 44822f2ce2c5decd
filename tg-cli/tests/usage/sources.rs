//! `--source`: addresses that cannot be had.

use crate::faults_support::{Journal, run, tg};
use crate::support::Suite;
use std::path::PathBuf;
use tempfile::TempDir;

pub fn add(suite: &mut Suite) {
    suite.test("sources::a_bad_line_by_its_number".into(), &[], a_bad_line_by_its_number);
    suite.test("sources::too_few".into(), &[], too_few);
    suite.test("sources::not_of_this_host".into(), &[], not_of_this_host);
    suite.test("sources::of_the_wrong_family".into(), &[], of_the_wrong_family);
    suite.test("sources::no_file_and_no_prefix".into(), &[], no_file_and_no_prefix);
    suite.test("sources::a_port_that_is_taken".into(), &[], a_port_that_is_taken);
}

fn file(text: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sources");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

fn a_bad_line_by_its_number() {
    for (text, number, shown) in [
        (&b"127.0.0.1\n# ours\n127.0.0.2\n127.0.0.256\n127.0.0.3\n"[..], 4, "`127.0.0.256`"),
        (b"127.0.0.1\r\n\r\nten\r\n", 3, "`ten`"),
        (b"127.0.0.1:70000", 1, "`127.0.0.1:70000`"),
        (b"127.0.0.1\n\x1b[2J\xff\n", 2, "line 2 is `"),
        (b"10.0.0.0/24\n", 1, "`10.0.0.0/24`"),
    ] {
        let (_dir, path) = file(text);
        let path = path.to_str().unwrap();
        // The line is told wherever it is: one source would do for one connection.
        let line = format!("run --conns 1 --duration 50ms --source {path}");
        let done = run(&mut tg(&line)).exits(2).prints_nothing().keeps_from(&["was started", "\x1b"]);
        done.tells(&[path, &format!("line {number} is"), shown, "want ADDRESS, ADDRESS:PORT or [IPV6]:PORT"]);
    }
}

fn too_few() {
    let (_dir, two) = file(b"127.0.0.1\n127.0.0.2\n");
    for source in [two.to_str().unwrap(), "127.0.9.0/30"] {
        let line = format!("run --conns 3 --duration 50ms --source {source}");
        let words = ["2 source addresses for 3 connections", "or fewer connections"];
        run(&mut tg(&line)).exits(2).prints_nothing().tells(&words).keeps_from(&["was started"]);
    }
    for nothing in [&b""[..], b"# none yet\n\n"] {
        let (_dir, path) = file(nothing);
        let line = format!("run --conns 1 --duration 50ms --source {}", path.display());
        let done = run(&mut tg(&line)).exits(2).prints_nothing().keeps_from(&["was started"]);
        done.tells(&[path.to_str().unwrap(), "there is no source in it", "want ADDRESS"]);
    }
}

fn not_of_this_host() {
    let (_dir, path) = file(b"127.0.0.1\n192.0.2.1\n");
    let words = ["source address 192.0.2.1 (the 2. source) is not one of this host", "`ip address add`"];
    for address in ["", "--address 127.0.0.1:9"] {
        let line = format!("run --conns 2 --duration 50ms {address} --source {}", path.display());
        run(&mut tg(&line)).exits(2).prints_nothing().tells(&words);
    }
    let line = "run --conns 1 --duration 50ms --address 127.0.0.1:9 --source 192.0.2.0/24";
    run(&mut tg(line)).exits(2).prints_nothing().tells(&["192.0.2.1 (the 1. source)"]);
}

fn of_the_wrong_family() {
    for line in [
        "--address 127.0.0.1:9 --source ::1/128",
        "--address [::1]:9 --source 127.0.0.1",
        // Known only once the name is resolved.
        "--address localhost:9 --family ipv4 --source ::1/128",
        "--family ipv6 --source 127.0.0.1",
    ] {
        let line = format!("run --conns 1 --duration 50ms {line}");
        run(&mut tg(&line)).exits(2).prints_nothing().tells(&["cannot reach", "one is IPv4, the other IPv6"]);
    }
}

fn no_file_and_no_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().to_str().unwrap();
    for (source, word) in [
        ("10.0.0.0/33", "want a prefix length from 0 to 32"),
        ("10.0.0.0/x", "want a prefix length from 0 to 32"),
        ("::1/129", "want a prefix length from 0 to 128"),
        ("10.0.0", "no prefix: want 10.0.0.0/24"),
        ("/nowhere/sources", "source file /nowhere/sources: No such file"),
        (dir, "Is a directory"),
    ] {
        let line = format!("run --conns 1 --duration 50ms --source {source}");
        run(&mut tg(&line)).exits(2).prints_nothing().tells(&[word]).keeps_from(&["was started"]);
    }
}

/// The port can be had and may be taken by the next attempt: a failed attempt, with its reason.
fn a_port_that_is_taken() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    let (_dir, path) = file(taken.to_string().as_bytes());
    let journal = Journal::new();
    let line = "run --conns 1 --duration 100ms --format json";
    let done = run(&mut tg(&format!("{line} --source {} {}", path.display(), journal.option())));
    let json = done.exits(0).report();
    assert_eq!(json["failed_attempts"]["local_error"], json["failed_attempts"]["total"]);
    let lines = journal.lines();
    let failed = lines.iter().find(|l| l["kind"] == "attempt-failed").unwrap();
    assert_eq!(failed["errno"], libc::EADDRINUSE);
}
