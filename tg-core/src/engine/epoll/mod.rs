//! The epoll engine: edge-triggered. Changes when an engine's promises are to be kept in another way.

mod socket;

use super::{Closing, Completion, Connect, Engine, Event, Op, Token, first_byte_taken};
use crate::payload::Message;
use crate::sys::{self, clock, tcp_info};
use socket::{Readiness, Socket};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tg_model::tcp_info::TcpInfo;
use tg_model::time::Nanos;
use tg_model::wire::SEQUENCE_LEN;

const EVENTS_AT_ONCE: u16 = 256;
const RECEIVE_BUFFER: usize = 64 << 10;

/// See the module's documentation.
#[derive(Debug)]
pub struct Epoll {
    poll: sys::epoll::Epoll,
    sockets: Vec<Option<Socket>>,
    /// Sockets whose slots have others already, to be closed next, with what the kernel knew of them.
    replaced: Vec<(Socket, Option<TcpInfo>)>,
    /// Outcomes of operations that were over at once.
    ready: VecDeque<Completion>,
    /// How many of the sockets that the last poll named are dealt with.
    done: usize,
    /// What is left to do with the next one, once something was done with it.
    left: Option<Readiness>,
    /// When the last poll returned.
    woke: Nanos,
    /// When the last message was handed over, until something else is done: the next one begins then.
    sent: Option<Nanos>,
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
        Ok(Epoll {
            poll: sys::epoll::Epoll::new(EVENTS_AT_ONCE)?,
            sockets: (0..slots).map(|_| None).collect(),
            replaced: Vec::new(),
            ready: VecDeque::with_capacity(slots.min(EVENTS_AT_ONCE.into())),
            done: 0,
            left: None,
            woke: Nanos::ZERO,
            sent: None,
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
        if let Some(old) = self.sockets[token.slot as usize].take() {
            let info = tcp_info::read(&old.socket);
            self.replaced.push((old, info));
        }
        let outcome = Socket::connect(token, connect, |fd| self.poll.add(fd, number(token)));
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
        let before = self.sent.unwrap_or_else(clock::monotonic);
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
        let after = clock::monotonic();
        self.sent = Some(after);
        self.complete(token, before + first_byte_taken(after.since(before)), event);
    }

    fn close(&mut self, token: Token, closing: Closing) {
        let replaced = self.replaced.iter().position(|(s, _)| s.token == token);
        let (socket, info) = match replaced.map(|at| self.replaced.swap_remove(at)) {
            Some((socket, info)) => (Some(socket), info),
            None => {
                let socket = self.sockets[token.slot as usize].take_if(|s| s.token == token);
                let info = socket.as_ref().and_then(|s| tcp_info::read(&s.socket));
                (socket, info)
            }
        };
        if let (Some(socket), Closing::Reset) = (&socket, closing) {
            // Failing to set it leaves an orderly close.
            let _ = socket.socket.set_linger(Some(Duration::ZERO));
        }
        // Dropping the socket closes it, and takes it out of the poll.
        drop(socket);
        self.complete(token, clock::monotonic(), Event::Closed { info: info.map(Box::new) });
    }

    /// Asks for sockets that are ready, waiting for them until then at most. True where there are some.
    fn poll(&mut self, now: Nanos, until: Nanos) -> io::Result<bool> {
        self.done = 0;
        self.poll.wait(now, until)?;
        Ok(self.has_pending())
    }

    /// Sockets are ready that were not dealt with yet.
    fn has_pending(&self) -> bool {
        self.poll.ready(self.done).is_some()
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
            Op::Send(token, message) => return self.send(token, message),
            Op::Connect(token, connect) => self.connect(token, &connect),
            Op::Close(token, closing) => self.close(token, closing),
        }
        self.sent = None;
    }

    fn wait(&mut self, until: Nanos, spin: Nanos) -> io::Result<()> {
        if !self.ready.is_empty() || self.has_pending() {
            return Ok(());
        }
        let asleep_until = until - spin;
        let mut now = clock::monotonic();
        let mut found = false;
        let mut looked = false;
        while !found && (now < until || !looked) {
            // Asleep at first, awake in the spin window.
            found = self.poll(now, asleep_until)?;
            looked = true;
            now = clock::monotonic();
        }
        self.woke = now;
        Ok(())
    }

    fn warm(&mut self, token: Token) {
        if let Some(Some(socket)) = self.sockets.get(token.slot as usize) {
            std::hint::black_box(socket.token);
        }
    }

    fn linger(&mut self, until: Nanos) -> io::Result<()> {
        clock::sleep_until(until);
        Ok(())
    }

    fn next(&mut self) -> Option<Completion> {
        self.sent = None;
        if let Some(completion) = self.ready.pop_front() {
            return Some(completion);
        }
        // Back to the first cell: round the ring each packet would find a cold one.
        self.ready.clear();
        while let Some(ready) = self.poll.ready(self.done) {
            let token = token_of(ready.number);
            let readiness = self.left.get_or_insert_with(|| Readiness::of(ready));
            let socket =
                self.sockets.get_mut(token.slot as usize).and_then(Option::as_mut).filter(|s| s.token == token);
            let Some(event) =
                socket.and_then(|s| s.progress(readiness, &self.payload, &mut self.buffer, &mut self.received))
            else {
                self.left = None;
                self.done += 1;
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

/// A token as a number. The highest is nobody's: there are fewer slots than numbers for them.
fn number(token: Token) -> u64 {
    u64::from(token.generation) << 32 | u64::from(token.slot)
}

fn token_of(number: u64) -> Token {
    Token { slot: number as u32, generation: (number >> 32) as u32 }
}
