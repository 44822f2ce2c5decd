//! Servers that do anything but echo: each connection ends once, for the right reason, and the numbers
//! add up.

use crate::ENGINES;
use crate::faults_support::{Done, Journal, run, start, tg};
use crate::standin::Transport;
use crate::standin::behaviour::Behaviour;
use crate::standin::server::{Options, Server};
use crate::support::Suite;
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use std::net::{SocketAddr, TcpStream};

/// Connections of each run; none is replaced, unless a case says so.
const CONNS: u64 = 4;

#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    transport: Transport,
    behaviour: Behaviour,
    until: Until,
    check: fn(&Value, &[Value]),
}

/// What ends a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// The plan's end, after 16 packets each.
    Planned,
    /// A signal, once each connection's server is known and has got some packets, however long that takes.
    Echoed,
    /// A signal, once each connection has ended, however long that takes.
    AllLost,
}
use Until::{AllLost, Echoed, Planned};

/// Nothing is overdue here, however slow the machine is.
const PATIENT: &str = "--response-timeout 60s --connect-timeout 60s";
const HASTY: &str = "--response-timeout 200ms --connect-timeout 200ms";

impl Case {
    /// Only with a server that says nothing one has to run out of patience.
    fn patience(&self) -> &'static str {
        let silent = self.behaviour == Behaviour::Silent;
        let garbled = self.transport == Transport::Udp && matches!(self.behaviour, Behaviour::SomethingElse { .. });
        if silent || garbled { HASTY } else { PATIENT }
    }
}

const CASES: &[Case] = &[
    tcp("refuses", Behaviour::Refuse, Planned, |s, _| never_connected(s, "refused")),
    tcp("says_nothing", Behaviour::Silent, AllLost, |s, _| {
        all_lost(s, "response_timeout", "(unknown)");
        assert_eq!(s["packets"]["received"], 0);
    }),
    tcp("sends_too_much_in_mid_packet", Behaviour::TooMuch { after: 1500 }, AllLost, |s, lines| {
        all_lost(s, "protocol", "pod-1");
        one_echo_each(s);
        details(lines, &["differ from what was sent", "more than were sent"]);
    }),
    tcp("sends_too_much_after_a_packet", Behaviour::TooMuch { after: 1024 }, AllLost, |s, lines| {
        all_lost(s, "protocol", "pod-1");
        one_echo_each(s);
        // On a slow machine the next packet may be out already, and its echo is what they are taken for.
        details(lines, &["bytes more than were sent, after 1024", "differ from what was sent"]);
    }),
    tcp("sends_something_else", Behaviour::SomethingElse { after: 1500 }, AllLost, |s, lines| {
        all_lost(s, "protocol", "pod-1");
        one_echo_each(s);
        details(lines, &["differ from what was sent"]);
    }),
    tcp("sends_something_else_from_the_start", Behaviour::SomethingElse { after: 0 }, AllLost, |s, lines| {
        assert_eq!((&s["lost"], &s["ended"]["protocol"]), (&CONNS.into(), &CONNS.into()));
        assert_eq!(s["packets"]["received"], 0);
        details(lines, &["differ from what was sent"]);
    }),
    tcp("closes_half", Behaviour::HalfClose { after: 1500 }, AllLost, |s, _| {
        all_lost(s, "closed_by_peer", "pod-1");
        one_echo_each(s);
    }),
    tcp("closes_half_before_it_has_said_its_name", Behaviour::HalfClose { after: 0 }, AllLost, |s, _| {
        all_lost(s, "closed_by_peer", "(unknown)");
    }),
    tcp("trickles_byte_by_byte", Behaviour::Trickle, Echoed, |s, _| nothing_lost(s)),
    tcp("resets_in_mid_packet", Behaviour::Reset { after: 1500 }, AllLost, |s, lines| {
        all_lost(s, "reset", "pod-1");
        one_echo_each(s);
        assert!(closed(lines).all(|l| l["errno"] == libc::ECONNRESET || l["errno"] == libc::EPIPE), "{lines:?}");
    }),
    tcp("splits_and_joins_at_random", Behaviour::Echo, Echoed, |s, _| nothing_lost(s)),
    udp("refuses", Behaviour::Refuse, Planned, |s, _| never_connected(s, "refused")),
    udp("says_nothing", Behaviour::Silent, Planned, |s, _| never_connected(s, "timeout")),
    udp("sends_each_echo_twice", Behaviour::TooMuch { after: 0 }, Echoed, |s, _| {
        nothing_lost(s);
        assert_ne!(s["packets"]["duplicate"], 0);
    }),
    udp("sends_something_else", Behaviour::SomethingElse { after: 0 }, Planned, |s, _| never_connected(s, "timeout")),
];

