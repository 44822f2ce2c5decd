//! What simulated peers and networks do, and what they count. Changes when a fault is added.
//!
//! The counts are the peers' own: they come from what was delivered, never from what the driver says,
//! so that a test can hold one against the other.

use super::errno;
use crate::engine::Event;
use crate::payload::Payload;
use crate::random::Random;
use std::collections::HashMap;
use tg_model::plan::Transport;
use tg_model::time::Nanos;
use tg_model::wire;

/// What one peer does with one connection. `after` counts bytes received from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Echoes.
    Echo,
    /// Refuses the connection.
    Refuse,
    /// Never answers the attempt.
    Ignore,
    /// Resets the attempt.
    ResetConnect,
    /// A router says that the peer cannot be reached.
    Unreachable,
    /// Echoes until `after`, then resets.
    Reset {
        /// Bytes.
        after: u64,
    },
    /// Echoes until `after`, then closes its side.
    Close {
        /// Bytes.
        after: u64,
    },
    /// Echoes until `after`, then says nothing any more.
    Stall {
        /// Bytes.
        after: u64,
    },
    /// Echoes until `after`, then something else.
    Garbage {
        /// Bytes.
        after: u64,
    },
    /// Echoes until `after`, then some bytes of its own besides.
    TooMuch {
        /// Bytes.
        after: u64,
    },
    /// Resets at a moment of its own.
    ResetLater {
        /// Time from the connect.
        delay: Nanos,
    },
    /// Closes its side at a moment of its own.
    CloseLater {
        /// Time from the connect.
        delay: Nanos,
    },
}

/// How the world behaves. Percentages are drawn for each case.
#[derive(Clone, Debug)]
pub struct Script {
    /// Seeds every choice.
    pub seed: u64,
    /// What connections do, each drawn with the same chance.
    pub behaviours: Vec<Behaviour>,
    /// The longest delay of anything.
    pub delay_max: Nanos,
    /// Echoes come in pieces.
    pub split: bool,
    /// Sends of which the kernel takes a part first, percent.
    pub short_sends: u64,
    /// Sends of which it takes nothing, percent.
    pub full_buffers: u64,
    /// Datagrams lost, percent.
    pub lost: u64,
    /// Datagrams echoed twice, percent.
    pub doubled: u64,
    /// Datagrams whose echo takes up to this long instead, a tenth of them.
    pub slow: Nanos,
    /// Datagrams answered by the other host, percent.
    pub moved: u64,
    /// The client's response time-out: what comes later is late.
    pub response_timeout: Nanos,
}

impl Script {
    /// Every connection does `behaviour`, nothing else goes wrong.
    pub fn always(seed: u64, behaviour: Behaviour) -> Script {
        Script {
            seed,
            behaviours: vec![behaviour],
            delay_max: Nanos(1_000_000),
            split: false,
            short_sends: 0,
            full_buffers: 0,
            lost: 0,
            doubled: 0,
            slow: Nanos::ZERO,
            moved: 0,
            response_timeout: Nanos::from_secs(1),
        }
    }
}

/// What the peers counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerCounts {
    /// Attempts made.
    pub attempts: u64,
    /// Connections that the client was told of.
    pub connected: u64,
    /// Attempts that it was told had failed.
    pub connects_failed: u64,
    /// Packets whose first byte was taken.
    pub taken: u64,
    /// Packets whose right echo was delivered whole, the first time, in time.
    pub echoed: u64,
    /// Datagrams: echoes delivered after the time-out.
    pub late: u64,
    /// Datagrams: echoes delivered again.
    pub doubled: u64,
    /// Datagrams: of the echoed, those after a later one.
    pub reordered: u64,
    /// Datagrams: echoes with another name than the one before.
    pub moved: u64,
    /// Datagrams: probes answered, the first time.
    pub probed: u64,
    /// Resets and errors told.
    pub failed: u64,
    /// FINs told.
    pub closed: u64,
}

/// Something on its way to the client.
#[derive(Debug)]
pub(super) enum Delivery {
    Connected,
    ConnectFailed(i32),
    /// Bytes, the first `echoed` of which are a right echo.
    Bytes {
        bytes: Vec<u8>,
        echoed: usize,
    },
    Fin,
    Error(i32),
    /// The kernel takes the rest of a message.
    Rest,
}

const HOSTS: [&str; 2] = ["pod-a", "pod-b"];

type Deliveries = Vec<(Nanos, Delivery)>;

#[derive(Debug)]
pub(super) struct World {
    pub counts: PeerCounts,
    script: Script,
    random: Random,
    size: u64,
}

impl World {
    pub fn new(script: Script, payload: &Payload) -> World {
        World { counts: PeerCounts::default(), random: Random::new(script.seed), size: payload.size() as u64, script }
    }

    pub fn delay(&mut self) -> Nanos {
        Nanos(1 + self.random.below(self.script.delay_max.0))
    }

    /// An attempt arrives: the peer that answers it, and what it does at once.
    pub fn accept(&mut self, now: Nanos, transport: Transport) -> (Peer, Deliveries) {
        self.counts.attempts += 1;
        let pick = self.random.below(self.script.behaviours.len() as u64) as usize;
        let behaviour = self.script.behaviours.get(pick).copied().unwrap_or(Behaviour::Echo);
        let host = HOSTS[self.random.below(2) as usize];
        let datagrams = (transport == Transport::Udp).then(Datagrams::default);
        let peer = Peer { behaviour, host, received: 0, echoed: 0, free: now, broken: false, datagrams };
        let at = now + self.delay();
        let mut deliveries = vec![];
        let failed = |errno| vec![(at, Delivery::ConnectFailed(errno))];
        if transport == Transport::Udp {
            // A datagram socket is connected at once; a closed port answers the first datagram.
            return (peer, vec![(now, Delivery::Connected)]);
        }
        match behaviour {
            Behaviour::Refuse => return (peer, failed(errno::ECONNREFUSED)),
            Behaviour::Unreachable => return (peer, failed(errno::ENETUNREACH)),
            Behaviour::ResetConnect => return (peer, failed(errno::ECONNRESET)),
            Behaviour::Ignore => return (peer, deliveries),
            Behaviour::ResetLater { delay } => deliveries.push((at + delay, Delivery::Error(errno::ECONNRESET))),
            Behaviour::CloseLater { delay } => deliveries.push((at + delay, Delivery::Fin)),
            _ => {}
        }
        deliveries.insert(0, (at, Delivery::Connected));
        (peer, deliveries)
    }

    /// How much of a message the client's kernel takes at once; `None`: nothing.
    pub fn take(&mut self, bytes: &[u8], datagram: bool) -> Option<usize> {
        if self.random.chance(self.script.full_buffers) {
            return None;
        }
        if datagram {
            let probe = bytes.ends_with(&[0; wire::SEQUENCE_LEN]);
            self.counts.taken += u64::from(!probe);
            return Some(bytes.len());
        }
        self.counts.taken += 1;
        if self.random.chance(self.script.short_sends) {
            return Some(1 + self.random.below(bytes.len() as u64 - 1) as usize);
        }
        Some(bytes.len())
    }

    /// The client is told of an event.
    pub fn told(&mut self, event: &Event) {
        match event {
            Event::Connected { .. } => self.counts.connected += 1,
            Event::ConnectFailed { .. } => self.counts.connects_failed += 1,
            Event::Failed { .. } => self.counts.failed += 1,
            Event::PeerClosed => self.counts.closed += 1,
            _ => {}
        }
    }
}

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
            Some(sent) if sent + world.script.response_timeout <= at => counts.late += 1,
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
