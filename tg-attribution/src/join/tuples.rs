//! The tuples that an event tells of. Changes when a kind of event comes.

use super::uses::{Owner, Uses};
use crate::moment::Moment;
use crate::nodes::{Told, What};
use crate::run::{TCP, canonical};
use std::net::SocketAddr;
use tg_model::node_event::{
    Conntrack, ConntrackPhase, IpvsConn, IpvsConnPhase, NodeEvent, ProxyConn, ProxyConnPhase, SnapshotEntry, Tuple,
};

/// A translation: what comes by one tuple goes on by others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hop {
    pub protocol: u8,
    pub at: Moment,
    pub from: Tuple,
    /// As it is behind the translation, and between the translations of its two ends.
    pub to: [Tuple; 2],
}

/// See [`canonical`].
pub fn plain(tuple: Tuple) -> Tuple {
    Tuple { src: canonical(tuple.src), dst: canonical(tuple.dst) }
}

impl Hop {
    pub fn of(told: &Told) -> Option<Hop> {
        let at = told.source.at;
        match told.what {
            What::Snapshot(SnapshotEntry::Conntrack(entry)) => Some(Hop::conntrack(at, entry)),
            What::Snapshot(SnapshotEntry::IpvsConn(conn)) => Some(Hop::ipvs(at, conn)),
            What::Event(event) => Hop::of_event(at, event),
            What::Snapshot(_) => None,
        }
    }

    fn of_event(at: Moment, event: &NodeEvent) -> Option<Hop> {
        let chosen = |protocol, client, service, chosen| {
            let from = plain(Tuple { src: client, dst: service });
            Hop { protocol, at, from, to: [Tuple { src: from.src, dst: canonical(chosen) }; 2] }
        };
        match event {
            // An end is no beginning.
            NodeEvent::Conntrack(e) if e.phase != ConntrackPhase::Destroyed => Some(Hop::conntrack(at, e)),
            NodeEvent::IpvsConn(c) if c.phase == IpvsConnPhase::Made => Some(Hop::ipvs(at, c)),
            NodeEvent::IpvsDecision(d) => Some(chosen(d.service.protocol, d.client?, d.service.address?, d.chosen?)),
            NodeEvent::ProxyConn(c) if c.phase == ProxyConnPhase::Made => Hop::proxy(at, c),
            _ => None,
        }
    }

    fn conntrack(at: Moment, entry: &Conntrack) -> Hop {
        let (from, reply) = (plain(entry.original), plain(entry.reply));
        let between = Tuple { src: from.src, dst: reply.src };
        Hop { protocol: entry.protocol, at, from, to: [reply.reversed(), between] }
    }

    fn ipvs(at: Moment, conn: &IpvsConn) -> Hop {
        let from = plain(Tuple { src: conn.client, dst: conn.service });
        let to = Tuple { src: from.src, dst: canonical(conn.destination) };
        Hop { protocol: conn.protocol, at, from, to: [to; 2] }
    }

    fn proxy(at: Moment, conn: &ProxyConn) -> Option<Hop> {
        let to = plain(conn.backend);
        (to.src.port() != 0).then_some(Hop { protocol: conn.protocol, at, from: plain(conn.client), to: [to; 2] })
    }
}

/// It tells that something began: a connection was led somewhere, or nowhere.
pub fn begins(told: &Told) -> bool {
    match told.event() {
        Some(NodeEvent::IpvsDecision(_) | NodeEvent::ProxyDecision(_)) => true,
        Some(NodeEvent::IpvsConn(c)) => c.phase == IpvsConnPhase::Made,
        Some(NodeEvent::ProxyConn(c)) => c.phase == ProxyConnPhase::Made,
        Some(NodeEvent::Conntrack(e)) => e.phase != ConntrackPhase::Destroyed,
        _ => false,
    }
}

/// Whose an event is.
pub fn owner(told: &Told, uses: &Uses) -> Owner {
    let at = told.source.at;
    let of = |protocol, tuple: Tuple| uses.owner(protocol, plain(tuple), at);
    // The observer's own translation is one more way; it has the latest only, so it comes second.
    let either = |protocol, tuple, client: Option<Tuple>| match (of(protocol, tuple), client) {
        (Owner::None, Some(client)) => of(protocol, client),
        (owner, _) => owner,
    };
    let ends = |protocol, src: SocketAddr, dst: SocketAddr| of(protocol, Tuple { src, dst });
    match told.what {
        What::Event(event) => match event {
            NodeEvent::ResetSent(e) | NodeEvent::ResetReceived(e) => either(TCP, e.tuple, e.client),
            NodeEvent::TcpState(e) => either(TCP, e.tuple, e.client),
            NodeEvent::Segments(e) => either(TCP, e.flow.tuple, e.client),
            NodeEvent::Drop(e) => either(e.protocol, e.tuple, e.client),
            NodeEvent::Conntrack(e) => of(e.protocol, e.original),
            NodeEvent::IpvsDecision(d) => match (d.client, d.service.address) {
                (Some(client), Some(service)) => ends(d.service.protocol, client, service),
                (Some(client), None) => uses.owner_of_client(d.service.protocol, canonical(client), at),
                (None, _) => Owner::None,
            },
            NodeEvent::IpvsConn(c) => ends(c.protocol, c.client, c.service),
            NodeEvent::ProxyDecision(d) => ends(d.protocol, d.client, d.service),
            NodeEvent::ProxyConn(c) => of(c.protocol, c.client),
            NodeEvent::IpvsDest(_) | NodeEvent::ConntrackTable(_) => Owner::None,
        },
        What::Snapshot(SnapshotEntry::Conntrack(e)) => of(e.protocol, e.original),
        What::Snapshot(SnapshotEntry::IpvsConn(c)) => ends(c.protocol, c.client, c.service),
        What::Snapshot(_) => Owner::None,
    }
}
