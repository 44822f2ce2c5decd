//! A driver worked by hand: each completion and each moment is the test's.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tg_core::driver::{Command, Destination, Driver, Metrics, Setup, Wake};
use tg_core::engine::{Closing, Completion, Connect, Event, Op, Token};
use tg_core::payload::Message;
use tg_core::schedule::Share;
use tg_model::counts::Counts;
use tg_model::journal::{AttemptFailed, Closed, Established, Identified, Line, Outage, Totals};
use tg_model::plan::{Backoff, Host, Plan, PlanSpec, Rate, Target, Transport};
use tg_model::time::Nanos;

/// Where the clock of every test begins: times and spans cannot be taken for each other.
pub const ORIGIN: Nanos = Nanos::from_secs(1000);
/// From one packet of a slot to its next, ms.
pub const PERIOD: u64 = 100;
pub const LOCAL: &str = "127.0.0.1:40000";

pub struct Hand {
    pub driver: Driver,
    pub lines: Vec<Line>,
    /// Operations and questions that were not looked at yet.
    pub commands: VecDeque<Command>,
    pub wake: Wake,
    now: Nanos,
    tokens: Vec<Token>,
    datagram: bool,
    /// What each slot's connection sent and was not echoed.
    unechoed: Vec<VecDeque<Vec<u8>>>,
}

/// One slot, 10 packets/s, packets of 128 bytes, no end.
pub fn spec() -> PlanSpec {
    PlanSpec {
        conns: 1,
        size: 128,
        rate: Rate::PerConnection(1000.0 / PERIOD as f64),
        duration: None,
        backoff: Backoff { min: Duration::from_millis(100), max: Duration::from_millis(1000) },
        ..PlanSpec::new(["192.0.2.1:5003".parse::<Target>().unwrap()])
    }
}

impl Hand {
    /// A driver that has done nothing yet.
    pub fn new(change: impl FnOnce(&mut PlanSpec)) -> Hand {
        let mut spec = spec();
        change(&mut spec);
        let plan = Plan::try_from(spec).unwrap();
        let destinations = plan.targets.iter().enumerate().map(|(i, target)| match &target.host {
            Host::Ip(ip) => Destination::Address(SocketAddr::new(*ip, target.port)),
            Host::Name(_) => Destination::Name(i),
        });
        let share = Share { shard: 0, shards: 1, total: plan.conns };
        let (conns, datagram) = (plan.conns as usize, plan.transport == Transport::Udp);
        let destinations = destinations.collect();
        let driver = Driver::new(Setup { plan: Arc::new(plan), share, destinations, origin: ORIGIN });
        let tokens = (0..conns as u32).map(|slot| Token { slot, generation: 0 }).collect();
        let (lines, commands) = (Vec::new(), VecDeque::new());
        let wake = Wake { at: Nanos::ZERO, packet: false };
        let unechoed = vec![VecDeque::new(); conns];
        Hand { driver, lines, commands, wake, now: ORIGIN, tokens, datagram, unechoed }
    }

    /// A driver whose slots are connected at 1 ms, with the schedule's zero at 100 ms.
    pub fn up(change: impl FnOnce(&mut PlanSpec)) -> Hand {
        let mut hand = Hand::new(change);
        hand.poll(1);
        for slot in 0..hand.tokens.len() as u32 {
            hand.connected(slot);
        }
        hand.start(100);
        hand.commands.clear();
        hand
    }

    pub fn start(&mut self, zero: u64) {
        self.driver.start_schedule(at(zero), self.now);
        self.collect();
    }

    /// Polls at `ms`.
    pub fn poll(&mut self, ms: u64) {
        self.poll_at(at(ms));
    }

    pub fn poll_at(&mut self, now: Nanos) {
        assert!(now >= self.now, "time goes on");
        self.now = now;
        self.wake = self.driver.poll(now);
        self.collect();
    }

    /// Polls at `ms`, and the kernel takes whatever is sent then.
    pub fn tick(&mut self, ms: u64) {
        self.poll(ms);
        self.take();
    }

    /// The kernel takes what was sent.
    pub fn take(&mut self) {
        for op in self.ops() {
            if let Op::Send(token, _) = op {
                self.event(token.slot, Event::Sent { whole: true });
            }
        }
    }

    /// Something happens to the slot's last socket, now.
    pub fn event(&mut self, slot: u32, event: Event) {
        let token = self.tokens[slot as usize];
        self.complete(token, event, &[]);
    }

    pub fn complete(&mut self, token: Token, event: Event, bytes: &[u8]) {
        self.driver.handle(Completion { token, at: self.now, event }, bytes);
        self.collect();
    }

    /// The slot's attempt succeeds: of UDP with an echo of its probe by `pod-1`.
    pub fn connected(&mut self, slot: u32) {
        self.event(slot, Event::Connected { local: LOCAL.parse().unwrap() });
        if self.datagram {
            self.event(slot, Event::Sent { whole: true });
            self.echo(slot);
        }
    }

    /// Bytes come.
    pub fn receive(&mut self, slot: u32, bytes: &[u8]) {
        let token = self.tokens[slot as usize];
        self.complete(token, Event::Received, bytes);
    }

