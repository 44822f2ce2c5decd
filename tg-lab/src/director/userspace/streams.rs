//! TCP through the proxy: accepted, decided on, connected, relayed. Changes when a connection's course does.

#[cfg(test)]
mod tests;

use super::nodes::{Nodes, Ticket};
use super::relay::{Next, Relay};
use super::worker::Traffic;
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use socket2::SockRef;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tg_model::node_event::ProxyEnd;

/// So long a client whose backend refused is kept before it is reset. Clients that reconnect at once would come
/// back thousands of times a second else, which no balancer that forwards packets has them do: there the refusal
/// is a failed attempt, with a wait after it.
const REFUSAL: Duration = Duration::from_millis(100);
/// Bytes that one read may give.
const READ_MAX: usize = 64 << 10;
const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// How far a connection is.
#[derive(Debug)]
enum Course {
    /// The backend's half is being established.
    Connecting { client: TcpStream, backend: TcpStream },
    /// Both halves are there.
    Open(Relay),
    /// The backend is cut off: its half is established once that is healed.
    CutOff { client: TcpStream },
    /// Nothing is left of it.
    Over,
}

#[derive(Debug)]
struct Connection {
    ticket: Ticket,
    course: Course,
    /// Its end was told, and it is counted no longer.
    told: bool,
}

/// All TCP connections.
#[derive(Debug)]
pub struct Streams {
    listeners: Vec<TcpListener>,
    /// By a number that is never given twice: one turn's events may be of a connection that ended in that turn, and of
    /// halves that outlive it.
    connections: BTreeMap<usize, Connection>,
    next: usize,
    /// Connections that have more to do without an event.
    again: Vec<usize>,
    /// Backends that nothing gets to or from.
    cut_off: Vec<SocketAddr>,
    /// Halves whose peers never hear of their end: they were cut off when a reset came for them.
    buried: Vec<TcpStream>,
    /// Clients to be reset, with the time.
    refused: VecDeque<(Instant, TcpStream)>,
    /// Listeners that could not accept for want of descriptors.
    stuck: bool,
    buffer: Box<[u8]>,
}

impl Streams {
    /// On these listeners, one an address of the service. Tokens from `first` on are theirs, then the
    /// connections'.
    pub fn new(mut listeners: Vec<TcpListener>, registry: &Registry) -> io::Result<Streams> {
        for (nth, listener) in listeners.iter_mut().enumerate() {
            registry.register(listener, Token(nth), Interest::READABLE)?;
        }
        Ok(Streams {
            listeners,
            connections: BTreeMap::new(),
            next: 0,
            again: Vec::new(),
            cut_off: Vec::new(),
            buried: Vec::new(),
            refused: VecDeque::new(),
            stuck: false,
            buffer: vec![0; READ_MAX].into(),
        })
    }

    fn accept_all(&mut self, vip: usize, nodes: &mut Nodes, registry: &Registry) {
        loop {
            match self.listeners.get(vip).map(TcpListener::accept) {
                Some(Ok((client, from))) => self.accepted(vip, client, from, nodes, registry),
                Some(Err(e)) if e.kind() == ErrorKind::WouldBlock => return,
                // The client has gone already, or a signal came.
                Some(Err(e)) if matches!(e.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                Some(Err(_)) => {
                    self.stuck = true;
                    return;
                }
                None => return,
            }
        }
    }

    fn accepted(
        &mut self,
        vip: usize,
        mut client: TcpStream,
        from: SocketAddr,
        nodes: &mut Nodes,
        registry: &Registry,
    ) {
        let Some(ticket) = nodes.decide(vip, from) else {
            self.refuse(client);
            return;
        };
        let is_cut_off = self.cut_off.contains(&ticket.backend);
        let key = self.next;
        self.next += 1;
        let token = Token(self.listeners.len() + 2 * key);
        let registered = registry.register(&mut client, token, BOTH);
        self.connections.insert(key, Connection { ticket, course: Course::CutOff { client }, told: false });
        if registered.is_err() {
            self.drop_with(key, ProxyEnd::Proxy, nodes);
        } else if !is_cut_off {
            self.connect(key, nodes, registry);
        }
    }

    /// Begins the backend's half, of a connection that has none.
    fn connect(&mut self, key: usize, nodes: &mut Nodes, registry: &Registry) {
        let token = Token(self.listeners.len() + 2 * key + 1);
        let Some(Connection { ticket, course, .. }) = self.connections.get_mut(&key) else { return };
        let begun = TcpStream::connect(ticket.backend).and_then(|mut backend| {
            registry.register(&mut backend, token, BOTH)?;
            Ok(backend)
        });
        match begun {
            Ok(backend) => {
                if let Course::CutOff { client } = std::mem::replace(course, Course::Over) {
                    *course = Course::Connecting { client, backend };
                }
            }
            Err(e) => self.backend_failed(key, &e, nodes),
        }
    }

    /// Something happened to one of its halves.
    fn advance(&mut self, key: usize, client_gone: Option<ProxyEnd>, nodes: &mut Nodes) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        match &mut connection.course {
            Course::Connecting { backend, .. } => match (established(backend), client_gone) {
                (Ok(Some(local)), _) => {
                    nodes.made(&mut connection.ticket, local);
                    self.open(key, nodes);
                }
                (Ok(None), None) => {}
                (Ok(None), Some(end)) => self.drop_with(key, end, nodes),
                (Err(e), _) => self.backend_failed(key, &e, nodes),
            },
            Course::CutOff { .. } => {
                if let Some(end) = client_gone {
                    self.drop_with(key, end, nodes);
                }
            }
            Course::Open(_) | Course::Over => self.relay(key, nodes),
        }
    }

