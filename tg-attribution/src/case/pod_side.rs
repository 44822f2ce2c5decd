//! Whether the pod's side ended a connection, by what nodes told. Changes when there is another way to see that.

use super::Case;
use crate::join::plain;
use crate::moment::Moment;
use crate::nodes::Told;
use crate::run::canonical;
use crate::source::Source;
use std::net::SocketAddr;
use tg_model::node_event::{Conntrack, ConntrackPhase, NodeEvent, ProxyConnPhase, ProxyEnd, TcpState, Tuple};

impl<'a> Case<'a> {
    /// The first FIN or RST that the pod's side sent, up to the connection's end, in words.
    pub fn pod_side_end(&self) -> Option<(Source, String)> {
        let ended = self.ended();
        // A proxy tells of an end once, whenever it comes to it.
        let by_then = |t: &Told, e: &NodeEvent| matches!(e, NodeEvent::ProxyConn(_)) || t.source.at.perhaps_by(ended);
        let mut told = self.events().filter(|(t, e)| by_then(t, e));
        told.find_map(|(told, event)| Some((told.source, self.pod_side_words(told, event)?)))
    }

    /// The pod's kernel knew no such connection any more when a packet of it came.
    pub fn pod_knew_it_no_more(&self) -> bool {
        let ended = self.ended();
        self.events().any(|(told, event)| {
            let stray = matches!(event, NodeEvent::ResetSent(e) if !e.socket && self.is_pod_s(e.tuple));
            stray && told.source.at.perhaps_by(ended)
        })
    }

    fn pod_side_words(&self, told: &Told, event: &NodeEvent) -> Option<String> {
        let node = |netns| self.world.nodes.name(told.node, netns);
        match event {
            NodeEvent::TcpState(e) if self.is_pod_s(e.tuple) && closes_first(e.from, e.to) => {
                Some(format!("the server's socket in {} sent a FIN", node(Some(&e.netns))))
            }
            NodeEvent::ResetSent(e) if self.is_pod_s(e.tuple) => {
                let reason = e.reason.as_ref().map_or(String::new(), |r| format!(" ({r})"));
                Some(format!("a reset was sent from {}{reason}", node(Some(&e.netns))))
            }
            NodeEvent::ProxyConn(c) if c.phase == ProxyConnPhase::Ended => {
                let what = match c.end? {
                    ProxyEnd::BackendClosed => "closed it",
                    ProxyEnd::BackendReset => "reset it",
                    ProxyEnd::BackendRefused => "refused it: nobody listens there",
                    _ => return None,
                };
                Some(format!("the backend {} {what}, says the proxy {}", c.backend.dst, node(None)))
            }
            _ => None,
        }
    }

    /// Whether the pod sent this on the connection, rather than to somebody that another translation made of its client:
    /// a pod that gets a segment so knows of no such connection.
    fn is_pod_s(&self, tuple: Tuple) -> bool {
        self.is_destination(tuple.src) && !self.is_surely_not_its(tuple)
    }

    /// Whether this, as its pod would send it, is not to whom the pod has the connection with.
    pub fn is_surely_not_its(&self, tuple: Tuple) -> bool {
        let own = |peer| self.is_destination(tuple.src) && peer == canonical(tuple.dst);
        match self.peer {
            Some(peer) => !own(peer),
            None => self.is_made_late(tuple),
        }
    }

    /// Whom its pod has it with is not told, and there was an entry by which that may be another than its client.
    pub fn may_be_led_anew(&self) -> bool {
        let other = |(_, e): (&Told, &Conntrack)| canonical(e.reply.dst) != self.conn.local;
        self.peer.is_none() && self.made().any(other)
    }

    /// What translations made of its client: by what the pod said, else by the first entry that led it there, where
    /// that was there when the connection was served.
    pub(super) fn told_peer(&self) -> Option<SocketAddr> {
        let (up, served) = (Moment::exact(self.conn.established_ns), self.window().0);
        let said = self.conn.identity.as_ref().map(|i| i.peer);
        let early = |t: &Told| t.source.at.perhaps_by(up) && t.source.at.latest() <= served;
        let entry =
            || self.made().find(|(t, e)| early(t) && self.is_destination(e.reply.src)).map(|(_, e)| e.reply.dst);
        said.or_else(entry).map(canonical)
    }

    /// All that was told of the tuple's entry was told after the connection's establishment.
    fn is_made_late(&self, tuple: Tuple) -> bool {
        let up = Moment::exact(self.conn.established_ns);
        let mut of_it = self.made().filter(|(_, e)| plain(e.reply) == plain(tuple)).peekable();
        of_it.peek().is_some() && of_it.all(|(t, _)| !t.source.at.perhaps_by(up))
    }

    /// Entries of conntrack that were there.
    fn made(&self) -> impl Iterator<Item = (&'a Told<'a>, &'a Conntrack)> {
        let entries = self.told.iter().filter_map(|t| Some((*t, t.entry()?)));
        entries.filter(|(_, e)| e.phase != ConntrackPhase::Destroyed)
    }

    /// Whether this is the address behind the balancer.
    pub fn is_destination(&self, address: SocketAddr) -> bool {
        self.destination == Some(canonical(address))
    }

    /// How a proxy says that it ended.
    pub fn proxy_end(&self) -> Option<(&'a Told<'a>, ProxyEnd)> {
        self.events().find_map(|(told, event)| match event {
            NodeEvent::ProxyConn(c) if c.phase == ProxyConnPhase::Ended => Some((told, c.end?)),
            _ => None,
        })
    }
}

/// The socket sends a FIN that no FIN asked for.
fn closes_first(from: TcpState, to: TcpState) -> bool {
    matches!((from, to), (TcpState::Established | TcpState::SynRecv, TcpState::FinWait1))
}
