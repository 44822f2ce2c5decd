//! The table of sockets: those of the slots, and those still being closed, apart from them. Changes when
//! what is known of a socket does. No operation is begun here.

use super::key::{INDEX_END, Key, Kind};
use crate::engine::Token;
use crate::payload::Message;
use socket2::{SockAddr, Socket as Descriptor};
use std::os::fd::{AsRawFd, RawFd};
use tg_model::time::Nanos;
use tg_model::wire::SEQUENCE_LEN;

/// How far a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No socket.
    Free,
    /// Connecting.
    Connecting,
    /// Connected, or failed since then.
    Open,
    /// Its owner is done with it; operations of it are still under way.
    Closing,
}

/// What a socket is sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// Nothing.
    Idle,
    /// A message, as much of it as fits.
    Message {
        /// Where in the payload.
        start: u32,
        /// Bytes.
        len: u32,
        /// When it was handed to the kernel.
        at: Nanos,
    },
    /// What did not fit.
    Rest {
        /// Where in the payload.
        start: u32,
        /// Bytes.
        len: u32,
    },
}

/// A place in the table, and the socket in it.
pub(super) struct Socket {
    pub token: Token,
    pub epoch: u32,
    pub phase: Phase,
    /// A datagram socket.
    pub datagram: bool,
    /// Its failure has been told.
    pub failed: bool,
    /// A receive is under way.
    pub receiving: bool,
    /// Operations whose last completion has not been taken.
    pub pending: u32,
    /// The place of its last operation in all that were ever queued.
    pub place: u64,
    pub sending: Sending,
    pub descriptor: Option<Descriptor>,
    /// What it connects to; the kernel reads it when it takes the operation.
    pub address: Option<Box<SockAddr>>,
    /// The datagram that is being sent; stays with the place.
    pub scratch: Scratch,
}

impl Socket {
    fn vacant() -> Socket {
        Socket {
            token: Token { slot: 0, generation: 0 },
            epoch: 0,
            phase: Phase::Free,
            datagram: false,
            failed: false,
            receiving: false,
            pending: 0,
            place: 0,
            sending: Sending::Idle,
            descriptor: None,
            address: None,
            scratch: Scratch::default(),
        }
    }

    /// For an operation; −1 where there is no socket.
    pub fn fd(&self) -> RawFd {
        self.descriptor.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }
}

/// A datagram: a piece of the payload with a number in its last bytes.
#[derive(Default)]
pub(super) struct Scratch {
    bytes: Box<[u8]>,
    /// Start and length of the piece it holds.
    holds: Option<(u32, u32)>,
}

impl Scratch {
    /// Makes room for datagrams of `size` bytes.
    pub fn reserve(&mut self, size: usize) {
        if self.bytes.len() < size {
            *self = Scratch { bytes: vec![0; size].into(), holds: None };
        }
    }

    /// The datagram's bytes, at the same address as ever; `None` where the message does not fit.
    pub fn assemble(&mut self, payload: &[u8], message: Message, sequence: u64) -> Option<&[u8]> {
        let (start, len) = (message.start as usize, message.len as usize);
        let datagram = self.bytes.get_mut(..len)?;
        if self.holds != Some((message.start, message.len)) {
            datagram.copy_from_slice(payload.get(start..start.checked_add(len)?)?);
            self.holds = Some((message.start, message.len));
        }
        let number = len.checked_sub(SEQUENCE_LEN)?;
        datagram[number..].copy_from_slice(&sequence.to_be_bytes());
        Some(datagram)
    }
}

/// All sockets.
pub(super) struct Sockets {
    all: Vec<Socket>,
    free: Vec<u32>,
    /// Of each slot, where its socket is.
    live: Vec<Option<u32>>,
    closing: usize,
}

impl Sockets {
    pub fn new(slots: usize) -> Sockets {
        let places = slots.min(INDEX_END as usize);
        let mut all = Vec::with_capacity(places);
        all.resize_with(places, Socket::vacant);
        let free = (0..places as u32).rev().collect();
        Sockets { all, free, live: vec![None; slots], closing: 0 }
    }

    /// Where the token's socket is; `None` where it has none (any more).
    pub fn find(&self, token: Token) -> Option<u32> {
        let index = (*self.live.get(token.slot as usize)?)?;
        (self.all[index as usize].token == token).then_some(index)
    }

    /// Puts a socket into a place, as its slot's. `None` where the slot has one already, or does not exist.
    pub fn insert(&mut self, token: Token, phase: Phase, datagram: bool, descriptor: Descriptor) -> Option<u32> {
        let live = self.live.get_mut(token.slot as usize).filter(|live| live.is_none())?;
        if self.free.is_empty() && self.all.len() < INDEX_END as usize {
            self.free.push(self.all.len() as u32);
            self.all.push(Socket::vacant());
        }
        let index = self.free.pop()?;
        *live = Some(index);
        let place = &mut self.all[index as usize];
        let (epoch, scratch) = (place.epoch, std::mem::take(&mut place.scratch));
        *place = Socket { token, epoch, phase, datagram, descriptor: Some(descriptor), scratch, ..Socket::vacant() };
        Some(index)
    }

    /// The socket at `index`, which is below the table's length: indices come from this table only.
    pub fn at(&mut self, index: u32) -> &mut Socket {
        &mut self.all[index as usize]
    }

    /// An operation of the socket at `index`, as the kernel will name it.
    pub fn key(&self, kind: Kind, index: u32) -> Key {
        Key { kind, index, epoch: self.all[index as usize].epoch }
    }

    /// Whether the socket that `key` is of is still there. A place is freed only when all completions
    /// of its socket are in, so this is never false; but a completion taken for another socket's would
    /// be a wrong record.
    pub fn knows(&self, key: Key) -> bool {
        self.all.get(key.index as usize).is_some_and(|s| s.epoch == key.epoch && s.phase != Phase::Free)
    }

    /// Parts the slot from its socket, if it has one: it can have another one from now on.
    pub fn part(&mut self, slot: u32) -> Option<u32> {
        self.live.get_mut(slot as usize)?.take()
    }

    /// The socket's owner is done with it. Parts it from its slot.
    pub fn retire(&mut self, index: u32) {
        let socket = &mut self.all[index as usize];
        socket.phase = Phase::Closing;
        self.live[socket.token.slot as usize].take_if(|live| *live == index);
        self.closing += 1;
    }

    /// Closes the descriptor and frees the place of a socket that was retired, once nothing of it is
    /// under way.
    pub fn settle(&mut self, index: u32) {
        let socket = &mut self.all[index as usize];
        if socket.phase != Phase::Closing || socket.pending > 0 {
            return;
        }
        socket.descriptor = None;
        socket.address = None;
        socket.phase = Phase::Free;
        socket.epoch = socket.epoch.wrapping_add(1);
        self.closing -= 1;
        self.free.push(index);
    }

    /// Sockets that are retired and not settled.
    pub fn closing(&self) -> usize {
        self.closing
    }

    /// Never frees what operations point to: for when the kernel may still read it.
    pub fn leak(&mut self) {
        for socket in &mut self.all {
            std::mem::forget((std::mem::take(&mut socket.scratch), socket.address.take()));
        }
    }
}
