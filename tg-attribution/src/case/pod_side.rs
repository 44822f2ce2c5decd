//! Whether the pod's side ended a connection, by what nodes told. Changes when there is another way to see that.

use super::Case;
use crate::nodes::Told;
use crate::run::canonical;
use crate::source::Source;
use std::net::SocketAddr;
use tg_model::node_event::{NodeEvent, ProxyConnPhase, ProxyEnd, TcpState, Tuple};

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
        self.peer.is_some_and(|peer| !own(peer))
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
