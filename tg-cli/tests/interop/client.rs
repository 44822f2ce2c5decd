//! tg's client, a ctraffic server.

use crate::cli::case::Case;
use crate::cli::journal::Journal;
use crate::cli::process::{Finished, Signal};
use crate::standin::Transport;
use crate::standin::behaviour::Behaviour;
use crate::standin::server::{Counts, Options, Server, Stop};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tg_model::outcome::EndReason;

const CONNS: usize = 4;
const N: u64 = CONNS as u64;

fn options(case: Case, bind: SocketAddr) -> Options {
    let transport = if case.udp { Transport::Udp } else { Transport::Tcp };
    Options { transport, ..Options::new("pod-1", bind) }
}

/// At a free port.
fn start(case: Case, behaviour: Behaviour, seed: u64) -> Server {
    let bind = SocketAddr::new(case.ip(), 0);
    Server::start(Options { behaviour, seed, ..options(case, bind) }).unwrap()
}

/// What the server counted must be what a run says that it sent, to the byte; in UDP each flow is opened
/// by a datagram beside those of the plan.
fn check_counts(case: Case, counts: Counts, connections: u64, sent: u64, size: u64) {
    let datagrams = if case.udp { sent + connections } else { 0 };
    let bytes = if case.udp { datagrams } else { sent } * size;
    assert_eq!(counts, Counts { connections, bytes, datagrams, unclean: 0 });
}

/// The report of a run in good order whose numbers add up, and which had nothing to complain about.
fn report(case: Case, finished: Finished) -> Value {
    let finished = finished.with(0);
    let said: Vec<_> = finished.stderr.iter().filter(|l| !l.starts_with("Stopping: ")).collect();
    assert!(said.is_empty(), "{said:?}");
    let report = finished.json();
    assert_eq!(report["engine"], case.engine.name());
    assert_eq!((&report["accounting"]["ok"], &report["journal"]["complete"]), (&json!(true), &json!(true)), "{report}");
    report
}

/// Nothing lost, no host but this one, and each packet sent has come back.
fn check_all_well(case: Case, report: &Value, journal: &Journal, counts: Counts) {
    assert_eq!((&report["lost"], &report["lasting"], &report["attempts"]), (&json!(0), &json!(N), &json!(N)));
    assert_eq!(report["hosts"], json!({ "lost": {}, "lasting": { "pod-1": N } }));
    let packets = &report["packets"];
    assert_eq!((&packets["received"], &packets["lost_in_flight"]), (&packets["sent"], &json!(0)));
    let sent = packets["sent"].as_u64().unwrap();
    assert!(sent >= N, "{packets}");
    check_counts(case, counts, N, sent, report["plan"]["size"].as_u64().unwrap());
    // It is asked who it is, and echoes the question.
    let story = journal.read();
    assert_eq!(story.engine, case.engine.name());
    assert!(story.closed().iter().all(|c| c.identity.is_none() && c.host.as_deref() == Some("pod-1")));
}

pub fn all_is_echoed(case: Case) {
    // The smallest; the largest without room for the question; more than a server reads at once.
    let smallest = if case.udp { 72 } else { 64 };
    for (seed, size) in [(1, smallest), (2, 127), (3, 1024), (4, 9000)] {
        // Few in flight: a receive buffer that overflows loses datagrams in silence.
        undisturbed(case, seed, size, &["--rate", "50", "--in-flight", "2"]);
    }
}

pub fn closed_loop(case: Case) {
    undisturbed(case, 5, 1024, &["--closed-loop", "--rate", "max"]);
}

/// Runs until some packets of each have come back, not for a time: a starved machine may send none in it.
fn undisturbed(case: Case, seed: u64, size: u64, plan: &[&str]) {
    let server = start(case, Behaviour::Echo, seed);
    let size_told = size.to_string();
    let plan = [plan, &["--conns", "4", "--size", &size_told, "--until-signal", "--format", "json"]].concat();
    let (mut run, journal) = case.run(&[server.addr()], &plan);
    journal.wait_until("pod-1 is known on each", &mut run, |s| s.answered_by("pod-1") == CONNS);
    server.wait_until(|c| c.bytes >= 10 * N * size);
    run.signal(Signal::INT);
    let report = report(case, run.finish());
    assert_eq!(report["ending"], "stopped");
    check_all_well(case, &report, &journal, server.stop(Stop::Fin).1);
}

pub fn restarted(case: Case, how: Stop) {
    let reason = if how == Stop::Fin { EndReason::ClosedByPeer } else { EndReason::Reset };
    restarted_and_lost(case, how, reason);
}

/// Who sends to a server that is gone is told so.
pub fn flows_restarted(case: Case) {
    restarted_and_lost(case, Stop::Fin, EndReason::Unreachable);
}

