//! What one simulated peer does with what it receives. Changes when a fault of peers is added.

use super::errno;
use super::script::Behaviour;
use super::world::{Deliveries, Delivery, HOSTS, World};
use std::collections::HashMap;
use tg_model::plan::Transport;
use tg_model::time::Nanos;
use tg_model::wire;

/// The client's datagrams as the peer saw them.
#[derive(Debug, Default)]
struct Datagrams {
    /// When each was sent; `None` once its echo was delivered.
    out: HashMap<u64, Option<Nanos>>,
    /// The highest number echoed in time, plus one.
    highest: u64,
    /// Who answered last.
    last_host: Option<Vec<u8>>,
}

/// The far end of one connection.
#[derive(Debug)]
pub(super) struct Peer {
    behaviour: Behaviour,
    host: &'static str,
    received: u64,
    /// Bytes of the right echo that were delivered.
    echoed: u64,
    /// When the stream is free for the next piece.
    free: Nanos,
    /// Does nothing any more.
    broken: bool,
    datagrams: Option<Datagrams>,
}

impl Peer {
    /// A peer whose connection begins at `now`.
    pub fn new(behaviour: Behaviour, host: &'static str, now: Nanos, transport: Transport) -> Peer {
        let datagrams = (transport == Transport::Udp).then(Datagrams::default);
        Peer { behaviour, host, received: 0, echoed: 0, free: now, broken: false, datagrams }
    }

    /// Bytes that came from the client.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Bytes come from the client.
    pub fn receive(&mut self, world: &mut World, now: Nanos, bytes: &[u8]) -> Deliveries {
        if self.datagrams.is_some() { self.datagram(world, now, bytes) } else { self.stream(world, now, bytes) }
    }

    /// Bytes, the first `echoed` of them right, are delivered to the client.
    pub fn delivered(&mut self, world: &mut World, at: Nanos, bytes: &[u8], echoed: usize) {
        if self.datagrams.is_some() {
            if echoed > 0 {
                self.datagram_delivered(world, at, bytes);
            }
            return;
        }
        let before = self.echoed / world.size;
        self.echoed += echoed as u64;
        world.counts.echoed += self.echoed / world.size - before;
    }

    fn stream(&mut self, world: &mut World, now: Nanos, bytes: &[u8]) -> Deliveries {
        let mut out = Vec::new();
        let start = self.received;
        self.received += bytes.len() as u64;
        if self.broken {
            return out;
        }
        let limit = match self.behaviour {
            Behaviour::Reset { after }
            | Behaviour::Close { after }
            | Behaviour::Stall { after }
            | Behaviour::Garbage { after }
            | Behaviour::TooMuch { after } => after,
            _ => u64::MAX,
        };
        let keep = limit.saturating_sub(start).min(bytes.len() as u64) as usize;
        let mut echo = bytes[..keep].to_vec();
        for (i, byte) in self.host.bytes().chain(std::iter::once(0)).enumerate() {
            if let Some(at) = (i as u64).checked_sub(start).filter(|at| (*at as usize) < echo.len()) {
                echo[at as usize] = byte;
            }
        }
        self.push_pieces(world, now, echo, &mut out);
        if self.received >= limit {
            self.broken = true;
            self.break_off(world, &mut out, &bytes[keep..]);
        }
        out
    }

    fn push_pieces(&mut self, world: &mut World, now: Nanos, echo: Vec<u8>, out: &mut Deliveries) {
        let mut rest = echo;
        while !rest.is_empty() {
            let n = if world.script.split { 1 + world.random.below(rest.len() as u64) as usize } else { rest.len() };
            let tail = rest.split_off(n);
            self.free = self.free.max(now) + world.delay();
            out.push((self.free, Delivery::Bytes { echoed: rest.len(), bytes: rest }));
            rest = tail;
        }
    }

