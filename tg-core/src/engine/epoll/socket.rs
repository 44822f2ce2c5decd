//! One socket of the epoll engine: what is to be done with it when it is ready.

use crate::engine::{Connect, Event, Token};
use crate::sys::{self, epoll::Ready};
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};
use tg_model::plan::Transport;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    Open,
    /// Its end was told.
    Over,
}

/// What a poll said of a socket and was not dealt with yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Readiness {
    read: bool,
    write: bool,
    /// The peer will send nothing more, or the socket failed: read until that is told.
    end: bool,
}

impl Readiness {
    pub fn of(ready: Ready) -> Readiness {
        let end = ready.is_read_closed() || ready.is_error();
        Readiness { read: ready.is_readable() || end, write: ready.is_writable() || ready.is_error(), end }
    }
}

#[derive(Debug)]
pub(super) struct Socket {
    pub socket: socket2::Socket,
    pub token: Token,
    transport: Transport,
    state: State,
    /// The piece of the payload that the kernel has not taken yet.
    rest: Option<Range<usize>>,
}

pub(super) fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

impl Socket {
    /// Makes the socket, lets `register` see it, and connects it. With its own address where it is
    /// connected already.
    pub fn connect(
        token: Token,
        connect: &Connect,
        register: impl FnOnce(RawFd) -> io::Result<()>,
    ) -> io::Result<(Socket, Option<SocketAddr>)> {
        let socket = sys::socket::open(connect)?;
        register(socket.as_raw_fd())?;
        let state = match socket.connect(&connect.remote.into()) {
            Ok(()) => State::Open,
            Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => State::Connecting,
            Err(e) => return Err(e),
        };
        let local = if state == State::Open { Some(sys::socket::local(&socket)?) } else { None };
        Ok((Socket { socket, token, transport: connect.transport, state, rest: None }, local))
    }

    /// Sends a piece of the payload; what the kernel does not take at once goes when it can.
    pub fn send(&mut self, payload: &[u8], piece: Range<usize>) -> Event {
        match sys::socket::send(&self.socket, &payload[piece.clone()]) {
            Ok(n) if n == piece.len() => Event::Sent { whole: true },
            Ok(n) => {
                self.rest = Some(piece.start + n..piece.end);
                Event::Sent { whole: false }
            }
            Err(e) => unsent(&e),
        }
    }

    pub fn send_datagram(&mut self, bytes: &[u8]) -> Event {
        match sys::socket::send(&self.socket, bytes) {
            Ok(_) => Event::Sent { whole: true },
            Err(e) => unsent(&e),
        }
    }

    /// Does the next thing that `readiness` still says and tells what came of it; `None`: nothing left.
    pub fn progress(
        &mut self,
        readiness: &mut Readiness,
        payload: &[u8],
        buffer: &mut [u8],
        received: &mut usize,
    ) -> Option<Event> {
        if self.state == State::Over {
            return None;
        }
        if self.state == State::Connecting {
            return self.finish_connect(readiness);
        }
        if readiness.write {
            readiness.write = false;
            if let Some(event) = self.send_rest(payload) {
                return Some(event);
            }
        }
        if readiness.read { self.receive(readiness, buffer, received) } else { None }
    }

    fn finish_connect(&mut self, readiness: &Readiness) -> Option<Event> {
        if !readiness.write && !readiness.end {
            return None;
        }
        let failed = |e: io::Error| Some(Event::ConnectFailed { errno: errno(&e) });
        match self.socket.take_error() {
            Ok(None) => {}
            Ok(Some(e)) | Err(e) => return failed(e),
        }
        // Writable without an error and without a peer: a spurious event, the attempt goes on.
        self.socket.peer_addr().ok()?;
        match sys::socket::local(&self.socket) {
            Ok(local) => {
                self.state = State::Open;
                Some(Event::Connected { local })
            }
            Err(e) => failed(e),
        }
    }

    fn send_rest(&mut self, payload: &[u8]) -> Option<Event> {
        let rest = self.rest.take()?;
        match sys::socket::send(&self.socket, &payload[rest.clone()]) {
            Ok(n) if n == rest.len() => Some(Event::SentRest),
            Ok(n) => {
                self.rest = Some(rest.start + n..rest.end);
                None
            }
            Err(e) if is_transient(&e) => {
                self.rest = Some(rest);
                None
            }
            Err(e) => {
                self.state = State::Over;
                Some(Event::Failed { errno: errno(&e) })
            }
        }
    }

    fn receive(&mut self, readiness: &mut Readiness, buffer: &mut [u8], received: &mut usize) -> Option<Event> {
        loop {
            match sys::socket::receive(&self.socket, buffer) {
                Ok(0) if self.transport == Transport::Tcp => {
                    self.state = State::Over;
                    return Some(Event::PeerClosed);
                }
                Ok(n) => {
                    *received = n;
                    // A short read emptied a stream: whatever comes later is a new edge.
                    let emptied = self.transport == Transport::Tcp && n < buffer.len();
                    readiness.read = readiness.end || !emptied;
                    return Some(Event::Received);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return None,
                Err(e) => {
                    // A datagram socket lives on after an ICMP error.
                    if self.transport == Transport::Tcp {
                        self.state = State::Over;
                    }
                    return Some(Event::Failed { errno: errno(&e) });
                }
            }
        }
    }
}

fn is_transient(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn unsent(e: &io::Error) -> Event {
    Event::Unsent { errno: if is_transient(e) { None } else { Some(errno(e)) } }
}
