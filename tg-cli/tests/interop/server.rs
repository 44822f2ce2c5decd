//! ctraffic's client, tg's server.

use crate::cli::case::Case;
use crate::cli::pod::{Pod, served};
use crate::cli::process::Signal;
use crate::cli::until;
use crate::standin::client::{Client, Options, Outcome, Report};
use crate::standin::link::Link;
use crate::standin::random::Random;
use crate::standin::{NAME_LEN, Transport};
use std::time::{Duration, Instant};

const CONNS: u64 = 4;

fn serve(case: Case, drain: &[&str]) -> Pod {
    let engine = ["--engine", case.engine.name()];
    Pod::start(case, "pod-1", None, &[&engine[..], drain].concat())
}

fn options(case: Case, pod: &Pod) -> Options {
    let options = Options::new(pod.address);
    if !case.udp {
        return options;
    }
    // A datagram that a dying server had not read yet is lost in silence: no longer than is needed.
    Options { transport: Transport::Udp, deadline: Duration::from_secs(5), ..options }
}

/// Runs until it is stopped or has lost its connections; each is known to be in full swing.
fn in_full_swing(case: Case, pod: &Pod) -> Client {
    let client = Client::start(&Options { packets: None, ..options(case, pod) });
    client.wait_until_answered(CONNS);
    client.wait_for_echoes(10 * CONNS);
    client
}

/// Asserts how each connection of a client ended.
fn check_ends(report: &Report, is_right: impl Fn(&str) -> bool) {
    assert_eq!(report.connections.len() as u64, CONNS);
    for c in &report.connections {
        assert_eq!(c.host, "pod-1", "{c:?}");
        assert!(is_right(&c.error), "{c:?}");
    }
}

/// What is seen of a process that dies: a reset, too, where it had not read everything.
fn check_died(case: Case, report: &Report) {
    let ends = if case.udp { &["refused", "timeout"][..] } else { &["EOF", "broken pipe", "reset"] };
    check_ends(report, |error| ends.contains(&error));
}

pub fn each_echo_is_right(case: Case) {
    let pod = serve(case, &[]);
    let sizes = [64, 65, 127, 1024, 9000];
    for size in sizes {
        let seed = size as u64;
        let report = Client::start(&Options { packet_size: size, seed, ..options(case, &pod) }).join();
        assert_eq!((report.connections.len() as u64, report.failed_connects), (CONNS, 0));
        for c in &report.connections {
            assert_eq!((c.error.as_str(), c.host.as_str(), c.sent, c.received), ("", "pod-1", 20, 20), "{c:?}");
        }
    }
    pod.signal(Signal::TERM);
    let connections = CONNS * sizes.len() as u64;
    let want = if case.udp { served("pod-1", 0, Some(20 * connections)) } else { served("pod-1", connections, None) };
    assert_eq!(pod.finish(), want);
}

/// A connection on which nothing is under way: what ends it is seen as it is.
struct Quiet(Link);

impl Quiet {
    fn new(pod: &Pod) -> Quiet {
        let mut link = Link::connect(Transport::Tcp, pod.address).unwrap();
        link.send(&[0; NAME_LEN], &mut Random::new(1, 1)).unwrap();
        let echo = link.receive(NAME_LEN, deadline()).unwrap();
        assert!(echo.starts_with(b"pod-1\0"));
        Quiet(link)
    }

    fn end(mut self) -> String {
        self.0.receive(1, deadline()).unwrap_err()
    }
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

pub fn close(case: Case) {
    let pod = serve(case, &["--drain", "close"]);
    let quiet = Quiet::new(&pod);
    let client = in_full_swing(case, &pod);
    pod.signal(Signal::TERM);
    check_died(case, &client.join());
    assert_eq!(quiet.end(), "EOF");
    pod.finish();
}

pub fn reset(case: Case) {
    let pod = serve(case, &["--drain", "reset"]);
    let quiet = Quiet::new(&pod);
    let client = in_full_swing(case, &pod);
    pod.signal(Signal::TERM);
    check_ends(&client.join(), |error| error == "reset");
    assert_eq!(quiet.end(), "reset");
    assert_eq!(pod.finish(), served("pod-1", CONNS + 1, None));
}

/// Tells it to end, and waits until it takes nobody in any more.
fn drain(pod: &Pod) {
    pod.signal(Signal::TERM);
    until("the server refuses", || pod.refuses().then_some(()));
}

pub fn wait(case: Case) {
    let mut pod = serve(case, &["--drain", "wait", "3600"]);
    let client = in_full_swing(case, &pod);
    drain(&pod);
    client.wait_for_echoes(10 * CONNS);
    assert!(pod.process.is_running());
    let report = client.stop();
    check_ends(&report, str::is_empty);
    assert!(report.connections.iter().all(|c| c.sent == c.received), "{report:?}");
    // Nobody is there any more: that is its end.
    pod.finish();
}

pub fn wait_is_over(case: Case) {
    let pod = serve(case, &["--drain", "wait", "100ms"]);
    let quiet = Quiet::new(&pod);
    let client = in_full_swing(case, &pod);
    pod.signal(Signal::TERM);
    check_died(case, &client.join());
    assert_eq!(quiet.end(), "EOF");
    pod.finish();
}

pub fn wait_is_cut_short(case: Case) {
    let pod = serve(case, &["--drain", "wait", "3600"]);
    let client = in_full_swing(case, &pod);
    drain(&pod);
    client.wait_for_echoes(10 * CONNS);
    pod.signal(Signal::INT);
    check_died(case, &client.join());
    pod.finish();
}

pub fn restarted(case: Case) {
    let address = Some(case.lasting_address());
    let engine = ["--engine", case.engine.name()];
    let pod = Pod::start(case, "pod-1", address, &engine);
    let client = Client::start(&Options { packets: None, reconnect: true, ..options(case, &pod) });
    client.wait_until_answered(CONNS);
    pod.signal(Signal::TERM);
    pod.finish();
    client.wait_until_lost(CONNS);
    let pod = Pod::start(case, "pod-2", address, &engine);
    client.wait_until_answered(2 * CONNS);
    let report = client.stop();

    let answered = report.connections.iter().filter(|c| !c.host.is_empty());
    let (lost, lasting): (Vec<&Outcome>, Vec<_>) = answered.partition(|c| !c.error.is_empty());
    assert_eq!((lost.len() as u64, lasting.len() as u64), (CONNS, CONNS), "{report:?}");
    assert!(lost.iter().all(|c| c.host == "pod-1"), "{lost:?}");
    assert!(lasting.iter().all(|c| c.host == "pod-2" && c.sent == c.received), "{lasting:?}");
    pod.signal(Signal::TERM);
    let said = pod.finish();
    if !case.udp {
        assert_eq!(said, served("pod-2", CONNS, None));
    }
}