    /// The right echo of the slot's oldest message without one comes.
    pub fn echo(&mut self, slot: u32) {
        let bytes = self.take_echo(slot);
        self.receive(slot, &bytes);
    }

    /// That echo, for the test to do with as it likes; who answers is `pod-1`.
    pub fn take_echo(&mut self, slot: u32) -> Vec<u8> {
        let mut bytes = self.unechoed[slot as usize].pop_front().expect("a message");
        if bytes[..8] == [0; 8] {
            bytes[..5].copy_from_slice(b"pod-1");
        }
        bytes
    }

    /// The resolver answers.
    pub fn resolved(&mut self, token: Token, outcome: Result<SocketAddr, String>) {
        self.driver.resolved(token, outcome, self.now);
        self.collect();
    }

    pub fn closed_event(&mut self, token: Token) {
        self.complete(token, Event::Closed { info: None }, &[]);
    }

    pub fn token(&self, slot: u32) -> Token {
        self.tokens[slot as usize]
    }

    /// The operations since the last look.
    pub fn ops(&mut self) -> Vec<Op> {
        let ops = self.commands.iter().filter_map(|c| if let Command::Engine(op) = c { Some(*op) } else { None });
        let ops = ops.collect();
        self.commands.clear();
        ops
    }

    /// How many messages were sent since the last look.
    pub fn sends(&mut self) -> usize {
        self.ops().iter().filter(|op| matches!(op, Op::Send(..))).count()
    }

    pub fn connects(&mut self) -> Vec<(Token, Connect)> {
        self.ops().into_iter().filter_map(|op| if let Op::Connect(t, c) = op { Some((t, c)) } else { None }).collect()
    }

    pub fn closes(&mut self) -> Vec<(Token, Closing)> {
        self.ops().into_iter().filter_map(|op| if let Op::Close(t, c) = op { Some((t, c)) } else { None }).collect()
    }

    /// Slots with a connection, and with an attempt under way.
    pub fn live(&self) -> (u64, u64) {
        let (active, connecting, _) = self.driver.live();
        (active, connecting)
    }

    pub fn totals(&self) -> Totals {
        self.driver.live().2
    }

    pub fn counts(&self) -> Counts {
        self.totals().counts
    }

    /// The values recorded since the last look.
    pub fn metrics(&mut self) -> Metrics {
        let mut metrics = self.driver.swap_metrics(Box::default());
        metrics.settle();
        *metrics
    }

    pub fn established(&self) -> Vec<Established> {
        self.all(|l| if let Line::Established(x) = l { Some(x.clone()) } else { None })
    }

    pub fn identified(&self) -> Vec<Identified> {
        self.all(|l| if let Line::Identified(x) = l { Some(x.clone()) } else { None })
    }

    pub fn failed(&self) -> Vec<AttemptFailed> {
        self.all(|l| if let Line::AttemptFailed(x) = l { Some(x.clone()) } else { None })
    }

    pub fn outages(&self) -> Vec<Outage> {
        self.all(|l| if let Line::Outage(x) = l { Some(x.clone()) } else { None })
    }

    pub fn closed(&self) -> Vec<Closed> {
        self.all(|l| if let Line::Closed(x) = l { Some((**x).clone()) } else { None })
    }

    fn all<T>(&self, pick: impl Fn(&Line) -> Option<T>) -> Vec<T> {
        self.lines.iter().filter_map(pick).collect()
    }

    fn collect(&mut self) {
        self.lines.append(&mut self.driver.lines().drain(..).collect());
        while let Some(command) = self.driver.commands().pop_front() {
            match command {
                Command::Engine(Op::Connect(token, _)) | Command::Resolve { token, .. } => {
                    self.tokens[token.slot as usize] = token;
                    self.unechoed[token.slot as usize].clear();
                }
                Command::Engine(Op::Send(token, message)) => {
                    let bytes = self.bytes(message);
                    self.unechoed[token.slot as usize].push_back(bytes);
                }
                Command::Engine(Op::Close(..)) => {}
            }
            self.commands.push_back(command);
        }
    }

    pub fn bytes(&self, message: Message) -> Vec<u8> {
        let end = (message.start + message.len) as usize;
        let mut bytes = self.driver.payload().bytes()[message.start as usize..end].to_vec();
        if let Some(sequence) = message.sequence {
            let tail = bytes.len() - 8;
            bytes[tail..].copy_from_slice(&sequence.to_be_bytes());
        }
        bytes
    }
}

/// So many milliseconds after the run's start.
pub fn at(ms: u64) -> Nanos {
    ORIGIN + Nanos::from_millis(ms)
}

/// The same, as a journal counts.
pub fn ns(ms: u64) -> u64 {
    ms * 1_000_000
}

/// A histogram's value to its three digits.
pub fn near(value_ns: u64, ms: u64) -> bool {
    value_ns.abs_diff(ns(ms)) * 1000 <= ns(ms)
}

pub fn udp(spec: &mut PlanSpec) {
    spec.transport = Transport::Udp;
}
