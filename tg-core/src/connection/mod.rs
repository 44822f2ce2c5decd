//! One established connection, sans-IO: what was sent on it, what came back, and whether the one is the
//! echo of the other. Changes when the protocol on a connection does.

mod datagram;
mod outstanding;
mod stream;

pub use outstanding::{Outstanding, Packet, Queue};

use crate::payload::{Message, Payload};
use tg_model::counts::Counts;
use tg_model::journal::Established;
use tg_model::time::Nanos;
use tg_model::wire::{self, Identity};

/// What all connections of a shard share.
#[derive(Debug)]
pub struct Shared<'a> {
    /// What packets are made of.
    pub payload: &'a Payload,
    /// Packets whose echoes are out.
    pub outstanding: &'a mut Outstanding,
    /// The connection's slot.
    pub slot: u32,
}

/// What came back is not what was sent. The text says what was wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct ProtocolError(pub String);

/// Something that received bytes told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// A packet's echo is complete.
    Received(Packet),
    /// UDP: it is, after that of a later packet.
    Reordered(Packet),
    /// UDP: the echo of a packet that was given up.
    Late,
    /// UDP: an echo that had come before.
    Duplicate,
    /// UDP: another host answered.
    OtherHost,
    /// Who answers is known now: [`Connection::host`].
    Identified,
}

/// Where the connection is with its last message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    /// Nothing under way.
    Ready,
    /// A message was handed to the engine; its intended time.
    Submitted(Nanos),
    /// The kernel took the first part of a message.
    Rest,
}

/// An established connection.
#[derive(Debug)]
pub struct Connection {
    /// How it came to be.
    pub established: Established,
    /// Its packets.
    pub counts: Counts,
    /// Closed loop: the intended time of the packet that waits for an echo.
    pub deferred: Option<Nanos>,
    /// UDP: when the last echo came; its establishment before.
    pub last_received: Nanos,
    /// What the server calls itself, once known.
    pub host: Option<String>,
    /// What a tg server says beyond that.
    pub identity: Option<Identity>,
    queue: Queue,
    sending: Sending,
    /// Streams: bytes of the messages handed over. Datagrams: their number.
    sent: u64,
    /// Streams: bytes received. Datagrams: the number of the oldest one out.
    received: u64,
    /// Streams: the first bytes of the echo, until they tell who answers. Datagrams: the name as it came.
    head: Vec<u8>,
    identified: bool,
    datagrams: datagram::History,
}

impl Connection {
    /// A connection on which nothing was sent yet. A datagram flow's probe had number 0.
    pub fn new(established: Established, now: Nanos) -> Connection {
        Connection {
            established,
            counts: Counts::default(),
            deferred: None,
            last_received: now,
            host: None,
            identity: None,
            queue: Queue::default(),
            sending: Sending::Ready,
            sent: 0,
            received: 0,
            head: Vec::new(),
            identified: false,
            datagrams: datagram::History::default(),
        }
    }

    /// Packets whose echoes are out, the one just handed over included.
    pub fn in_flight(&self) -> u32 {
        self.queue.waiting() + u32::from(matches!(self.sending, Sending::Submitted(_)))
    }

    /// Room taken of [`Outstanding`]: that of packets in flight, and of datagrams answered behind one.
    pub fn places(&self) -> u32 {
        self.queue.len()
    }

    /// The last message was not taken whole by the kernel yet.
    pub fn is_sending(&self) -> bool {
        self.sending != Sending::Ready
    }

    /// The oldest packet whose echo is out.
    pub fn oldest(&self, shared: &Shared<'_>) -> Option<Packet> {
        shared.outstanding.front(shared.slot, &self.queue)
    }

    /// Reads what the next packet and its echo will touch; what comes of it means nothing.
    pub fn warm(&self, outstanding: &Outstanding, slot: u32) -> (u64, Counts) {
        (outstanding.warm(slot, &self.queue) ^ self.sent ^ self.received ^ u64::from(self.identified), self.counts)
    }

    /// The next message of a stream, due at `intended`. [`Connection::sent`] or
    /// [`Connection::unsent`] must follow before the next one.
    pub fn next_stream_message(&mut self, payload: &Payload, intended: Nanos) -> Message {
        debug_assert!(!self.is_sending());
        self.sending = Sending::Submitted(intended);
        payload.stream_message(self.sent)
    }

    /// The next datagram, due at `intended`; else like [`Connection::next_stream_message`].
    pub fn next_datagram(&mut self, payload: &Payload, intended: Nanos) -> Message {
        debug_assert!(!self.is_sending());
        self.sending = Sending::Submitted(intended);
        payload.datagram(self.sent)
    }

    /// The kernel took the message's first byte at `at`. Gives the packet, now in flight.
    pub fn sent(&mut self, shared: &mut Shared<'_>, at: Nanos, whole: bool, step: u64) -> Option<Packet> {
        let Sending::Submitted(intended) = self.sending else { return None };
        self.sending = if whole { Sending::Ready } else { Sending::Rest };
        self.sent += step;
        let packet = Packet { intended, sent: at };
        shared.outstanding.push(shared.slot, &mut self.queue, packet);
        Some(packet)
    }

    /// The kernel has the rest of the message, too.
    pub fn sent_rest(&mut self) {
        self.sending = Sending::Ready;
    }

    /// The kernel took nothing of the message. True where there was one under way.
    pub fn unsent(&mut self) -> bool {
        let was = matches!(self.sending, Sending::Submitted(_));
        self.sending = Sending::Ready;
        was
    }

    /// Takes the oldest packet out of flight without an echo, when the connection ends.
    pub fn give_up_oldest(&mut self, shared: &mut Shared<'_>) -> bool {
        let packet = shared.outstanding.pop(shared.slot, &mut self.queue);
        packet.is_some_and(|p| !p.is_answered())
    }

    fn identify(&mut self, payload: &Payload) {
        self.identified = true;
        self.host = wire::host_name(&self.head);
        self.identity = self.head.get(wire::NAME_LEN..payload.identity_end()).and_then(Identity::decode);
    }
}