const fn tcp(name: &'static str, behaviour: Behaviour, until: Until, check: fn(&Value, &[Value])) -> Case {
    Case { name, transport: Transport::Tcp, behaviour, until, check }
}

const fn udp(name: &'static str, behaviour: Behaviour, until: Until, check: fn(&Value, &[Value])) -> Case {
    Case { name, transport: Transport::Udp, behaviour, until, check }
}

pub fn add(suite: &mut Suite) {
    for (engine, needs) in ENGINES {
        for case in CASES {
            let name = format!("servers::{:?}::{}::{engine}", case.transport, case.name).to_lowercase();
            suite.test(name, needs, move || conduct(case, engine));
        }
        let name = format!("servers::tcp::resets_again_and_again::{engine}");
        suite.test(name, needs, move || resets_again_and_again(engine));
        suite.test(format!("servers::tcp::a_full_queue::{engine}"), needs, move || a_full_queue(engine));
    }
}

fn server(transport: Transport, behaviour: Behaviour) -> Server {
    let options = Options::new("pod-1", "127.0.0.1:0".parse().unwrap());
    Server::start(Options { transport, behaviour, ..options }).unwrap()
}

/// The report of a run to its plan's end, and the journal's lines. The journal's own report is the same.
fn report(address: SocketAddr, options: &str) -> (Value, Vec<Value>) {
    let journal = Journal::new();
    let line = format!("run --address {address} --format json {options} {}", journal.option());
    judge(&run(&mut tg(&line)).exits(0), &journal)
}

fn judge(done: &Done, journal: &Journal) -> (Value, Vec<Value>) {
    let printed = done.report();
    assert_eq!(journal.report("--format json").exits(0).report(), printed);
    (printed, journal.lines())
}

fn conduct(case: &Case, engine: &str) {
    let server = server(case.transport, case.behaviour);
    let udp = if case.transport == Transport::Udp { "--udp" } else { "" };
    let plan = format!("--conns {CONNS} --rate 40 --no-reconnect --engine {engine} {udp} {}", case.patience());
    let (summary, lines) = match case.until {
        Planned => report(server.addr(), &format!("{plan} --duration 400ms")),
        Echoed => report_after(server.addr(), &plan, |journal| {
            journal.awaits(CONNS as usize, "identified");
            server.wait_until(|c| c.bytes >= 4 * CONNS * 1024);
        }),
        AllLost => report_after(server.addr(), &plan, |journal| journal.awaits(CONNS as usize, "closed")),
    };
    assert_eq!(summary["engine"], engine);
    let ending = if case.until == Planned { "planned" } else { "stopped" };
    assert_eq!(summary["ending"], ending);
    if case.until == Planned {
        // 4 × 40/s × 0.4 s: whatever becomes of them, they were due.
        assert_eq!(summary["packets"]["intended"], 64);
    }
    (case.check)(&summary, &lines);
}

