//! The world around a simulated client: who answers an attempt, what its kernel takes, what its resolver
//! knows, and the peers' counts. Changes when a fault that is no peer's is added.
//!
//! The counts are the world's own: they come from what was delivered, never from what the driver says,
//! so that a test can hold one against the other.

use super::errno;
use super::peer::Peer;
use super::script::{Behaviour, Script};
use crate::engine::Event;
use crate::payload::Payload;
use crate::random::Random;
use std::net::SocketAddr;
use tg_model::plan::Transport;
use tg_model::time::Nanos;
use tg_model::wire;

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
    /// Packets that the kernel refused with an error.
    pub refused: u64,
    /// Packets of which it took nothing, because its buffer was full.
    pub full: u64,
    /// Names that were to be resolved.
    pub asked: u64,
    /// Of these, those that the resolver did not know.
    pub unresolved: u64,
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

pub(super) const HOSTS: [&str; 2] = ["pod-a", "pod-b"];

pub(super) type Deliveries = Vec<(Nanos, Delivery)>;

/// What became of a message that the kernel was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Nothing of it was taken: the buffer is full.
    Full,
    /// Nothing of it was taken, with this error.
    Refused(i32),
    /// So many bytes of it were taken.
    Bytes(usize),
}

/// All that is not the client.
#[derive(Debug)]
pub(super) struct World {
    pub counts: PeerCounts,
    pub script: Script,
    pub random: Random,
    pub size: u64,
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
        let peer = Peer::new(behaviour, host, now, transport);
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

    /// The client's kernel is given a message.
    pub fn take(&mut self, bytes: &[u8], datagram: bool) -> Taken {
        // A probe is no packet of the plan.
        let packet = u64::from(!datagram || !bytes.ends_with(&[0; wire::SEQUENCE_LEN]));
        if self.random.chance(self.script.full_buffers) {
            self.counts.full += packet;
            return Taken::Full;
        }
        if self.random.chance(self.script.refused_sends) {
            self.counts.refused += packet;
            let errors = if datagram { [errno::EPERM, errno::ENETUNREACH] } else { [errno::EPIPE, errno::ETIMEDOUT] };
            return Taken::Refused(errors[self.random.below(2) as usize]);
        }
        self.counts.taken += packet;
        if !datagram && self.random.chance(self.script.short_sends) {
            return Taken::Bytes(1 + self.random.below(bytes.len() as u64 - 1) as usize);
        }
        Taken::Bytes(bytes.len())
    }

    /// The resolver is asked for a name: what it will say, and when.
    pub fn resolve(&mut self, now: Nanos) -> (Nanos, Result<SocketAddr, String>) {
        self.counts.asked += 1;
        let at = now + self.delay();
        if self.random.chance(self.script.unresolved) {
            self.counts.unresolved += 1;
            return (at, Err("no such name".into()));
        }
        (at, Ok(SocketAddr::from(([127, 0, 0, 1], 5003))))
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
