//! The simulated engine: time is a number, and peers do what a [`Script`] says. The same script gives
//! the same run, to the nanosecond.

mod peer;
mod script;
mod world;

pub use script::{Behaviour, Script};
pub use world::PeerCounts;

use super::{Completion, Connect, Engine, Event, Op, Token};
use crate::payload::{Message, Payload};
use peer::Peer;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::io;
use std::net::SocketAddr;
use tg_model::tcp_info::TcpInfo;
use tg_model::time::Nanos;
use world::{Delivery, Taken, World};

/// Errors that peers and networks give; see `driver/errno.rs`.
pub(crate) mod errno {
    pub const EPERM: i32 = 1;
    pub const EPIPE: i32 = 32;
    pub const ENETUNREACH: i32 = 101;
    pub const ECONNRESET: i32 = 104;
    pub const ETIMEDOUT: i32 = 110;
    pub const ECONNREFUSED: i32 = 111;
}

#[derive(Debug)]
struct Socket {
    token: Token,
    connect: Connect,
    peer: Peer,
    /// A FIN or an error was told; nothing more comes.
    over: bool,
    /// Bytes of a message that the kernel has not taken yet.
    rest: Vec<u8>,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Simulated {
    now: Nanos,
    order: u64,
    happenings: BinaryHeap<Reverse<(Nanos, u64, Token)>>,
    deliveries: BTreeMap<u64, Delivery>,
    ready: VecDeque<(Completion, Vec<u8>)>,
    /// The last wait ended with what happened: all that happened by then comes with it.
    batch: bool,
    received: Vec<u8>,
    sockets: Vec<Option<Socket>>,
    /// Sockets whose slots have others already, to be closed next.
    replaced: Vec<Socket>,
    world: World,
    payload: Payload,
}

impl Simulated {
    /// An engine for `slots` slots whose clock stands at `start`.
    pub fn new(slots: u32, start: Nanos, payload: Payload, script: Script) -> Simulated {
        Simulated {
            now: start,
            order: 0,
            happenings: BinaryHeap::new(),
            deliveries: BTreeMap::new(),
            ready: VecDeque::new(),
            batch: false,
            received: Vec::new(),
            sockets: (0..slots).map(|_| None).collect(),
            replaced: Vec::new(),
            world: World::new(script, &payload),
            payload,
        }
    }

    /// What the peers counted, on their own.
    pub fn peer_counts(&self) -> PeerCounts {
        self.world.counts
    }

    /// Nothing will happen before something is submitted.
    pub fn is_idle(&self) -> bool {
        self.ready.is_empty() && self.happenings.is_empty()
    }

    /// The resolver is asked for a name now: what it will say, and when.
    pub fn resolve(&mut self) -> (Nanos, Result<SocketAddr, String>) {
        self.world.resolve(self.now)
    }

    fn complete(&mut self, token: Token, event: Event) {
        self.ready.push_back((Completion { token, at: self.now, event }, Vec::new()));
    }

    fn schedule(&mut self, token: Token, deliveries: Vec<(Nanos, Delivery)>) {
        for (at, delivery) in deliveries {
            self.order += 1;
            self.happenings.push(Reverse((at.max(self.now), self.order, token)));
            self.deliveries.insert(self.order, delivery);
        }
    }

    fn connect(&mut self, token: Token, connect: Connect) {
        let (peer, deliveries) = self.world.accept(self.now, connect.transport);
        let socket = Socket { token, connect, peer, over: false, rest: Vec::new() };
        self.replaced.extend(self.sockets[token.slot as usize].replace(socket));
        self.schedule(token, deliveries);
    }

    fn send(&mut self, token: Token, message: Message) {
        let mut bytes = self.payload.bytes()[message.start as usize..(message.start + message.len) as usize].to_vec();
        if let Some(sequence) = message.sequence {
            let at = bytes.len() - tg_model::wire::SEQUENCE_LEN;
            bytes[at..].copy_from_slice(&sequence.to_be_bytes());
        }
        let now = self.now;
        let Some(socket) = self.sockets[token.slot as usize].as_mut().filter(|s| s.token == token) else { return };
        if socket.over {
            return self.complete(token, Event::Unsent { errno: Some(errno::ECONNRESET) });
        }
        let taken = match self.world.take(&bytes, message.sequence.is_some()) {
            Taken::Full => return self.complete(token, Event::Unsent { errno: None }),
            Taken::Refused(errno) => return self.complete(token, Event::Unsent { errno: Some(errno) }),
            Taken::Bytes(taken) => taken,
        };
        socket.rest = bytes.split_off(taken);
        let whole = socket.rest.is_empty();
        let mut deliveries = socket.peer.receive(&mut self.world, now, &bytes);
        if !whole {
            deliveries.push((now + self.world.delay(), Delivery::Rest));
        }
        self.complete(token, Event::Sent { whole });
        self.schedule(token, deliveries);
    }

