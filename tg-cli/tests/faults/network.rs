//! Networks that are not there, or go away: in a network namespace, where only loopback is.

use crate::ENGINES;
use crate::faults_support::{Journal, Running, run, shell, start, tg, through};
use crate::support::{Capability, Suite};
use serde_json::Value;

const CONNS: u64 = 4;
/// Loopback is down in a new namespace.
const NOWHERE: [&str; 2] = ["unshare", "-n"];
const LOOPBACK: [&str; 6] = ["unshare", "-n", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"];

pub fn add(suite: &mut Suite) {
    for (engine, needs) in ENGINES {
        let needs = [needs, &[Capability::Netns]].concat();
        for transport in ["", "--udp"] {
            let name = format!("network::unreachable::{engine}{transport}");
            suite.test(name, &needs, move || unreachable(engine, transport));
        }
        suite.test(format!("network::user_timeout::{engine}"), &needs, move || user_timeout(engine));
        let name = format!("network::unreachable_in_mid_run::{engine}");
        suite.test(name, &needs, move || unreachable_in_mid_run(engine));
    }
    suite.test("network::the_own_server_unreachable".into(), &[Capability::Netns], the_own_server_unreachable);
    suite.test("network::a_taken_port".into(), &[], a_taken_port);
    suite.test("network::a_host_without_ipv6".into(), &[Capability::Netns], a_host_without_ipv6);
}

/// No way there: the run goes on to the plan's end and tells each attempt.
fn unreachable(engine: &str, transport: &str) {
    let journal = Journal::new();
    let plan = format!("run --address 127.0.0.1:5003 --conns {CONNS} --duration 300ms --engine {engine} {transport}");
    let done = run(&mut through(&NOWHERE, &format!("{plan} --format json {}", journal.option())));
    let s = done.exits(0).report();
    assert_eq!(s["engine"], engine);
    let failed = &s["failed_attempts"];
    assert!(failed["total"].as_u64().unwrap() >= CONNS, "{failed}");
    assert_eq!(failed["unreachable"], failed["total"], "{failed}");
    assert_eq!((&s["established"], &s["never_connected"]), (&0.into(), &CONNS.into()));
    assert_eq!(s["packets"]["dropped"]["no_connection"], s["packets"]["intended"]);
    journal.awaits_such(1, "attempt-failed", |l| l["errno"] == libc::ENETUNREACH);
    let text = run(&mut through(&NOWHERE, &plan)).exits(0);
    text.prints(&["  unreachable ", "the network said that the server is unreachable", "Nothing was connected to"]);
}

fn the_own_server_unreachable() {
    let done = run(&mut through(&NOWHERE, "run --conns 2 --duration 200ms --format json")).exits(0);
    let s = done.tells(&["a server was started on 127.0.0.1:"]).report();
    assert_eq!(s["failed_attempts"]["unreachable"], s["failed_attempts"]["total"]);
    run(&mut through(&NOWHERE, "run --conns 2 --duration 200ms --family ipv6"))
        .exits(1)
        .prints_nothing()
        .tells(&["starting a server for this run", "[::1]"]);
}

/// The default addresses are IPv4's and IPv6's loopback: without the second one, the first has to do.
fn a_host_without_ipv6() {
    let server = start(&mut through(&NOWHERE, "serve"));
    server.says("listens on tcp 127.0.0.1:5003");
    server.says("note: not on [::1]:5003: ");
    server.signal("TERM");
    server.end().exits(0);
    run(&mut through(&NOWHERE, "serve --listen [::1]:5003")).exits(1).tells(&["[::1]:5003", "`ip address`"]);
}

fn a_taken_port() {
    // Addresses that no other test has: of each port only the one protocol is taken.
    let [tcp, udp] = ["127.1.0.1:0", "127.1.0.2:0"].map(|any| any.parse::<std::net::SocketAddr>().unwrap());
    let (tcp, udp) = (std::net::TcpListener::bind(tcp).unwrap(), std::net::UdpSocket::bind(udp).unwrap());
    for (protocol, address) in [("tcp", tcp.local_addr().unwrap()), ("udp", udp.local_addr().unwrap())] {
        let done = run(&mut tg(&format!("serve --udp --listen {address}"))).exits(1).prints_nothing();
        let words = [&*format!("listen on {protocol} {address}: the address is in use"), "`ss -ltunp`", "--listen"];
        done.tells(&words).keeps_from(&["listens on"]);
    }
    let done = run(&mut tg("serve --listen 192.0.2.1:5003")).exits(1);
    let done = done.tells(&["listen on tcp 192.0.2.1:5003: ", "`ip address`"]);
    assert_eq!(done.stderr.matches("os error").count(), 1, "told once: {done}");
}

/// A run with a server of its own, in a namespace that `ip` does something to once each of its connections
/// is named.
fn cut_off(journal: &Journal, options: &str, how: &str) -> Running {
    let line = format!("run --family ipv4 --conns {CONNS} --rate 20 --until-signal --no-reconnect {options}");
    let run = start(&mut through(&LOOPBACK, &format!("{line} --format json {}", journal.option())));
    journal.awaits(CONNS as usize, "identified");
    shell(&format!("nsenter -t {} -n ip {how}", run.id()));
    run
}

fn ended(run: Running, journal: &Journal, engine: &str, reason: &str) -> Value {
    journal.awaits_such(CONNS as usize, "closed", |l| l["reason"] == reason);
    run.signal("TERM");
    let s = run.end().exits(0).report();
    assert_eq!((&s["engine"], &s["ending"]), (&engine.into(), &"stopped".into()));
    assert_eq!((&s["lost"], &s["ended"][reason.replace('-', "_")]), (&CONNS.into(), &CONNS.into()), "{}", s["ended"]);
    assert_eq!(s["hosts"]["lost"]["tg-embedded"], CONNS);
    s
}

/// What is sent vanishes, nothing is acknowledged any more: TCP_USER_TIMEOUT ends it long before the
/// response time-out would.
fn user_timeout(engine: &str) {
    let journal = Journal::new();
    let options = format!("--engine {engine} --user-timeout 200ms --response-timeout 1h");
    let run = cut_off(&journal, &options, "link set lo down");
    let s = ended(run, &journal, engine, "user-timeout");
    assert_ne!(s["packets"]["lost_in_flight"], 0);
    let errnos: Vec<_> = journal.lines().iter().filter(|l| l["kind"] == "closed").map(|l| l["errno"].clone()).collect();
    assert_eq!(errnos, vec![Value::from(libc::ETIMEDOUT); CONNS as usize]);
}

/// A flow of datagrams is told at its next packet that there is no way any more.
fn unreachable_in_mid_run(engine: &str) {
    let journal = Journal::new();
    let options = format!("--engine {engine} --udp --response-timeout 1h");
    let run = cut_off(&journal, &options, "address delete 127.0.0.1/8 dev lo");
    ended(run, &journal, engine, "unreachable");
}
