//! io_uring refused by a seccomp filter: `auto` goes on without it and says so, `uring` fails.
//!
//! The sysctl that refuses it (`kernel.io_uring_disabled`) holds for the whole host and in no namespace
//! of its own: no test may touch it. It gives EPERM, as the first of these filters does.

use crate::faults_support::{Done, run, tg};
use crate::standin::server::{Counts, Options, Server};
use crate::support::Suite;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;

const REFUSALS: [(&str, i32, &str); 2] =
    [("eperm", libc::EPERM, "Operation not permitted"), ("enosys", libc::ENOSYS, "Function not implemented")];

pub fn add(suite: &mut Suite) {
    for (name, errno, words) in REFUSALS {
        suite.test(format!("ring::auto_goes_on::{name}"), &[], move || auto_goes_on(errno, words));
        suite.test(format!("ring::uring_fails::{name}"), &[], move || uring_fails(errno, words));
        suite.test(format!("ring::a_server_of_it_fails::{name}"), &[], move || a_server_of_it_fails(errno, words));
        suite.test(format!("ring::doctor_tells_why::{name}"), &[], move || doctor_tells_why(errno, words));
    }
}

/// Everything is allowed but to set up a ring.
fn filter(errno: i32) -> BpfProgram {
    let errno = SeccompAction::Errno(u32::try_from(errno).unwrap());
    let rules = BTreeMap::from([(libc::SYS_io_uring_setup, Vec::new())]);
    let arch = std::env::consts::ARCH.try_into().unwrap();
    SeccompFilter::new(rules, SeccompAction::Allow, errno, arch).unwrap().try_into().unwrap()
}

/// Runs the binary where setting up a ring gives `errno`.
#[allow(unsafe_code, reason = "a filter can be put on the child alone between fork and exec only")]
fn without_ring(errno: i32, line: &str) -> Done {
    let filter = filter(errno);
    let mut command = tg(line);
    // SAFETY: between fork and exec only what is safe after a fork may be called. `apply_filter` is two
    // system calls on a program that was made before; it takes no lock, and allocates only for an error.
    unsafe {
        command.pre_exec(move || seccompiler::apply_filter(&filter).map_err(std::io::Error::other));
    }
    run(&mut command)
}

fn auto_goes_on(errno: i32, why: &str) {
    let line = "run --conns 4 --rate 50 --duration 200ms";
    let note = format!("io_uring cannot be used here: io_uring: setup: {why}");
    for engine in ["", "--engine auto"] {
        let done = without_ring(errno, &format!("{line} {engine} --format json")).exits(0);
        let done = done.tells(&[&format!("note: engine epoll: {note}")]);
        assert_eq!(done.stderr.matches("io_uring cannot be used").count(), 1, "said once: {done}");
        let json = done.report();
        assert_eq!(json["engine"], "epoll");
        assert!(json["engine_note"].as_str().unwrap().starts_with(&note), "{json}");
        assert_eq!((&json["lost"], &json["lasting"], &json["packets"]["intended"]), (&0.into(), &4.into(), &40.into()));
    }
    let text = without_ring(errno, line).exits(0);
    let unbroken = text.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(unbroken.contains(&format!("engine epoll ({note}")), "{text}");
    // Who asks for epoll misses nothing.
    let json = without_ring(errno, &format!("{line} --engine epoll --format json")).exits(0).keeps_from(&["io_uring"]);
    assert!(json.report()["engine_note"].is_null());
}

fn uring_fails(errno: i32, why: &str) {
    let server = Server::start(Options::new("pod-1", "127.0.0.1:0".parse().unwrap())).unwrap();
    let line = format!("run --address {} --conns 4 --duration 200ms --engine uring", server.addr());
    let done = without_ring(errno, &line).exits(1).prints_nothing();
    done.tells(&["error: engine uring: io_uring: setup: ", why, "--engine auto takes the best one"]);
    assert_eq!(server.counts(), Counts::default());
}

fn a_server_of_it_fails(errno: i32, why: &str) {
    let done = without_ring(errno, "serve --listen 127.0.0.1:0 --engine uring").exits(1);
    done.tells(&["io_uring cannot be used here: ", why, "--engine epoll"]).keeps_from(&["listens on"]);
}

fn doctor_tells_why(errno: i32, why: &str) {
    let done = without_ring(errno, "doctor").exits(0);
    assert!(done.stdout.lines().all(|l| l.chars().count() <= 80), "{done}");
    done.prints(&["io_uring       cannot be used here", "epoll          may be used", "with", "epoll", "seccomp"]);
    let json = without_ring(errno, "doctor --format json").exits(0).json();
    assert_eq!((&json["engine"], &json["wake_up"]["engine"]), (&"epoll".into(), &"epoll".into()));
    assert!(json["uring_refused"].as_str().unwrap().contains(why), "{json}");
}