/// Stops the server in mid-run, and starts another one in its place when every connection was lost and
/// tried in vain to come back.
fn restarted_and_lost(case: Case, how: Stop, reason: EndReason) {
    let server = Server::start(options(case, case.lasting_address())).unwrap();
    let plan = ["--conns", "4", "--rate", "50", "--size", "1000", "--until-signal", "--format", "json"];
    let (mut run, journal) = case.run(&[server.addr()], &plan);
    server.wait_until(|c| c.bytes >= 20_000 * N);
    journal.wait_until("pod-1 is known on each", &mut run, |s| s.answered_by("pod-1") == CONNS);
    let (options, before) = server.stop(how);
    assert_eq!((before.connections, before.unclean), (N, 0));
    journal.wait_until("each is lost and was refused", &mut run, |s| {
        s.lost().len() == CONNS && s.slots_that_failed().len() == CONNS
    });
    let server = Server::start(Options { name: "pod-2".into(), ..options }).unwrap();
    journal.wait_until("pod-2 is known on each", &mut run, |s| s.answered_by("pod-2") == CONNS);
    server.wait_until(|c| c.bytes >= 20_000 * N);
    run.signal(Signal::INT);
    let report = report(case, run.finish());
    let counts = server.stop(Stop::Fin).1;

    assert_eq!((&report["ending"], &report["lost"], &report["lasting"]), (&json!("stopped"), &json!(N), &json!(N)));
    assert_eq!(report["hosts"], json!({ "lost": { "pod-1": N }, "lasting": { "pod-2": N } }));
    let ended = report["ended"].as_object().unwrap();
    for (name, n) in ended {
        let is_reason = name.replace('_', "-") == reason.name();
        let want = if is_reason || name == "completed" { N } else { 0 };
        assert_eq!(n, &json!(want), "{name}: {ended:?}");
    }
    assert_eq!((&report["established"], &report["reconnects"]), (&json!(2 * N), &json!(N)));
    let failed = &report["failed_attempts"];
    assert_eq!(failed["total"], failed["refused"]);
    assert!(failed["total"].as_u64().unwrap() >= N, "{failed}");
    let story = journal.read();
    story.check_lineage();
    check_counts(case, counts, N, story.sent_to("pod-2"), 1000);
}

/// So many echoed bytes of a connection end in the middle of a packet.
const SOME: u64 = 3 * 1000 + 500;

pub fn reset_again_and_again(case: Case) {
    again_and_again(case, Behaviour::Reset { after: SOME }, EndReason::Reset);
}

pub fn closed_again_and_again(case: Case) {
    again_and_again(case, Behaviour::HalfClose { after: SOME }, EndReason::ClosedByPeer);
}

/// Somebody always listens: each replacement begins, and succeeds, with the attempt of that very moment.
fn again_and_again(case: Case, behaviour: Behaviour, reason: EndReason) {
    let server = start(case, behaviour, 6);
    let plan = ["--conns", "4", "--rate", "50", "--size", "1000", "--until-signal", "--format", "json"];
    let (mut run, journal) = case.run(&[server.addr()], &plan);
    journal.wait_until("three of each slot are lost", &mut run, |s| {
        let lost = s.lost();
        (0..CONNS as u32).all(|slot| lost.iter().filter(|c| c.established.conn.slot.0 == slot).count() >= 3)
    });
    run.signal(Signal::TERM);
    let report = report(case, run.finish());
    let counts = server.stop(Stop::Fin).1;

    let story = journal.read();
    story.check_lineage();
    let lost = story.lost();
    for c in &lost {
        assert_eq!((c.reason, c.host.is_some()), (reason, c.counts.received > 0), "{c:?}");
        // A reset overtakes echoes, a FIN does not. The fourth packet's never comes whole.
        let echoes = if reason == EndReason::Reset { 0..=3 } else { 3..=3 };
        assert!(echoes.contains(&c.counts.received) && c.counts.sent > 3, "{c:?}");
    }
    assert_eq!(report["failed_attempts"]["total"], 0);
    let named = lost.iter().filter(|c| c.host.as_deref() == Some("pod-1")).count();
    assert_eq!((&report["lost"], &report["hosts"]["lost"]["pod-1"]), (&json!(lost.len()), &json!(named)));
    // One that was under way at the end is no attempt that failed.
    let of = |field: &str| report[field].as_u64().unwrap();
    assert!((of("established")..=of("attempts")).contains(&counts.connections), "{report} {counts:?}");
    assert_eq!(counts.unclean, 0);
    for new in story.established().into_iter().filter(|e| e.conn.nth > 0) {
        assert_eq!((new.attempt_ns, new.failed_attempts), (new.first_attempt_ns, 0), "{new:?}");
    }
}