    fn close(&mut self, token: Token) {
        let replaced = self.replaced.iter().position(|s| s.token == token).map(|at| self.replaced.swap_remove(at));
        let socket = replaced.or_else(|| self.sockets[token.slot as usize].take_if(|s| s.token == token));
        let info = socket.map(|s| TcpInfo { bytes_sent: s.peer.received(), ..TcpInfo::default() });
        self.complete(token, Event::Closed { info: info.map(Box::new) });
    }

    /// Carries out what happens next, if anything does by `until`.
    fn happen(&mut self, until: Nanos) -> bool {
        let Some(Reverse((at, order, token))) = self.happenings.peek().copied().filter(|h| h.0.0 <= until) else {
            return false;
        };
        self.happenings.pop();
        let Some(delivery) = self.deliveries.remove(&order) else { return true };
        self.now = self.now.max(self.world.script.seen(at));
        let seen = self.now;
        let Some(socket) = self.sockets[token.slot as usize].as_mut().filter(|s| s.token == token && !s.over) else {
            return true;
        };
        let (event, bytes) = match delivery {
            Delivery::Connected => (Event::Connected { local: local_address(&socket.connect, token) }, Vec::new()),
            Delivery::ConnectFailed(errno) => {
                self.sockets[token.slot as usize] = None;
                (Event::ConnectFailed { errno }, Vec::new())
            }
            Delivery::Bytes { bytes, echoed } => {
                socket.peer.delivered(&mut self.world, at, &bytes, echoed);
                (Event::Received, bytes)
            }
            Delivery::Fin => {
                socket.over = true;
                (Event::PeerClosed, Vec::new())
            }
            Delivery::Error(errno) => {
                socket.over = true;
                (Event::Failed { errno }, Vec::new())
            }
            Delivery::Rest => {
                let rest = std::mem::take(&mut socket.rest);
                let deliveries = socket.peer.receive(&mut self.world, seen, &rest);
                self.schedule(token, deliveries);
                (Event::SentRest, Vec::new())
            }
        };
        self.world.told(&event);
        self.ready.push_back((Completion { token, at: seen, event }, bytes));
        true
    }
}

fn local_address(connect: &Connect, token: Token) -> SocketAddr {
    let any: std::net::IpAddr = if connect.remote.is_ipv4() {
        std::net::Ipv4Addr::LOCALHOST.into()
    } else {
        std::net::Ipv6Addr::LOCALHOST.into()
    };
    let port = 1024 + (u64::from(token.slot) * 7919 + u64::from(token.generation)) % 60_000;
    let local = connect.local.unwrap_or(SocketAddr::new(any, 0));
    if local.port() == 0 { SocketAddr::new(local.ip(), port as u16) } else { local }
}

impl Engine for Simulated {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn now(&self) -> Nanos {
        self.now
    }

    fn submit(&mut self, op: Op) {
        match op {
            Op::Connect(token, connect) => self.connect(token, connect),
            Op::Send(token, message) => self.send(token, message),
            Op::Close(token, _) => self.close(token),
        }
    }

    fn wait(&mut self, until: Nanos, _spin: Nanos) -> io::Result<()> {
        self.batch = true;
        while self.ready.is_empty() {
            if self.happen(until) {
                continue;
            }
            self.batch = false;
            if until == Nanos::MAX {
                return Err(io::Error::other("nothing will ever happen again"));
            }
            self.now = self.world.script.seen(self.now.max(until));
            break;
        }
        Ok(())
    }

    fn linger(&mut self, until: Nanos) -> io::Result<()> {
        while self.happen(until) {}
        self.now = self.world.script.seen(self.now.max(until));
        Ok(())
    }

    fn next(&mut self) -> Option<Completion> {
        loop {
            while self.batch && self.ready.is_empty() && self.happen(self.now) {}
            let (completion, bytes) = self.ready.pop_front()?;
            let live =
                self.sockets[completion.token.slot as usize].as_ref().is_some_and(|s| s.token == completion.token);
            let last = matches!(completion.event, Event::Closed { .. } | Event::ConnectFailed { .. });
            if live || last {
                self.received = bytes;
                return Some(completion);
            }
        }
    }

    fn received(&self) -> &[u8] {
        &self.received
    }

    fn closing(&self) -> usize {
        0
    }
}