    fn open(&mut self, key: usize, nodes: &mut Nodes) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        match std::mem::replace(&mut connection.course, Course::Over) {
            Course::Connecting { client, backend } => {
                let mut relay = Relay::new(client, backend);
                relay.hold(self.cut_off.contains(&connection.ticket.backend));
                connection.course = Course::Open(relay);
                self.relay(key, nodes);
            }
            other => connection.course = other,
        }
    }

    fn relay(&mut self, key: usize, nodes: &mut Nodes) {
        let Some(Connection { ticket, course: Course::Open(relay), told }) = self.connections.get_mut(&key) else {
            return;
        };
        let next = relay.advance(&mut self.buffer);
        if let Some(end) = relay.end()
            && !std::mem::replace(told, true)
        {
            nodes.ended(ticket, end);
        }
        match next {
            Next::Wait => {}
            Next::Again => self.again.push(key),
            Next::Over => {
                if let Some(Connection { ticket, course: Course::Open(relay), .. }) = self.connections.remove(&key)
                    && self.cut_off.contains(&ticket.backend)
                {
                    self.buried.push(relay.into_backend());
                }
            }
        }
    }

    /// It could not be established.
    fn backend_failed(&mut self, key: usize, error: &io::Error, nodes: &mut Nodes) {
        let Some(Connection { ticket, course, .. }) = self.connections.remove(&key) else { return };
        nodes.ended(&ticket, failure(error));
        if let Course::Connecting { client, .. } | Course::CutOff { client } = course {
            self.refuse(client);
        }
    }

    fn refuse(&mut self, client: TcpStream) {
        self.refused.push_back((Instant::now() + REFUSAL, client));
    }

    /// Resets what there is of it.
    fn drop_with(&mut self, key: usize, end: ProxyEnd, nodes: &mut Nodes) {
        let Some(Connection { ticket, course, told }) = self.connections.remove(&key) else { return };
        if !told {
            nodes.ended(&ticket, end);
        }
        match course {
            Course::Connecting { client, .. } | Course::CutOff { client } => reset(client),
            Course::Open(relay) => relay.reset(),
            Course::Over => {}
        }
    }

    fn keys_of(&self, addresses: &[SocketAddr]) -> Vec<usize> {
        let of = |(key, c): (&usize, &Connection)| addresses.contains(&c.ticket.backend).then_some(*key);
        self.connections.iter().filter_map(of).collect()
    }
}

impl Traffic for Streams {
    fn event(&mut self, event: &Event, nodes: &mut Nodes, registry: &Registry) {
        let Some(of_connections) = event.token().0.checked_sub(self.listeners.len()) else {
            self.accept_all(event.token().0, nodes, registry);
            return;
        };
        let is_client = of_connections % 2 == 0;
        let gone = match (event.is_error(), event.is_read_closed()) {
            (true, _) => Some(ProxyEnd::ClientReset),
            (false, true) => Some(ProxyEnd::ClientClosed),
            (false, false) => None,
        };
        self.advance(of_connections / 2, gone.filter(|_| is_client), nodes);
    }

    fn turn(&mut self, nodes: &mut Nodes, registry: &Registry) -> Option<Duration> {
        for key in std::mem::take(&mut self.again) {
            self.relay(key, nodes);
        }
        if std::mem::take(&mut self.stuck) {
            (0..self.listeners.len()).for_each(|vip| self.accept_all(vip, nodes, registry));
        }
        let now = Instant::now();
        while self.refused.front().is_some_and(|(at, _)| *at <= now) {
            self.refused.pop_front().into_iter().for_each(|(_, client)| reset(client));
        }
        let refusal = self.refused.front().map(|(at, _)| at.saturating_duration_since(now));
        let again = (!self.again.is_empty()).then_some(Duration::ZERO);
        let stuck = self.stuck.then_some(Duration::from_millis(10));
        [refusal, again, stuck].into_iter().flatten().min()
    }

    fn reset(&mut self, backends: &[SocketAddr], nodes: &mut Nodes) {
        for key in self.keys_of(backends) {
            self.drop_with(key, ProxyEnd::Proxy, nodes);
        }
    }

    fn cut_off(&mut self, backends: &[SocketAddr], on: bool, nodes: &mut Nodes, registry: &Registry) {
        if on {
            self.cut_off.extend(backends);
        } else {
            self.cut_off.retain(|a| !backends.contains(a));
        }
        for key in self.keys_of(backends) {
            match self.connections.get_mut(&key).map(|c| &mut c.course) {
                Some(Course::Open(relay)) => {
                    relay.hold(on);
                    // What came meanwhile has had its event.
                    self.again.push(key);
                }
                Some(Course::CutOff { .. }) if !on => self.connect(key, nodes, registry),
                _ => {}
            }
        }
    }

    /// Connections stay until their backend ends them.
    fn endpoints_gone(&mut self, _: &[SocketAddr], _: &mut Nodes) {}

    fn finish(&mut self, nodes: &mut Nodes) {
        let all: Vec<usize> = self.connections.keys().copied().collect();
        for key in all {
            self.drop_with(key, ProxyEnd::Proxy, nodes);
        }
        self.refused.drain(..).for_each(|(_, client)| reset(client));
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

fn failure(e: &io::Error) -> ProxyEnd {
    match e.kind() {
        ErrorKind::ConnectionRefused => ProxyEnd::BackendRefused,
        _ => ProxyEnd::BackendUnreachable,
    }
}

/// Closes a connection by a reset.
fn reset(stream: TcpStream) {
    // Where it fails, a FIN goes instead.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}
