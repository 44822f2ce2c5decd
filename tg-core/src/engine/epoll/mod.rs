//! The epoll engine: mio's edge-triggered poll, with a timer descriptor for deadlines.

mod socket;

use super::{Closing, Completion, Connect, Engine, Event, Op, Token, first_byte_taken};
use crate::payload::Message;
use crate::sys::{clock, tcp_info, timer::Timer};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll};
use socket::{Readiness, Socket};
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;
use tg_model::time::Nanos;
use tg_model::wire::SEQUENCE_LEN;

const TIMER: mio::Token = mio::Token(usize::MAX);
const EVENTS_AT_ONCE: usize = 256;
const RECEIVE_BUFFER: usize = 64 << 10;

/// See the module's documentation.
#[derive(Debug)]
pub struct Epoll {
    poll: Poll,
    events: Events,
    timer: Timer,
    sockets: Vec<Option<Socket>>,
    /// Outcomes of operations that were over at once.
    ready: VecDeque<Completion>,
    /// Sockets that the last poll named, not dealt with yet.
    pending: VecDeque<(Token, Readiness)>,
    /// When the last poll returned.
    woke: Nanos,
    payload: Arc<[u8]>,
    datagram: Vec<u8>,
    buffer: Vec<u8>,
    received: usize,
}

impl Epoll {
    /// An engine for `slots` slots that sends pieces of `payload`.
    ///
    /// # Errors
    /// No descriptors are to be had.
    pub fn new(slots: usize, payload: Arc<[u8]>) -> io::Result<Epoll> {
        let poll = Poll::new()?;
        let timer = Timer::new()?;
        poll.registry().register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
        Ok(Epoll {
            poll,
            events: Events::with_capacity(EVENTS_AT_ONCE),
            timer,
            sockets: (0..slots).map(|_| None).collect(),
            ready: VecDeque::with_capacity(slots.min(EVENTS_AT_ONCE)),
            pending: VecDeque::with_capacity(EVENTS_AT_ONCE),
            woke: Nanos::ZERO,
            payload,
            datagram: Vec::new(),
            buffer: vec![0; RECEIVE_BUFFER],
            received: 0,
        })
    }

    fn complete(&mut self, token: Token, at: Nanos, event: Event) {
        self.ready.push_back(Completion { token, at, event });
    }

    fn connect(&mut self, token: Token, connect: &Connect) {
        let outcome = Socket::connect(token, connect, |fd| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut SourceFd(&fd), mio_token(token), interest)
        });
        match outcome {
            Ok((socket, local)) => {
                self.sockets[token.slot as usize] = Some(socket);
                if let Some(local) = local {
                    self.complete(token, clock::monotonic(), Event::Connected { local });
                }
            }
            Err(e) => self.complete(token, clock::monotonic(), Event::ConnectFailed { errno: socket::errno(&e) }),
        }
    }

    fn send(&mut self, token: Token, message: Message) {
        let Some(socket) = self.sockets[token.slot as usize].as_mut().filter(|s| s.token == token) else { return };
        let piece = message.start as usize..(message.start + message.len) as usize;
        let before = clock::monotonic();
        let event = match message.sequence {
            None => socket.send(&self.payload, piece),
            Some(sequence) => {
                self.datagram.clear();
                self.datagram.extend_from_slice(&self.payload[piece]);
                let tail = self.datagram.len() - SEQUENCE_LEN;
                self.datagram[tail..].copy_from_slice(&sequence.to_be_bytes());
                socket.send_datagram(&self.datagram)
            }
        };
        let span = clock::monotonic().since(before);
        self.complete(token, before + first_byte_taken(span), event);
    }

    fn close(&mut self, token: Token, closing: Closing) {
        let socket = self.sockets[token.slot as usize].take_if(|s| s.token == token);
        let info = socket.as_ref().and_then(|s| tcp_info::read(&s.socket));
        if let (Some(socket), Closing::Reset) = (&socket, closing) {
            // Failing to set it leaves an orderly close.
            let _ = socket.socket.set_linger(Some(Duration::ZERO));
        }
        // Dropping the socket closes it, and takes it out of the poll.
        drop(socket);
        self.complete(token, clock::monotonic(), Event::Closed { info });
    }

    /// Asks for events, waiting at most so long. True where a socket is ready.
    fn poll(&mut self, wait: Option<Duration>) -> io::Result<bool> {
        match self.poll.poll(&mut self.events, wait) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        for event in &self.events {
            if event.token() == TIMER {
                self.timer.fired();
            } else {
                self.pending.push_back((token_of(event.token()), Readiness::of(event)));
            }
        }
        Ok(!self.pending.is_empty())
    }
}

impl Engine for Epoll {
    fn name(&self) -> &'static str {
        "epoll"
    }

    fn now(&self) -> Nanos {
        clock::monotonic()
    }

    fn submit(&mut self, op: Op) {
        match op {
            Op::Connect(token, connect) => self.connect(token, &connect),
            Op::Send(token, message) => self.send(token, message),
            Op::Close(token, closing) => self.close(token, closing),
        }
    }

    fn wait(&mut self, until: Nanos, spin: Nanos) -> io::Result<()> {
        if !self.ready.is_empty() || !self.pending.is_empty() {
            return Ok(());
        }
        let asleep_until = until - spin;
        let mut now = clock::monotonic();
        let mut found = false;
        if now < asleep_until {
            self.timer.set(asleep_until)?;
            found = self.poll(None)?;
            now = clock::monotonic();
        }
        let mut looked = false;
        while !found && (now < until || !looked) {
            found = self.poll(Some(Duration::ZERO))?;
            looked = true;
            now = clock::monotonic();
        }
        self.woke = now;
        Ok(())
    }

    fn next(&mut self) -> Option<Completion> {
        if let Some(completion) = self.ready.pop_front() {
            return Some(completion);
        }
        while let Some((token, readiness)) = self.pending.front_mut() {
            let token = *token;
            let socket =
                self.sockets.get_mut(token.slot as usize).and_then(Option::as_mut).filter(|s| s.token == token);
            let Some(event) =
                socket.and_then(|s| s.progress(readiness, &self.payload, &mut self.buffer, &mut self.received))
            else {
                self.pending.pop_front();
                continue;
            };
            if matches!(event, Event::ConnectFailed { .. }) {
                self.sockets[token.slot as usize] = None;
            }
            return Some(Completion { token, at: self.woke, event });
        }
        None
    }

    fn received(&self) -> &[u8] {
        &self.buffer[..self.received]
    }

    fn closing(&self) -> usize {
        0
    }
}

fn mio_token(token: Token) -> mio::Token {
    mio::Token((token.generation as usize) << 32 | token.slot as usize)
}

fn token_of(token: mio::Token) -> Token {
    Token { slot: token.0 as u32, generation: (token.0 >> 32) as u32 }
}
