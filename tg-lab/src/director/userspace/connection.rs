//! One TCP connection through the proxy: accepted, connected, relayed. Changes when its course does.

use super::nodes::{Nodes, Ticket};
use super::relay::{Next, Relay};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::SockRef;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;
use tg_model::node_event::ProxyEnd;

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// How far it is.
#[derive(Debug)]
enum Course {
    /// The backend's half is still to be begun: later than at once, where the backend is cut off.
    Accepted { client: TcpStream },
    /// The backend's half is being established.
    Connecting { client: TcpStream, backend: TcpStream },
    /// Both halves are there.
    Open(Relay),
    /// Nothing is left of it.
    Over,
}

/// See the module.
#[derive(Debug)]
pub struct Connection {
    /// What was decided for it.
    pub ticket: Ticket,
    course: Course,
    /// Its end was told, and it is counted no longer.
    told: bool,
}

/// What comes of it next.
#[derive(Debug)]
pub enum Step {
    /// Something at its next event.
    Wait,
    /// Something without an event.
    Again,
    /// Its client was gone before the backend's half was there.
    Gone(ProxyEnd),
    /// The backend's half could not be established.
    Failed(io::Error),
    /// Nothing: both halves have ended.
    Over,
}

impl Connection {
    /// A client's, whose backend is known.
    ///
    /// # Errors
    /// The poll does not take it: it is reset.
    pub fn accepted(
        ticket: Ticket,
        mut client: TcpStream,
        token: Token,
        registry: &Registry,
    ) -> io::Result<Connection> {
        match registry.register(&mut client, token, BOTH) {
            Ok(()) => Ok(Connection { ticket, course: Course::Accepted { client }, told: false }),
            Err(e) => {
                reset(client);
                Err(e)
            }
        }
    }

    /// Begins the backend's half, of one that has none.
    ///
    /// # Errors
    /// It cannot be begun.
    pub fn connect(&mut self, token: Token, registry: &Registry) -> io::Result<()> {
        if !matches!(self.course, Course::Accepted { .. }) {
            return Ok(());
        }
        let mut backend = TcpStream::connect(self.ticket.backend)?;
        registry.register(&mut backend, token, BOTH)?;
        if let Course::Accepted { client } = std::mem::replace(&mut self.course, Course::Over) {
            self.course = Course::Connecting { client, backend };
        }
        Ok(())
    }

    /// Its backend is cut off, or no longer; whether there is something to be advanced.
    pub fn hold(&mut self, on: bool) -> bool {
        let Course::Open(relay) = &mut self.course else { return false };
        relay.hold(on);
        true
    }

    /// Does what can be done without blocking. `client_gone`: how its client ended it, by an event; `held`: its backend
    /// is cut off.
    pub fn advance(&mut self, client_gone: Option<ProxyEnd>, held: bool, nodes: &mut Nodes, buffer: &mut [u8]) -> Step {
        let without_backend = client_gone.map_or(Step::Wait, Step::Gone);
        match &mut self.course {
            Course::Accepted { .. } => without_backend,
            Course::Connecting { backend, .. } => match established(backend) {
                Ok(None) => without_backend,
                Err(e) => Step::Failed(e),
                Ok(Some(local)) => {
                    nodes.made(&mut self.ticket, local);
                    self.open(held);
                    self.relay(nodes, buffer)
                }
            },
            Course::Open(_) | Course::Over => self.relay(nodes, buffer),
        }
    }

    fn open(&mut self, held: bool) {
        if let Course::Connecting { client, backend } = std::mem::replace(&mut self.course, Course::Over) {
            let mut relay = Relay::new(client, backend);
            relay.hold(held);
            self.course = Course::Open(relay);
        }
    }

    fn relay(&mut self, nodes: &mut Nodes, buffer: &mut [u8]) -> Step {
        let Course::Open(relay) = &mut self.course else { return Step::Over };
        let next = relay.advance(buffer);
        if let Some(end) = relay.end()
            && !std::mem::replace(&mut self.told, true)
        {
            nodes.ended(&self.ticket, end);
        }
        match next {
            Next::Wait => Step::Wait,
            Next::Again => Step::Again,
            Next::Over => Step::Over,
        }
    }

    /// Its client's half alone; `None` where the backend's is there, too.
    pub fn into_client(self) -> Option<TcpStream> {
        match self.course {
            Course::Accepted { client } | Course::Connecting { client, .. } => Some(client),
            Course::Open(_) | Course::Over => None,
        }
    }

    /// Its backend's half alone, as it is: its peer is told nothing as long as it is kept.
    pub fn into_backend(self) -> Option<TcpStream> {
        match self.course {
            Course::Open(relay) => Some(relay.into_backend()),
            _ => None,
        }
    }

    /// Resets what there is of it, and tells of its end where that was not told.
    pub fn reset(self, end: ProxyEnd, nodes: &mut Nodes) {
        if !self.told {
            nodes.ended(&self.ticket, end);
        }
        match self.course {
            Course::Accepted { client } | Course::Connecting { client, .. } => reset(client),
            Course::Open(relay) => relay.reset(),
            Course::Over => {}
        }
    }
}

/// The proxy's own end of a connection that is established by now; `None`: not yet.
fn established(backend: &TcpStream) -> io::Result<Option<SocketAddr>> {
    if let Some(error) = backend.take_error()? {
        return Err(error);
    }
    match backend.peer_addr() {
        Ok(_) => backend.local_addr().map(Some),
        Err(e) if e.kind() == ErrorKind::NotConnected => Ok(None),
        Err(e) => Err(e),
    }
}

/// Closes a connection by a reset.
pub fn reset(stream: TcpStream) {
    // Where it fails, a FIN goes instead.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}
