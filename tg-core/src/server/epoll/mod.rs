//! The server on epoll: one thread, many sockets. Changes with how events, time and commands drive the
//! connections; what a connection does is in `connection`.

mod connection;
mod datagrams;
mod slots;

use super::control::{Command, Control};
use super::introduction::Introduction;
use super::listen::Sockets;
use super::{Config, Drain, ServerError, Thread};
use crate::sys::clock;
use connection::{Connection, Next};
use datagrams::Datagrams;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use slots::Slots;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tg_model::time::Nanos;

const WAKE: Token = Token(usize::MAX);
/// One buffer for all reads; it bounds what a connection whose client does not read can have pending.
/// No datagram is longer.
const BUFFER: usize = 64 * 1024;
const EVENTS: usize = 1024;
/// How long nothing is accepted after the system refused to: descriptors do not come back sooner
/// because of being asked for.
const ACCEPT_PAUSE: Nanos = Nanos::from_millis(100);

/// epoll counts milliseconds in an int: some weeks at most.
const LONGEST_WAIT: Nanos = Nanos::from_secs(3600);

/// Starts the server's thread.
pub(super) fn start(sockets: Sockets, config: &Config) -> Result<(Arc<Control>, Thread), ServerError> {
    let setup = |error| ServerError::Setup { what: "set up epoll", error };
    let poll = Poll::new().map_err(setup)?;
    let waker = Waker::new(poll.registry(), WAKE).map_err(setup)?;
    // A wake that fails could only be one that the thread has still to take note of.
    let control = Arc::new(Control::new(move || drop(waker.wake())));
    let server = Server::new(poll, sockets, config, Arc::clone(&control)).map_err(setup)?;
    Ok((control, super::spawn(move || server.run())?))
}

struct Server {
    poll: Poll,
    control: Arc<Control>,
    drain: Drain,
    introduction: Introduction,
    /// Tokens from 0 on: the listeners (gone while draining), then the datagram sockets, then the
    /// connections.
    listeners: Vec<TcpListener>,
    first_datagrams: usize,
    datagrams: Vec<Datagrams>,
    first_connection: usize,
    connections: Slots<Connection<TcpStream>>,
    buffer: Box<[u8]>,
    /// Sockets that had more to do than their turn allows; epoll will not name them again.
    again: Vec<Token>,
    accept_paused_until: Option<Nanos>,
    drained_at: Option<Nanos>,
}

impl Server {
    fn new(poll: Poll, sockets: Sockets, config: &Config, control: Arc<Control>) -> io::Result<Server> {
        let mut listeners = Vec::with_capacity(sockets.tcp.len());
        for listener in sockets.tcp {
            listener.set_nonblocking(true)?;
            let mut listener = TcpListener::from_std(listener);
            poll.registry().register(&mut listener, Token(listeners.len()), Interest::READABLE)?;
            listeners.push(listener);
        }
        let first_datagrams = listeners.len();
        let mut datagrams = Vec::with_capacity(sockets.udp.len());
        for socket in sockets.udp {
            let token = Token(first_datagrams + datagrams.len());
            datagrams.push(Datagrams::new(socket, poll.registry(), token)?);
        }
        Ok(Server {
            poll,
            control,
            drain: config.drain,
            introduction: Introduction::new(config),
            first_connection: first_datagrams + datagrams.len(),
            listeners,
            first_datagrams,
            datagrams,
            connections: Slots::default(),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            again: Vec::new(),
            accept_paused_until: None,
            drained_at: None,
        })
    }

    fn run(mut self) -> Result<(), ServerError> {
        let result = self.serve();
        self.close();
        result
    }

