//! The io_uring engine: what it consists of, and its face as an [`Engine`]. Changes when that contract
//! does.
//!
//! ```text
//! submit ─▶ ops ─▶ ring ─▶ kernel ─▶ ring ─▶ reap ─▶ next
//!             └──── sockets, buffers ─────────┘
//! ```
//! Operations are queued and leave together when [`Engine::wait`] enters the ring. A socket that is
//! closed leaves its slot at once and goes on in the background until all that the kernel has of it is
//! back: until then the memory of its operations is the kernel's.
#![allow(unsafe_code)]

mod buffers;
mod config;
mod error;
mod key;
mod ops;
mod probe;
mod reap;
mod ring;
mod sockets;
mod teardown;
mod wait;

pub use config::Config;
pub use error::UringError;
pub use probe::probe;

use super::{Completion, Engine, Event, Op, Token};
use crate::sys::clock;
use buffers::{Buffers, Filled};
use config::Sizes;
use key::Key;
use ring::Ring;
use sockets::Sockets;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use tg_model::tcp_info::TcpInfo;
use tg_model::time::Nanos;

/// Sockets driven by an io_uring ring of their own. It stays on the thread that made it.
pub struct UringEngine {
    // Dropped in this order: the ring before what its operations point to.
    ring: Ring,
    buffers: Buffers,
    sockets: Sockets,
    /// Sockets whose slots have others already, to be closed next, with what the kernel knew of them.
    replaced: Vec<(u32, Option<TcpInfo>)>,
    payload: Arc<[u8]>,
    packet_size: usize,
    /// Operations of which the last completion has not been taken.
    outstanding: usize,
    /// Messages that the kernel has not taken yet: place in the queue, and socket.
    queued: VecDeque<(u64, u32)>,
    /// Messages that it has taken, and of which nothing was told: no completion means that all is well.
    taken: Vec<Key>,
    /// Completions of operations that needed no trip through the kernel.
    ready: VecDeque<Completion>,
    /// Those of them that are not `Closed`.
    announced: usize,
    /// Completions taken from the ring.
    staged: VecDeque<Taken>,
    /// A socket was closed since they were.
    closed_since_staged: bool,
    /// The buffer of the last completion.
    current: Option<Filled>,
    /// When the completions in the ring came.
    came: Nanos,
    /// Why the ring cannot be used any more.
    broken: Option<io::Error>,
}

/// A completion, and the buffer that came with it.
#[derive(Debug)]
struct Taken {
    completion: Completion,
    filled: Option<Filled>,
}

impl UringEngine {
    /// An engine for the calling thread.
    ///
    /// # Errors
    /// The kernel refuses a step; see [`UringError::is_refused`].
    pub fn new(config: Config) -> Result<UringEngine, UringError> {
        let sizes = Sizes::of(&config);
        let ring = Ring::new(sizes)?;
        let buffers = Buffers::register(&ring, sizes)?;
        Ok(UringEngine {
            ring,
            buffers,
            sockets: Sockets::new(config.slots),
            replaced: Vec::new(),
            payload: config.payload,
            packet_size: config.packet_size,
            outstanding: 0,
            queued: VecDeque::with_capacity(sizes.sq as usize),
            taken: Vec::with_capacity(sizes.sq as usize),
            ready: VecDeque::with_capacity(config.slots.min(sizes.sq as usize)),
            announced: 0,
            staged: VecDeque::with_capacity(sizes.sq as usize),
            closed_since_staged: false,
            current: None,
            came: Nanos::ZERO,
            broken: None,
        })
    }

    /// Adds a completion that needs no trip through the kernel.
    fn announce(&mut self, token: Token, event: Event) {
        self.announced += usize::from(!matches!(event, Event::Closed { .. }));
        self.ready.push_back(Completion { token, at: clock::monotonic(), event });
    }

    /// Drops what is to be told of a token: its owner closes it.
    fn silence(&mut self, token: Token) {
        if self.announced > 0 {
            self.ready.retain(|c| c.token != token);
            self.announced = self.ready.iter().filter(|c| !matches!(c.event, Event::Closed { .. })).count();
        }
    }

    /// The bytes of the last completion are not needed any more.
    fn release(&mut self) {
        if let Some(filled) = self.current.take() {
            self.buffers.give_back(filled);
        }
    }
}

impl Engine for UringEngine {
    fn name(&self) -> &'static str {
        "uring"
    }

    fn now(&self) -> Nanos {
        clock::monotonic()
    }

    fn submit(&mut self, op: Op) {
        self.release();
        match op {
            Op::Connect(token, connect) => self.connect(token, &connect),
            Op::Send(token, message) => self.send(token, message),
            Op::Close(token, closing) => self.close(token, closing),
        }
    }

    fn wait(&mut self, until: Nanos, spin: Nanos) -> io::Result<()> {
        self.release();
        self.wait_for_completion(until, spin)
    }

    fn warm(&mut self, token: Token) {
        if let Some(index) = self.sockets.find(token) {
            let socket = self.sockets.at(index);
            std::hint::black_box((socket.phase, socket.place, socket.pending));
        }
    }

    fn linger(&mut self, until: Nanos) -> io::Result<()> {
        self.release();
        self.sleep_through(until);
        self.broken.take().map_or(Ok(()), Err)
    }

    fn next(&mut self) -> Option<Completion> {
        self.release();
        if let Some(completion) = self.ready.pop_front() {
            self.announced -= usize::from(!matches!(completion.event, Event::Closed { .. }));
            return Some(completion);
        }
        if !self.has_staged() {
            self.drain();
        }
        let taken = self.staged.pop_front()?;
        self.current = taken.filled;
        Some(taken.completion)
    }

    fn received(&self) -> &[u8] {
        self.current.as_ref().map_or(&[], |filled| self.buffers.bytes(filled))
    }

    fn closing(&self) -> usize {
        self.sockets.closing()
    }
}
