//! SIGSTOP for 3 s, then SIGCONT: nothing is lost by it, and no burst makes up for it.

use crate::ENGINES;
use crate::faults_support::{Journal, Running, start, tg};
use crate::support::Suite;
use serde_json::Value;
use std::time::Duration;

const STOP: Duration = Duration::from_secs(3);
/// Shorter than the stop, and longer than a starved machine needs for an echo.
const TIMEOUT: &str = "--response-timeout 2s";
/// Each connection's.
const RATE: u64 = 20;
const CONNS: u64 = 40;

pub fn add(suite: &mut Suite) {
    for (engine, needs) in ENGINES {
        for transport in ["", "--udp"] {
            let name = format!("stops::a_client::{engine}{transport}");
            suite.test(name, needs, move || a_client(engine, transport));
        }
        suite.test(format!("stops::a_client_and_its_own_server::{engine}"), needs, move || with_own_server(engine));
    }
    suite.test("stops::a_server".into(), &[], a_server);
}

fn serve() -> (Running, String) {
    let server = start(&mut tg("serve --listen 127.0.0.1:0 --name pod-1 --udp"));
    let address = server.says("listens on tcp ");
    (server, address)
}

fn run_until_signal(journal: &Journal, options: &str) -> Running {
    let plan = format!("run --conns {CONNS} --rate {RATE} --until-signal --format json");
    let run = start(&mut tg(&format!("{plan} {options} {}", journal.option())));
    journal.awaits(1, "sample");
    run
}

/// Stops it, lets it go on, and ends the run when it has told of that.
fn stop_and_go(stopped: &Running, run: &Running, journal: &Journal) {
    stopped.stand_still();
    std::thread::sleep(STOP);
    stopped.signal("CONT");
    let before = journal.lines().iter().filter(|l| l["kind"] == "sample").count();
    journal.awaits(before + 2, "sample");
    run.signal("TERM");
}

/// Every connection lives, every packet sent was echoed, and of those that came due while nobody could
/// send at most one a connection was sent: the latest.
fn nothing_lost_and_no_burst(s: &Value, journal: &Journal, host: &str) {
    assert_eq!((&s["lost"], &s["ended"]["completed"]), (&0.into(), &CONNS.into()), "{}", s["ended"]);
    assert_eq!((&s["attempts"], &s["hosts"]["lasting"][host]), (&CONNS.into(), &CONNS.into()));
    let packets = &s["packets"];
    assert_eq!((&packets["received"], &packets["lost_in_flight"]), (&packets["sent"], &0.into()));
    assert_eq!(packets["dropped"]["late"], packets["dropped"]["total"], "{packets}");
    let missed = STOP.as_secs() * RATE;
    let slots: Vec<Value> = journal.lines().into_iter().filter(|l| l["kind"] == "slot").collect();
    assert_eq!(slots.len() as u64, CONNS);
    for slot in slots {
        let counts = &slot["totals"]["counts"];
        let [intended, sent, late] =
            [&counts["intended"], &counts["sent"], &counts["dropped"]["late"]].map(|n| n.as_u64().unwrap());
        // One less for the packet that was sent late, one for the edges of the stop.
        assert!(late >= missed - 2, "{slot}");
        assert_eq!(sent, intended - late, "{slot}");
    }
}

fn a_client(engine: &str, transport: &str) {
    let (server, address) = serve();
    let journal = Journal::new();
    let run = run_until_signal(&journal, &format!("--address {address} --engine {engine} {transport} {TIMEOUT}"));
    stop_and_go(&run, &run, &journal);
    let s = run.end().exits(0).report();
    assert_eq!((&s["engine"], &s["ending"]), (&engine.into(), &"stopped".into()));
    nothing_lost_and_no_burst(&s, &journal, "pod-1");
    server.signal("TERM");
    server.end().exits(0).tells(&["pod-1 served "]);
}

/// Its server answers only after the client has been awake for a while.
fn with_own_server(engine: &str) {
    let journal = Journal::new();
    let run = run_until_signal(&journal, &format!("--engine {engine} {TIMEOUT}"));
    stop_and_go(&run, &run, &journal);
    let s = run.end().exits(0).report();
    assert_eq!(s["engine"], engine);
    nothing_lost_and_no_burst(&s, &journal, "tg-embedded");
}

/// A server that stands still for less than the response time-out: packets go on leaving at their times,
/// and each is answered.
fn a_server() {
    let (server, address) = serve();
    let journal = Journal::new();
    // More may be out than come due in the stop.
    let run = run_until_signal(&journal, &format!("--address {address} --response-timeout 60s --in-flight 1000"));
    stop_and_go(&server, &run, &journal);
    let s = run.end().exits(0).report();
    assert_eq!((&s["lost"], &s["lasting"]), (&0.into(), &CONNS.into()));
    assert_eq!((&s["packets"]["received"], &s["packets"]["lost_in_flight"]), (&s["packets"]["sent"], &0.into()));
    // The stall is not hidden: latency counts from when a packet was due.
    assert!(s["latency"]["max_ns"].as_u64().unwrap() >= 2 * STOP.as_nanos() as u64 / 3, "{}", s["latency"]);
}
