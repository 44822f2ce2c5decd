//! One proxied TCP connection: what comes from one half goes to the other, a FIN as a FIN, a reset as a reset.
//! Changes when what is passed on does.

use mio::net::TcpStream;
use socket2::SockRef;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Duration;
use tg_core::sys::tcp_info;
use tg_model::node_event::ProxyEnd;

/// Reads that one direction may make before other connections have their turn.
const READS_PER_TURN: usize = 8;
/// States of a socket whose peer has not sent a FIN: ESTABLISHED, FIN_WAIT1 and FIN_WAIT2 (include/net/tcp_states.h).
const WITHOUT_FIN: [u8; 3] = [1, 4, 5];

/// When a relay is to be advanced next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At its next event.
    Wait,
    /// Without an event: it may have more to do now.
    Again,
    /// Never: it is over.
    Over,
}

/// One half, and what its kernel has not taken yet.
#[derive(Debug)]
struct Half {
    stream: TcpStream,
    /// From `taken` on: for this half's peer. Nothing is read from the other half while there is some, so it is
    /// never more than one read gave. No memory where there is none.
    pending: Vec<u8>,
    taken: usize,
    /// The peer sent its FIN, and that was passed on.
    over: bool,
}

/// What stopped a direction.
enum Stop {
    /// Nothing to read, or no room to write: an event will come.
    Blocked,
    /// The one that is read from closed its side, and all that it sent was passed on.
    Finished,
    /// Others have their turn.
    Turn,
    /// The half read from failed.
    ReadFailed,
    /// The half written to failed.
    WriteFailed,
}

/// A client's connection and the backend's that stands for it.
#[derive(Debug)]
pub struct Relay {
    client: Half,
    backend: Half,
    end: Option<ProxyEnd>,
    held: bool,
}

impl Half {
    fn new(stream: TcpStream) -> Half {
        // It only delays: a socket without it works as well.
        let _ = stream.set_nodelay(true);
        Half { stream, pending: Vec::new(), taken: 0, over: false }
    }

    /// Writes what is pending; true where nothing is left.
    fn flush(&mut self) -> io::Result<bool> {
        while self.taken < self.pending.len() {
            match self.stream.write(&self.pending[self.taken..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => self.taken += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(e),
            }
        }
        if !self.pending.is_empty() {
            (self.pending, self.taken) = (Vec::new(), 0);
        }
        Ok(true)
    }

    /// Has the close of this half send a reset.
    fn will_reset(&self) {
        // It cannot fail on a socket that is open; where it did, a FIN would go instead.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}

/// Passes on what `from` sends.
fn pass(from: &mut Half, to: &mut Half, buffer: &mut [u8]) -> Stop {
    for _ in 0..READS_PER_TURN {
        match to.flush() {
            Ok(true) => {}
            Ok(false) => return Stop::Blocked,
            Err(_) => return Stop::WriteFailed,
        }
        if from.over {
            return Stop::Finished;
        }
        match from.stream.read(buffer) {
            Ok(0) => {
                from.over = true;
                // An error shows at the next read from it.
                let _ = to.stream.shutdown(Shutdown::Write);
            }
            Ok(n) => to.pending.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Stop::Blocked,
            Err(_) => return Stop::ReadFailed,
        }
    }
    Stop::Turn
}

impl Relay {
    /// Both halves are established.
    pub fn new(client: TcpStream, backend: TcpStream) -> Relay {
        Relay { client: Half::new(client), backend: Half::new(backend), end: None, held: false }
    }

    /// Who ended it first and how, once that is known: from there on it only passes on what is left.
    pub fn end(&self) -> Option<ProxyEnd> {
        self.end
    }

    /// From now on nothing is passed on, or it is again. What is sent meanwhile waits in the kernel: a sender that
    /// is not acknowledged sends it again once the way is healed.
    pub fn hold(&mut self, on: bool) {
        self.held = on;
    }

    /// Does what can be done without blocking. The backend's side comes first: where both have ended, it was
    /// the backend, since clients keep their connections.
    pub fn advance(&mut self, buffer: &mut [u8]) -> Next {
        if self.held {
            return self.look();
        }
        let back = pass(&mut self.backend, &mut self.client, buffer);
        let failed = match back {
            Stop::ReadFailed => Some(ProxyEnd::BackendReset),
            Stop::WriteFailed => Some(ProxyEnd::ClientReset),
            _ => None,
        };
        if let Some(end) = failed {
            return self.broken(end);
        }
        if self.backend.over {
            self.end.get_or_insert(ProxyEnd::BackendClosed);
        }
        let forth = pass(&mut self.client, &mut self.backend, buffer);
        match forth {
            Stop::ReadFailed => return self.broken(ProxyEnd::ClientReset),
            Stop::WriteFailed => return self.broken(ProxyEnd::BackendReset),
            _ => {}
        }
        if self.client.over {
            self.end.get_or_insert(ProxyEnd::ClientClosed);
        }
        match (back, forth) {
            (Stop::Finished, Stop::Finished) => Next::Over,
            (Stop::Turn, _) | (_, Stop::Turn) => Next::Again,
            _ => Next::Wait,
        }
    }

    /// Resets both halves.
    pub fn reset(self) {
        self.client.will_reset();
        self.backend.will_reset();
    }

    /// The backend's half alone, as it is: its peer is told nothing as long as it is kept.
    pub fn into_backend(self) -> TcpStream {
        self.backend.stream
    }

    fn broken(&mut self, end: ProxyEnd) -> Next {
        self.end.get_or_insert(end);
        self.client.will_reset();
        self.backend.will_reset();
        Next::Over
    }

    /// Whether the client is gone, without reading what it sent. Its FIN waits with that; a reset comes only once, and
    /// the backend never hears of it.
    fn look(&mut self) -> Next {
        let Some(end) = gone(&self.client.stream) else { return Next::Wait };
        self.end.get_or_insert(end);
        if end == ProxyEnd::ClientReset { Next::Over } else { Next::Wait }
    }
}

/// How a client ended its side, if it did.
fn gone(client: &TcpStream) -> Option<ProxyEnd> {
    if !matches!(client.take_error(), Ok(None)) {
        return Some(ProxyEnd::ClientReset);
    }
    let up = tcp_info::read(client).is_none_or(|info| WITHOUT_FIN.contains(&info.state));
    (!up).then_some(ProxyEnd::ClientClosed)
}