/// The same of a run that is ended once what it is for is there.
fn report_after(address: SocketAddr, plan: &str, wait: impl FnOnce(&Journal)) -> (Value, Vec<Value>) {
    let journal = Journal::new();
    let line = format!("run --address {address} --format json --monitor --until-signal {plan} {}", journal.option());
    let run = start(&mut tg(&line));
    wait(&journal);
    run.is_watched();
    run.signal("TERM");
    judge(&run.end().exits(0), &journal)
}

fn never_connected(s: &Value, failure: &str) {
    let failed = &s["failed_attempts"];
    assert!(failed["total"].as_u64().unwrap() >= CONNS, "{failed}");
    assert_eq!(failed[failure], failed["total"], "{failed}");
    assert_eq!((&s["established"], &s["lost"], &s["never_connected"]), (&0.into(), &0.into(), &CONNS.into()));
    assert_eq!(s["packets"]["dropped"]["no_connection"], s["packets"]["intended"]);
}

fn all_lost(s: &Value, reason: &str, host: &str) {
    assert_eq!((&s["lost"], &s["lasting"]), (&CONNS.into(), &0.into()));
    assert_eq!(s["ended"][reason], CONNS, "{}", s["ended"]);
    assert_eq!(s["hosts"]["lost"], json!({ host: CONNS }));
    assert_eq!((&s["failed_attempts"]["total"], &s["reconnects"]), (&0.into(), &0.into()));
    assert_eq!((&s["outages"]["count"], &s["outages"]["still_out"]), (&CONNS.into(), &CONNS.into()));
}

fn one_echo_each(s: &Value) {
    assert_eq!(s["packets"]["received"], CONNS, "{}", s["packets"]);
}

fn nothing_lost(s: &Value) {
    assert_eq!((&s["lost"], &s["ended"]["completed"]), (&0.into(), &CONNS.into()), "{}", s["ended"]);
    assert_eq!(s["hosts"]["lasting"], json!({ "pod-1": CONNS }));
    assert_eq!((&s["packets"]["received"], &s["packets"]["lost_in_flight"]), (&s["packets"]["sent"], &0.into()));
    assert_ne!(s["packets"]["sent"], 0);
}

fn closed(lines: &[Value]) -> impl Iterator<Item = &Value> {
    lines.iter().filter(|l| l["kind"] == "closed")
}

/// Each connection's record says one of these.
fn details(lines: &[Value], words: &[&str]) {
    assert_eq!(closed(lines).count() as u64, CONNS);
    for line in closed(lines) {
        let detail = line["detail"].as_str().unwrap();
        assert!(words.iter().any(|word| detail.contains(word)), "{detail}");
    }
}

/// Each replacement is lost, too: reconnects have no limit, and each is accounted for.
fn resets_again_and_again(engine: &str) {
    let server = server(Transport::Tcp, Behaviour::Reset { after: 1500 });
    let plan = format!("--conns 8 --rate 100 --engine {engine} {PATIENT}");
    let (s, _) = report_after(server.addr(), &plan, |journal| journal.awaits(16, "closed"));
    let lost = s["lost"].as_u64().unwrap();
    assert!(lost >= 16, "{lost}");
    assert_eq!(s["ended"]["reset"], lost);
    let hosts = s["hosts"]["lost"].as_object().unwrap();
    assert_eq!(hosts.values().filter_map(Value::as_u64).sum::<u64>(), lost, "{hosts:?}");
    assert_eq!(s["established"].as_u64().unwrap(), s["lasting"].as_u64().unwrap() + lost);
}

/// A listener whose queue is full drops what asks to connect: no answer at all.
fn a_full_queue(engine: &str) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let _first = TcpStream::connect(address).unwrap();
    let plan = format!("--conns {CONNS} --duration 300ms --no-reconnect --engine {engine} {HASTY}");
    let (s, lines) = report(address, &plan);
    never_connected(&s, "timeout");
    let failed = lines.iter().find(|l| l["kind"] == "attempt-failed").unwrap();
    assert_eq!((&failed["errno"], &failed["remote"]), (&Value::Null, &address.to_string().into()));
}
