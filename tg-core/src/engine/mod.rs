//! What an engine is: it carries out operations on sockets and reports completions, each with its time.
//! It knows nothing of plans, packets or protocols.
//!
//! Calling order, for each [`Token`]: `Connect`; after [`Event::Connected`] any number of `Send`s, one
//! at a time (the next one after [`Event::Sent`] with `whole`, [`Event::SentRest`] or
//! [`Event::Unsent`]); at last `Close`. A receive is always pending between. After `Close` exactly one
//! [`Event::Closed`] comes, and nothing else for that token. [`Event::ConnectFailed`] ends a token
//! without a `Close`.
//!
//! A slot has one socket at a time, with one exception: a replacement's `Connect` may come just before the
//! `Close` of the socket that it replaces, so that its SYN leaves before the old one's FIN. What the kernel
//! knew of the old one is read then, and of its events only `Closed` counts any more.

#[cfg(feature = "io")]
pub mod epoll;
pub mod simulated;
#[cfg(feature = "io")]
pub mod uring;

use crate::payload::Message;
use std::net::SocketAddr;
use tg_model::plan::Transport;
use tg_model::tcp_info::TcpInfo;
use tg_model::time::Nanos;

/// Names one socket: the slot of the shard, and how many sockets the slot had before. The owner must
/// not use a token twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// Below the number of slots that the engine was made for.
    pub slot: u32,
    /// Counts up with each socket of the slot.
    pub generation: u32,
}

/// What to connect, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect {
    /// The peer.
    pub remote: SocketAddr,
    /// Address to bind to; port 0 is the kernel's choice.
    pub local: Option<SocketAddr>,
    /// TCP, or a connected UDP socket (which is connected at once, whoever is there).
    pub transport: Transport,
    /// TCP_USER_TIMEOUT in milliseconds.
    pub user_timeout_ms: Option<u32>,
}

/// How to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// FIN, after what was sent.
    Orderly,
    /// RST.
    Reset,
}

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Makes a socket and connects it.
    Connect(Token, Connect),
    /// Sends a piece of the payload's buffer.
    Send(Token, Message),
    /// Closes the socket; operations under way are dropped.
    Close(Token, Closing),
}

/// What became of an operation, or of the receive that is always pending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The socket is connected.
    Connected {
        /// This end.
        local: SocketAddr,
    },
    /// It could not be connected, and is gone.
    ConnectFailed {
        /// The error.
        errno: i32,
    },
    /// The kernel accepted a message's first byte: somewhere between the clock's reading before the call
    /// that handed it over and the one after it. The completion's time is a third of the way; several
    /// messages that one call handed over have an equal part of it each.
    Sent {
        /// It accepted all of it; otherwise [`Event::SentRest`] follows.
        whole: bool,
    },
    /// The kernel has accepted the rest of a message.
    SentRest,
    /// The kernel accepted no byte of a message.
    Unsent {
        /// The error; `None`: the buffer is full.
        errno: Option<i32>,
    },
    /// Bytes came (UDP: one datagram); [`Engine::received`] has them until the next call of the engine.
    Received,
    /// The peer closed its side.
    PeerClosed,
    /// The socket failed.
    Failed {
        /// The error.
        errno: i32,
    },
    /// The token's socket is closed, or will be without further notice.
    Closed {
        /// What the kernel knew of it just before (TCP). In a box: all other events are small, and many.
        info: Option<Box<TcpInfo>>,
    },
}

/// An event of a socket and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The socket.
    pub token: Token,
    /// When, on the engine's clock.
    pub at: Nanos,
    /// What.
    pub event: Event,
}

/// How long after the beginning of a call, or a message's part of one, that took `span` the kernel took the
/// message's first byte. A third: `bench accuracy` holds it against a capture, whose times lay there. (On
/// loopback the later part of a call is the receiver's work.)
#[cfg(feature = "io")]
fn first_byte_taken(span: Nanos) -> Nanos {
    Nanos(span.0 / 3)
}

/// Drives sockets. One thread owns one engine.
pub trait Engine {
    /// `uring`, `epoll` or `simulated`.
    fn name(&self) -> &'static str;

    /// The engine's clock: CLOCK_MONOTONIC, or simulated time.
    fn now(&self) -> Nanos;

    /// Begins an operation. Its outcome is a completion, never an error here.
    fn submit(&mut self, op: Op);

    /// Waits until a completion can be taken or `until` has come: asleep until `spin` before that, then
    /// awake. Returns at once where a completion can be taken already.
    ///
    /// # Errors
    /// The engine itself failed (not a socket of it) and cannot go on.
    fn wait(&mut self, until: Nanos, spin: Nanos) -> std::io::Result<()>;

    /// A message is about to be submitted for this socket: a moment to bring into the processor's cache what that
    /// will touch. Changes nothing.
    fn warm(&mut self, _token: Token) {}

    /// Sleeps until then, whatever comes meanwhile: one wake-up for all of it. What was submitted is under way.
    ///
    /// # Errors
    /// As [`Engine::wait`].
    fn linger(&mut self, until: Nanos) -> std::io::Result<()>;

    /// Takes the next completion. A message's `Sent` comes before the `Received` of its echo.
    fn next(&mut self) -> Option<Completion>;

    /// The bytes of the last completion, where that was [`Event::Received`].
    fn received(&self) -> &[u8];

    /// Sockets whose `Close` is still being carried out in the background.
    fn closing(&self) -> usize;
}