    fn serve(&mut self) -> Result<(), ServerError> {
        let mut events = Events::with_capacity(EVENTS);
        while !self.is_over() {
            match self.poll.poll(&mut events, self.timeout()) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(ServerError::Wait(e)),
            }
            // Before the events, too: what is to die reads no more.
            if self.is_over() {
                break;
            }
            let mut again = std::mem::take(&mut self.again);
            again.sort_unstable();
            again.dedup();
            for event in &events {
                self.advance(event.token(), event.is_read_closed());
            }
            for token in again {
                self.advance(token, false);
            }
            self.resume_accepting();
        }
        Ok(())
    }

    /// Until when to wait for events at most.
    fn timeout(&self) -> Option<Duration> {
        // The last connection of a drain leaves no event behind.
        let drained = self.drained_at.is_some() && self.is_empty();
        if drained || !self.again.is_empty() {
            return Some(Duration::ZERO);
        }
        let due = [self.accept_paused_until, self.drained_at].into_iter().flatten().min()?;
        Some(due.since(clock::monotonic()).min(LONGEST_WAIT).into())
    }

    /// Nobody is left to be served. With UDP there always may be.
    fn is_empty(&self) -> bool {
        self.connections.is_empty() && self.datagrams.is_empty()
    }

    /// Obeys the command; whether all is to be closed now.
    fn is_over(&mut self) -> bool {
        match (self.control.command(), self.drain) {
            (Command::Serve, _) => false,
            (Command::Drain, Drain::Wait(limit)) => {
                let now = clock::monotonic();
                let drained_at = *self.drained_at.get_or_insert(now + limit.into());
                self.listeners.clear();
                self.accept_paused_until = None;
                now >= drained_at || self.is_empty()
            }
            (Command::Drain, Drain::Close | Drain::Reset) | (Command::Close, _) => true,
        }
    }

    fn advance(&mut self, token: Token, hang_up: bool) {
        // The waker has nothing to do: the command was looked at already.
        if token == WAKE {
        } else if token.0 < self.first_datagrams {
            self.accept(token.0);
        } else if token.0 < self.first_connection {
            let socket = &mut self.datagrams[token.0 - self.first_datagrams];
            if socket.advance(&mut self.buffer, &mut self.introduction, &self.control.counters) {
                self.again.push(token);
            }
        } else {
            self.advance_connection(token, hang_up);
        }
    }

    fn advance_connection(&mut self, token: Token, hang_up: bool) {
        let slot = token.0 - self.first_connection;
        // A connection that ended earlier in this batch leaves its events behind. One that has got its
        // slot since tries to read, and finds nothing: no harm.
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let counters = &self.control.counters;
        match connection.advance(hang_up, &mut self.buffer, &mut self.introduction, counters) {
            Next::Wait => {}
            Next::Again => self.again.push(token),
            Next::Close => {
                if let Some(connection) = self.connections.remove(slot) {
                    connection.retire(counters);
                }
            }
        }
    }

    fn accept(&mut self, which: usize) {
        if self.accept_paused_until.is_some() {
            return;
        }
        // None while draining: an event of a listener that was closed since.
        while let Some(listener) = self.listeners.get(which) {
            match listener.accept() {
                Ok((stream, peer)) => self.open(stream, peer),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // This one is gone; the next may be well.
                Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => self.control.counters.accept_errors.add(1),
                Err(_) => {
                    self.control.counters.accept_errors.add(1);
                    self.accept_paused_until = Some(clock::monotonic() + ACCEPT_PAUSE);
                    return;
                }
            }
        }
    }

    fn open(&mut self, mut stream: TcpStream, peer: SocketAddr) {
        // It fails only where the client has gone already, which the first read will tell.
        let _ = stream.set_nodelay(true);
        let counters = &self.control.counters;
        let slot = self.connections.next();
        let token = Token(self.first_connection + slot);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self.poll.registry().register(&mut stream, token, interest).is_err() {
            counters.accept_errors.add(1);
            return;
        }
        self.connections.insert(Connection::new(stream, peer));
        counters.connections.add(1);
        counters.connections_total.add(1);
    }

    fn resume_accepting(&mut self) {
        if self.accept_paused_until.is_some_and(|until| clock::monotonic() >= until) {
            self.accept_paused_until = None;
            for which in 0..self.listeners.len() {
                self.accept(which);
            }
        }
    }

    /// Closes everything, the listeners first: a client that comes back at once finds nobody.
    fn close(mut self) {
        self.listeners.clear();
        let reset = self.drain == Drain::Reset && self.control.command() == Command::Drain;
        for connection in self.connections.drain() {
            if reset {
                connection.will_reset();
            }
            connection.retire(&self.control.counters);
        }
    }
}
