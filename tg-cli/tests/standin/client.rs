//! A ctraffic client in a test: closed loop, each echo whole before the next packet, and checked.
//! Changes when what a client does does.

use super::link::{Link, check_echo, text};
use super::random::Random;
use super::{NAME_LEN, Transport};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Nothing that a test waits for takes this long: it would be stuck.
const STUCK: Duration = Duration::from_secs(60);

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    pub target: SocketAddr,
    pub transport: Transport,
    pub conns: usize,
    pub packet_size: usize,
    /// Packets on each connection; `None`: until stopped.
    pub packets: Option<u64>,
    /// TCP: up to so many packets are written as one stretch of bytes, in odd pieces.
    pub join: usize,
    /// A whole echo must be back by then.
    pub deadline: Duration,
    /// Between an echo and the next packet.
    pub pause: Duration,
    /// A lost connection is replaced, a refused one tried again.
    pub reconnect: bool,
    pub seed: u64,
}

impl Options {
    /// Four TCP connections, 20 packets of 1024 bytes each.
    pub fn new(target: SocketAddr) -> Options {
        Options {
            target,
            transport: Transport::Tcp,
            conns: 4,
            packet_size: 1024,
            packets: Some(20),
            join: 3,
            deadline: Duration::from_secs(20),
            pause: Duration::from_millis(1),
            reconnect: false,
            seed: 1,
        }
    }
}

/// One connection, in order of age within its slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub slot: usize,
    /// `None`: never connected.
    pub local: Option<SocketAddr>,
    /// Empty: the server did not say.
    pub host: String,
    pub sent: u64,
    /// Echoes that came back whole and right.
    pub received: u64,
    /// Empty: it lasted.
    pub error: String,
}

/// What came of it all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub connections: Vec<Outcome>,
    /// Attempts to connect that failed.
    pub failed_connects: u64,
}

/// A running client.
#[derive(Debug)]
pub struct Client {
    slots: Vec<JoinHandle<Report>>,
    shared: Arc<Shared>,
}

impl Client {
    pub fn start(options: &Options) -> Client {
        let shared = Arc::new(Shared::default());
        let slot = |number| {
            let (options, shared) = (options.clone(), Arc::clone(&shared));
            thread::spawn(move || run_slot(number, &options, &shared))
        };
        Client { slots: (0..options.conns).map(slot).collect(), shared }
    }

    /// Waits until so many established connections are lost.
    pub fn wait_until_lost(&self, connections: u64) {
        self.shared.wait_until(|s| s.lost >= connections);
    }

    /// Waits until so many connections have had their first echo.
    pub fn wait_until_answered(&self, connections: u64) {
        self.shared.wait_until(|s| s.answered >= connections);
    }

    /// Waits until so many more echoes have come back.
    pub fn wait_for_echoes(&self, more: u64) {
        let before = self.shared.state.lock().unwrap().echoes;
        self.shared.wait_until(|s| s.echoes >= before + more);
    }

    /// Waits until each slot has sent its packets, or lost its connection.
    pub fn join(self) -> Report {
        let mut all = Report::default();
        for slot in self.slots {
            let report = slot.join().expect("a slot's thread");
            all.connections.extend(report.connections);
            all.failed_connects += report.failed_connects;
        }
        all
    }

    /// Ends the run in good order.
    pub fn stop(self) -> Report {
        self.shared.change(|state| state.stop = true);
        self.join()
    }
}

/// What a client and its threads share.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stop: bool,
    lost: u64,
    answered: u64,
    echoes: u64,
}

impl Shared {
    fn change(&self, how: impl FnOnce(&mut State)) {
        how(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn wait_until(&self, reached: impl Fn(&State) -> bool) {
        let state = self.state.lock().unwrap();
        let (state, timeout) = self.changed.wait_timeout_while(state, STUCK, |s| !reached(s)).unwrap();
        assert!(!timeout.timed_out(), "the client waited in vain: {state:?}");
    }

    /// Waits that long, or until the client is to stop; whether it is.
    fn wait(&self, at_most: Duration) -> bool {
        let state = self.state.lock().unwrap();
        self.changed.wait_timeout_while(state, at_most, |s| !s.stop).unwrap().0.stop
    }
}

fn run_slot(slot: usize, options: &Options, shared: &Shared) -> Report {
    let mut report = Report::default();
    let mut random = Random::new(options.seed, slot as u64);
    let mut wait = Duration::from_millis(100);
    loop {
        let mut outcome =
            Outcome { slot, local: None, host: String::new(), sent: 0, received: 0, error: String::new() };
        match Link::connect(options.transport, options.target) {
            Ok(mut link) => {
                outcome.local = Some(link.local());
                if let Err(error) = converse(&mut link, options, &mut random, shared, &mut outcome) {
                    outcome.error = error;
                }
                wait = Duration::from_millis(100);
            }
            Err(error) => {
                report.failed_connects += 1;
                if options.reconnect && !shared.wait(wait) {
                    wait = (wait + Duration::from_millis(100)).min(Duration::from_secs(1));
                    continue;
                }
                outcome.error = text(&error);
            }
        }
        let again = options.reconnect && !outcome.error.is_empty() && !shared.wait(Duration::ZERO);
        let heard_nothing = outcome.received == 0;
        // A UDP flow is established at its first echo.
        let established = if options.transport == Transport::Udp { !heard_nothing } else { outcome.local.is_some() };
        let lost = established && !outcome.error.is_empty();
        shared.change(|state| state.lost += u64::from(lost));
        report.connections.push(outcome);
        // A UDP socket always connects: one that hears nothing must not be replaced at once, again and again.
        if !again || (heard_nothing && shared.wait(wait)) {
            return report;
        }
    }
}

fn converse(
    link: &mut Link,
    options: &Options,
    random: &mut Random,
    shared: &Shared,
    to: &mut Outcome,
) -> Result<(), String> {
    while options.packets.is_none_or(|n| to.sent < n) {
        let left = options.packets.map_or(usize::MAX, |n| (n - to.sent) as usize);
        let together = if options.transport == Transport::Tcp { random.within(1..=options.join.min(left)) } else { 1 };
        let mut sent = vec![0; together * options.packet_size];
        for (i, packet) in sent.chunks_mut(options.packet_size).enumerate() {
            let named = link.is_named(to.sent + i as u64);
            random.fill(&mut packet[if named { NAME_LEN } else { 0 }..]);
        }
        link.send(&sent, random).map_err(|e| text(&e))?;
        let first = to.sent;
        to.sent += together as u64;
        let deadline = Instant::now() + options.deadline;
        for (i, packet) in sent.chunks(options.packet_size).enumerate() {
            let echo = link.receive(packet.len(), deadline)?;
            let host = check_echo(packet, &echo, link.is_named(first + i as u64))?;
            to.received += 1;
            shared.change(|state| {
                state.echoes += 1;
                state.answered += u64::from(to.received == 1);
            });
            if let (1, Some(host)) = (to.received, host) {
                to.host = host;
            }
        }
        if shared.wait(options.pause) {
            break;
        }
    }
    link.finish(options.deadline)
}
