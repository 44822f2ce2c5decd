//! The end of a run by a signal: in order, or by `kill -9`, which leaves what was journaled until then.

use crate::ENGINES;
use crate::faults_support::{Journal, run, start, tg};
use crate::support::Suite;
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use std::net::{SocketAddr, TcpStream};

const CONNS: u64 = 5;

pub fn add(suite: &mut Suite) {
    for (engine, needs) in ENGINES {
        suite.test(format!("deaths::kill_9::{engine}"), needs, move || kill_9(engine));
        for signal in ["INT", "TERM"] {
            let name = format!("deaths::in_order::{signal}::{engine}");
            suite.test(name, needs, move || in_order(signal, engine));
        }
        let name = format!("deaths::before_anything_was_connected::{engine}");
        suite.test(name, needs, move || before_anything_was_connected(engine));
    }
}

fn plan(journal: &Journal, engine: &str) -> String {
    format!("run --conns {CONNS} --rate 50 --until-signal --engine {engine} {}", journal.option())
}

/// Lines get into the file each tenth of a second, and samples are made each second: what a test has seen
/// there is in the report, and no more than that is counted on.
fn kill_9(engine: &str) {
    let journal = Journal::new();
    let run = start(&mut tg(&plan(&journal, engine)));
    journal.awaits(2, "sample");
    let seen: Vec<Value> = journal.lines();
    run.kill().was_killed().prints_nothing();

    let report = journal.report("--format json").exits(0).tells(&["cut: the run was killed, or still goes on"]);
    let s = report.report();
    assert_eq!((&s["ending"], &s["engine"], &s["journal"]["complete"]), (&"cut".into(), &engine.into(), &false.into()));
    assert_eq!((&s["alive_at_cut"], &s["lasting"], &s["lost"]), (&CONNS.into(), &CONNS.into(), &0.into()));
    assert_eq!(s["hosts"]["lasting"]["tg-embedded"], CONNS);
    let last = seen.iter().rfind(|l| l["kind"] == "sample").unwrap();
    for count in ["intended", "sent", "received"] {
        assert!(s["packets"][count].as_u64() >= last["totals"]["counts"][count].as_u64(), "{count}: {s}");
    }
    // Of each echo of those samples, its latency.
    assert!(s["latency"]["count"].as_u64() >= last["totals"]["counts"]["received"].as_u64(), "{s}");
    assert!(s["duration_ns"].as_u64() >= Some(last["at_ns"].as_u64().unwrap() - 1_000_000_000), "{s}");

    let text = journal.report("").exits(0);
    assert!(text.stdout.starts_with("! The journal has no end: the run was killed, or still goes on."), "{text}");
    text.prints(&["Lost connections: 0\nLasting connections: 5\n  tg-embedded 5\n", "Latency "]);
    let note = "cut: the run was killed, or still goes on";
    let seconds = journal.report("--analyze throughput").exits(0).tells(&[note]);
    assert!(seconds.stdout.lines().count() >= 2, "{seconds}");
    let ctraffic = journal.report("--format ctraffic").exits(0).tells(&[note]).json();
    assert_eq!(ctraffic["ConnStats"].as_array().unwrap().len() as u64, CONNS);
    assert_eq!(ctraffic["Received"], s["packets"]["received"]);
}

fn in_order(signal: &str, engine: &str) {
    let journal = Journal::new();
    let run = start(&mut tg(&format!("{} --format json --monitor", plan(&journal, engine))));
    run.is_watched();
    journal.awaits(CONNS as usize, "identified");
    run.signal(signal);
    let done = run.end().exits(0).tells(&["Stopping: echoes still out are awaited. Once more to stop at once."]);
    let s = done.report();
    assert_eq!((&s["ending"], &s["lost"], &s["lasting"]), (&"stopped".into(), &0.into(), &CONNS.into()));
    assert_eq!((&s["packets"]["received"], &s["packets"]["lost_in_flight"]), (&s["packets"]["sent"], &0.into()));
    assert_eq!(journal.report("--format json").exits(0).report(), s);
}

/// Its first attempts are still out, to a listener whose queue is full: there is a report all the same.
fn before_anything_was_connected(engine: &str) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let _first = TcpStream::connect(address).unwrap();
    let journal = Journal::new();
    let options = format!("--address {address} --connect-timeout 1h --format json --monitor");
    let running = start(&mut tg(&format!("{} {options}", plan(&journal, engine))));
    running.is_watched();
    running.signal("INT");
    let s = running.end().exits(0).tells(&["Stopping: "]).report();
    assert_eq!((&s["established"], &s["never_connected"]), (&0.into(), &CONNS.into()));
    assert_eq!((&s["packets"]["intended"], &s["packets"]["sent"]), (&0.into(), &0.into()));
    assert_eq!(journal.report("--format json").exits(0).report(), s);
    run(&mut tg(&format!("report {}", journal.path().display()))).exits(0).prints(&["Lost connections: 0\n"]);
}