    /// Does what comes after the last byte echoed.
    fn break_off(&mut self, world: &mut World, out: &mut Deliveries, unechoed: &[u8]) {
        let at = self.free + world.delay();
        match self.behaviour {
            Behaviour::Reset { .. } => out.push((at, Delivery::Error(errno::ECONNRESET))),
            Behaviour::Close { .. } => out.push((at, Delivery::Fin)),
            Behaviour::Garbage { .. } => {
                // Inverted bytes differ from the right ones wherever they are compared.
                let bytes: Vec<u8> =
                    if unechoed.is_empty() { vec![0xff; 9000] } else { unechoed.iter().map(|b| !b).collect() };
                out.push((at, Delivery::Bytes { bytes, echoed: 0 }));
            }
            Behaviour::TooMuch { .. } => {
                let mut bytes = unechoed.to_vec();
                let echoed = bytes.len();
                bytes.extend_from_slice(&[0xee; 4]);
                out.push((at, Delivery::Bytes { bytes, echoed }));
            }
            _ => {}
        }
    }

    fn datagram(&mut self, world: &mut World, now: Nanos, bytes: &[u8]) -> Deliveries {
        let Some(datagrams) = &mut self.datagrams else { return Vec::new() };
        datagrams.out.entry(number(bytes)).or_insert(Some(now));
        self.received += bytes.len() as u64;
        let at = now + world.delay();
        let over = |after| self.received > after;
        let mut echo = bytes.to_vec();
        match self.behaviour {
            Behaviour::Refuse => return vec![(at, Delivery::Error(errno::ECONNREFUSED))],
            Behaviour::Unreachable => return vec![(at, Delivery::Error(errno::ENETUNREACH))],
            Behaviour::Reset { after } if over(after) => return vec![(at, Delivery::Error(errno::ECONNREFUSED))],
            Behaviour::Garbage { after } if over(after) => {
                echo.iter_mut().for_each(|b| *b = !*b);
                return vec![(at, Delivery::Bytes { bytes: echo, echoed: 0 })];
            }
            Behaviour::Ignore => return Vec::new(),
            Behaviour::Stall { after } if over(after) => return Vec::new(),
            _ => {}
        }
        let host =
            if world.random.chance(world.script.moved) { HOSTS[world.random.below(2) as usize] } else { self.host };
        echo[..host.len()].copy_from_slice(host.as_bytes());
        let mut out = Vec::new();
        let copies = 1 + u64::from(world.random.chance(world.script.doubled));
        for _ in 0..copies {
            let slow = world.random.chance(10) && world.script.slow > Nanos::ZERO;
            let at = if slow { now + Nanos(world.random.below(world.script.slow.0)) } else { now + world.delay() };
            if !world.random.chance(world.script.lost) {
                out.push((at, Delivery::Bytes { echoed: echo.len(), bytes: echo.clone() }));
            }
        }
        out
    }

    fn datagram_delivered(&mut self, world: &mut World, at: Nanos, bytes: &[u8]) {
        let Some(datagrams) = &mut self.datagrams else { return };
        let counts = &mut world.counts;
        let host = bytes[..wire::NAME_LEN].to_vec();
        if datagrams.last_host.replace(host.clone()).is_some_and(|last| last != host) {
            counts.moved += 1;
        }
        let number = number(bytes);
        let sent = datagrams.out.insert(number, None).flatten();
        match sent {
            None => counts.doubled += 1,
            Some(_) if number == 0 => counts.probed += 1,
            // What comes at its very deadline is seen before the deadline is.
            Some(sent) if sent + world.script.response_timeout < at => counts.late += 1,
            Some(_) => {
                counts.echoed += 1;
                counts.reordered += u64::from(number < datagrams.highest);
                datagrams.highest = datagrams.highest.max(number + 1);
            }
        }
    }
}

fn number(datagram: &[u8]) -> u64 {
    let tail = datagram.len() - wire::SEQUENCE_LEN;
    datagram[tail..].iter().fold(0, |n, b| n << 8 | u64::from(*b))
}
