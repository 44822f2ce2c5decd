//! All of TCP through the proxy: which connection an event or an order is of, and what remains of one that ended.
//! Changes when an order is added.

#[cfg(test)]
mod tests;

use super::connection::{Connection, Step, reset};
use super::nodes::Nodes;
use super::worker::Traffic;
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
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
/// The halves of a connection, in the order of their tokens.
const CLIENT: usize = 0;
const BACKEND: usize = 1;

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
    /// On these listeners, one an address of the service. The first tokens are theirs, then come the connections'.
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

    fn accepted(&mut self, vip: usize, client: TcpStream, from: SocketAddr, nodes: &mut Nodes, registry: &Registry) {
        let Some(ticket) = nodes.decide(vip, from) else {
            self.refuse(client);
            return;
        };
        let key = self.next;
        self.next += 1;
        match Connection::accepted(ticket, client, self.token(key, CLIENT), registry) {
            Ok(connection) => {
                self.connections.insert(key, connection);
                if !self.cut_off.contains(&ticket.backend) {
                    self.connect(key, nodes, registry);
                }
            }
            Err(_) => nodes.ended(&ticket, ProxyEnd::Proxy),
        }
    }

    fn token(&self, key: usize, half: usize) -> Token {
        Token(self.listeners.len() + 2 * key + half)
    }

    fn connect(&mut self, key: usize, nodes: &mut Nodes, registry: &Registry) {
        let token = self.token(key, BACKEND);
        let Some(connection) = self.connections.get_mut(&key) else { return };
        if let Err(e) = connection.connect(token, registry) {
            self.backend_failed(key, &e, nodes);
        }
    }

    fn advance(&mut self, key: usize, client_gone: Option<ProxyEnd>, nodes: &mut Nodes) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        let is_cut_off = self.cut_off.contains(&connection.ticket.backend);
        match connection.advance(client_gone, is_cut_off, nodes, &mut self.buffer) {
            Step::Wait => {}
            Step::Again => self.again.push(key),
            Step::Gone(end) => self.drop_with(key, end, nodes),
            Step::Failed(e) => self.backend_failed(key, &e, nodes),
            Step::Over => {
                let over = self.connections.remove(&key).filter(|_| is_cut_off);
                self.buried.extend(over.and_then(Connection::into_backend));
            }
        }
    }

    /// It could not be established.
    fn backend_failed(&mut self, key: usize, error: &io::Error, nodes: &mut Nodes) {
        let Some(connection) = self.connections.remove(&key) else { return };
        nodes.ended(&connection.ticket, failure(error));
        if let Some(client) = connection.into_client() {
            self.refuse(client);
        }
    }

    fn refuse(&mut self, client: TcpStream) {
        self.refused.push_back((Instant::now() + REFUSAL, client));
    }

    /// Resets what there is of it.
    fn drop_with(&mut self, key: usize, end: ProxyEnd, nodes: &mut Nodes) {
        if let Some(connection) = self.connections.remove(&key) {
            connection.reset(end, nodes);
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
        let is_client = of_connections % 2 == CLIENT;
        let gone = match (event.is_error(), event.is_read_closed()) {
            (true, _) => Some(ProxyEnd::ClientReset),
            (false, true) => Some(ProxyEnd::ClientClosed),
            (false, false) => None,
        };
        self.advance(of_connections / 2, gone.filter(|_| is_client), nodes);
    }

    fn turn(&mut self, nodes: &mut Nodes, registry: &Registry) -> Option<Duration> {
        for key in std::mem::take(&mut self.again) {
            self.advance(key, None, nodes);
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
            if self.connections.get_mut(&key).is_some_and(|c| c.hold(on)) {
                // What came meanwhile has had its event.
                self.again.push(key);
            } else if !on {
                self.connect(key, nodes, registry);
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

fn failure(e: &io::Error) -> ProxyEnd {
    match e.kind() {
        ErrorKind::ConnectionRefused => ProxyEnd::BackendRefused,
        _ => ProxyEnd::BackendUnreachable,
    }
}
