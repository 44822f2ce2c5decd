//! The nodes that the proxy stands for: which one a connection comes by, what it decides, what it tells. Changes
//! when what a node is does.

use super::journal::Journal;
use super::service::Service;
use crate::lab::LabError;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tg_model::cluster_event::Endpoint;
use tg_model::node_event::{NodeEvent, ProxyConn, ProxyConnPhase, ProxyEnd, Tuple};

/// A node: a service of its own for each of the service's addresses.
#[derive(Debug)]
pub struct Node {
    /// In the order of the service's addresses.
    pub services: Vec<Service>,
    /// What it tells.
    pub journal: Journal,
}

/// All of them.
#[derive(Debug)]
pub struct Nodes {
    nodes: Vec<Node>,
    /// So many of them, from the first on, get traffic.
    entries: usize,
}

/// A connection that a node decided on and counts; given back by [`Nodes::ended`].
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    node: usize,
    vip: usize,
    client: SocketAddr,
    /// The backend that was chosen.
    pub backend: SocketAddr,
    /// The proxy's own end towards it; unspecified as long as there is none.
    local: SocketAddr,
}

impl Nodes {
    /// Traffic goes to the first `entries` of them, by a hash of the client's address and port.
    pub fn new(nodes: Vec<Node>, entries: usize) -> Nodes {
        Nodes { entries: entries.clamp(1, nodes.len().max(1)), nodes }
    }

    /// All nodes hear of the endpoints.
    pub fn set_endpoints(&mut self, endpoints: &[Endpoint]) {
        self.nodes.iter_mut().flat_map(|n| &mut n.services).for_each(|b| b.set_endpoints(endpoints));
    }

    /// A client's new connection to an address of the service: the router's choice of a node (its multipath
    /// hash), then the node's choice of a backend. `None`: it has none.
    pub fn decide(&mut self, vip: usize, client: SocketAddr) -> Option<Ticket> {
        let node = self.entry(client);
        let Node { services, journal } = self.nodes.get_mut(node)?;
        let decision = services.get_mut(vip)?.choose(client);
        let chosen = decision.chosen;
        journal.event(NodeEvent::ProxyDecision(decision));
        let unspecified = |b: SocketAddr| match b {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        chosen.map(|backend| Ticket { node, vip, client, backend, local: unspecified(backend) })
    }

    /// Both halves are established; `local` is the proxy's end of the backend's.
    pub fn made(&mut self, ticket: &mut Ticket, local: SocketAddr) {
        ticket.local = local;
        self.tell(ticket, ProxyConnPhase::Made, None);
    }

    /// It ended, or it never came to be: it is counted no longer.
    pub fn ended(&mut self, ticket: &Ticket, end: ProxyEnd) {
        self.tell(ticket, ProxyConnPhase::Ended, Some(end));
        if let Some(b) = self.nodes.get_mut(ticket.node).and_then(|n| n.services.get_mut(ticket.vip)) {
            b.release(ticket.backend);
        }
    }

    fn tell(&mut self, ticket: &Ticket, phase: ProxyConnPhase, end: Option<ProxyEnd>) {
        let Some(Node { services, journal }) = self.nodes.get_mut(ticket.node) else { return };
        let Some(service) = services.get(ticket.vip) else { return };
        journal.event(NodeEvent::ProxyConn(ProxyConn {
            phase,
            protocol: service.protocol(),
            client: Tuple { src: ticket.client, dst: service.address() },
            backend: Tuple { src: ticket.local, dst: ticket.backend },
            end,
        }));
    }

    /// Connections of each backend, over all nodes.
    pub fn loads(&self) -> BTreeMap<SocketAddr, u64> {
        let mut loads = BTreeMap::new();
        for (address, active) in self.nodes.iter().flat_map(|n| &n.services).flat_map(Service::loads) {
            *loads.entry(address).or_default() += u64::from(active);
        }
        loads
    }

    /// What was told so far is in the files.
    pub fn flush(&mut self) {
        self.nodes.iter_mut().for_each(|n| n.journal.flush());
    }

    /// Ends the journals; the first error of all.
    pub fn finish(self) -> Result<(), LabError> {
        self.nodes.into_iter().map(|n| n.journal.finish()).fold(Ok(()), Result::and)
    }

    fn entry(&self, client: SocketAddr) -> usize {
        let mut hasher = DefaultHasher::new();
        client.hash(&mut hasher);
        // In range: below the number of nodes.
        (hasher.finish() % self.entries as u64) as usize
    }
}
