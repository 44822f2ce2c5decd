//! UDP through the proxy: a flow is a client's address and what was decided for it. Changes when a flow's course
//! does.

use super::nodes::{Nodes, Ticket};
use super::worker::Traffic;
use mio::event::Event;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use slab::Slab;
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use tg_model::node_event::ProxyEnd;

/// A flow without a datagram of its client for so long is over: nothing else says so.
const IDLE: Duration = Duration::from_secs(10);
/// How often idle flows are looked for.
const SWEEP: Duration = Duration::from_secs(1);
/// Datagrams of one socket that one turn may take.
const PER_TURN: usize = 256;
/// No datagram is longer.
const DATAGRAM_MAX: usize = 64 << 10;

#[derive(Debug)]
struct Flow {
    ticket: Ticket,
    vip: usize,
    client: SocketAddr,
    socket: UdpSocket,
    used: Instant,
}

/// All UDP flows.
#[derive(Debug)]
pub struct Flows {
    services: Vec<UdpSocket>,
    flows: Slab<Flow>,
    by_client: HashMap<(usize, SocketAddr), usize>,
    /// Backends that no datagram gets to or from.
    cut_off: Vec<SocketAddr>,
    swept: Instant,
    /// Sockets (by token) that may hold more.
    again: Vec<usize>,
    buffer: Box<[u8]>,
}

impl Flows {
    /// On these sockets, one an address of the service.
    pub fn new(mut services: Vec<UdpSocket>, registry: &Registry) -> io::Result<Flows> {
        for (nth, socket) in services.iter_mut().enumerate() {
            registry.register(socket, Token(nth), Interest::READABLE)?;
        }
        Ok(Flows {
            services,
            flows: Slab::new(),
            by_client: HashMap::new(),
            cut_off: Vec::new(),
            swept: Instant::now(),
            again: Vec::new(),
            buffer: vec![0; DATAGRAM_MAX].into(),
        })
    }

    fn of_token(&mut self, token: usize, nodes: &mut Nodes, registry: &Registry) {
        for _ in 0..PER_TURN {
            let more = match token.checked_sub(self.services.len()) {
                None => self.take_from_client(token, nodes, registry),
                Some(key) => self.take_from_backend(key, nodes),
            };
            if !more {
                return;
            }
        }
        self.again.push(token);
    }

    /// Takes one datagram of a client; whether there may be more.
    fn take_from_client(&mut self, vip: usize, nodes: &mut Nodes, registry: &Registry) -> bool {
        let Some(service) = self.services.get(vip) else { return false };
        let (len, client) = match service.recv_from(&mut self.buffer) {
            Ok(received) => received,
            // Any other is of an answer that a client did not take: it says nothing of what comes.
            Err(e) => return e.kind() != ErrorKind::WouldBlock,
        };
        let known = self.by_client.get(&(vip, client)).copied();
        let Some(key) = known.or_else(|| self.begin(vip, client, nodes, registry)) else { return true };
        let Some(flow) = self.flows.get_mut(key) else { return true };
        flow.used = Instant::now();
        if self.cut_off.contains(&flow.ticket.backend) {
            return true;
        }
        match flow.socket.send(&self.buffer[..len]) {
            // As on any other queue of a network, what finds it full is lost.
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => self.end(key, failure(&e), nodes),
        }
        true
    }

    /// Takes one answer of a backend; whether there may be more.
    fn take_from_backend(&mut self, key: usize, nodes: &mut Nodes) -> bool {
        let Some(flow) = self.flows.get(key) else { return false };
        match flow.socket.recv(&mut self.buffer) {
            Ok(_) if self.cut_off.contains(&flow.ticket.backend) => true,
            Ok(len) => {
                if let Some(service) = self.services.get(flow.vip) {
                    // Full, or nobody there: lost.
                    let _ = service.send_to(&self.buffer[..len], flow.client);
                }
                true
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => false,
            Err(e) => {
                self.end(key, failure(&e), nodes);
                false
            }
        }
    }

    fn begin(&mut self, vip: usize, client: SocketAddr, nodes: &mut Nodes, registry: &Registry) -> Option<usize> {
        let mut ticket = nodes.decide(vip, client)?;
        let any = match ticket.backend {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
        };
        let entry = self.flows.vacant_entry();
        let token = Token(self.services.len() + entry.key());
        let open = || -> io::Result<(UdpSocket, SocketAddr)> {
            let mut socket = UdpSocket::bind(any)?;
            socket.connect(ticket.backend)?;
            registry.register(&mut socket, token, Interest::READABLE)?;
            let local = socket.local_addr()?;
            Ok((socket, local))
        };
        match open() {
            Ok((socket, local)) => {
                nodes.made(&mut ticket, local);
                let key = entry.key();
                entry.insert(Flow { ticket, vip, client, socket, used: Instant::now() });
                self.by_client.insert((vip, client), key);
                Some(key)
            }
            Err(e) => {
                nodes.ended(&ticket, failure(&e));
                None
            }
        }
    }

    fn end(&mut self, key: usize, end: ProxyEnd, nodes: &mut Nodes) {
        if let Some(flow) = self.flows.try_remove(key) {
            self.by_client.remove(&(flow.vip, flow.client));
            nodes.ended(&flow.ticket, end);
        }
    }

    fn end_where(&mut self, end: ProxyEnd, nodes: &mut Nodes, which: impl Fn(&Flow) -> bool) {
        let keys: Vec<usize> = self.flows.iter().filter(|(_, f)| which(f)).map(|(key, _)| key).collect();
        keys.into_iter().for_each(|key| self.end(key, end, nodes));
    }
}

impl Traffic for Flows {
    fn event(&mut self, event: &Event, nodes: &mut Nodes, registry: &Registry) {
        self.of_token(event.token().0, nodes, registry);
    }

    fn turn(&mut self, nodes: &mut Nodes, registry: &Registry) -> Option<Duration> {
        for token in std::mem::take(&mut self.again) {
            self.of_token(token, nodes, registry);
        }
        if self.swept.elapsed() >= SWEEP {
            self.swept = Instant::now();
            self.end_where(ProxyEnd::ClientClosed, nodes, |f| f.used.elapsed() >= IDLE);
        }
        Some(if self.again.is_empty() { SWEEP } else { Duration::ZERO })
    }

    /// Nothing resets a flow.
    fn reset(&mut self, _: &[SocketAddr], _: &mut Nodes) {}

    /// What is sent meanwhile is lost: nobody sends a datagram again.
    fn cut_off(&mut self, backends: &[SocketAddr], on: bool, _: &mut Nodes, _: &Registry) {
        if on {
            self.cut_off.extend(backends);
        } else {
            self.cut_off.retain(|a| !backends.contains(a));
        }
    }

    fn endpoints_gone(&mut self, backends: &[SocketAddr], nodes: &mut Nodes) {
        self.end_where(ProxyEnd::Proxy, nodes, |f| backends.contains(&f.ticket.backend));
    }

    fn finish(&mut self, nodes: &mut Nodes) {
        self.end_where(ProxyEnd::Proxy, nodes, |_| true);
    }
}

fn failure(e: &io::Error) -> ProxyEnd {
    match e.kind() {
        ErrorKind::ConnectionRefused => ProxyEnd::BackendRefused,
        _ => ProxyEnd::BackendUnreachable,
    }
}
