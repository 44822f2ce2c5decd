//! Which client's connection a tuple belongs to: NAT undone. Pure. Changes when how that is found does.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use tg_model::node_event::{Conntrack, IpvsConn, IpvsConnPhase, NodeEvent, Tuple};

/// Addresses of services; port 0 is every port.
#[derive(Clone, Debug, Default)]
pub struct Vips(Vec<SocketAddr>);

impl Vips {
    /// These.
    pub fn new(vips: impl IntoIterator<Item = SocketAddr>) -> Vips {
        Vips(vips.into_iter().map(|v| SocketAddr::new(v.ip().to_canonical(), v.port())).collect())
    }

    /// The service that has this address.
    pub fn covering(&self, address: SocketAddr) -> Option<SocketAddr> {
        self.0.iter().find(|v| v.ip() == address.ip() && [0, address.port()].contains(&v.port())).copied()
    }

    /// Each as it was asked for.
    pub fn iter(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.iter().copied()
    }
}

/// Translations that were seen, the latest of them: an old one makes room.
#[derive(Debug)]
pub struct Translations {
    /// From the tuple of an answer, as who answers sees it or as it is between two translations, to the tuple
    /// of the first packet.
    by_reply: HashMap<Tuple, Tuple>,
    oldest: VecDeque<Tuple>,
    room: usize,
}

/// A packet is translated by so many places at most.
const HOPS: usize = 4;

impl Translations {
    /// Keeps so many.
    pub fn new(room: usize) -> Translations {
        Translations { by_reply: HashMap::new(), oldest: VecDeque::new(), room: room.max(1) }
    }

    /// Learns of a conntrack entry. One that translates nothing needs no room.
    pub fn learn(&mut self, entry: &Conntrack) {
        self.learn_tuples(entry.original, entry.reply);
    }

    /// Learns of a connection of IPVS, which translates by itself where conntrack does not.
    pub fn learn_ipvs(&mut self, c: &IpvsConn) {
        let original = Tuple { src: c.client, dst: c.service };
        self.learn_tuples(original, Tuple { src: c.destination, dst: c.client });
    }

    fn learn_tuples(&mut self, original: Tuple, reply: Tuple) {
        // Where both ends are translated: the destination before routing, the source after it.
        let between = Tuple { src: reply.src, dst: original.src };
        for answer in [reply, between] {
            if answer == original.reversed() {
                self.forget(answer);
            } else if self.by_reply.insert(answer, original).is_none() {
                self.oldest.push_back(answer);
            }
        }
        while self.oldest.len() > self.room {
            if let Some(oldest) = self.oldest.pop_front() {
                self.by_reply.remove(&oldest);
            }
        }
    }

    fn forget(&mut self, answer: Tuple) {
        if self.by_reply.remove(&answer).is_some() {
            self.oldest.retain(|t| *t != answer);
        }
    }

    /// The connection to which a packet, or a socket, with this tuple belongs, as its client has it: from the
    /// client to the service. `None` where no translation is known and neither end is a service.
    pub fn client_of(&self, tuple: Tuple, vips: &Vips) -> Option<Tuple> {
        let mut seen = tuple;
        for _ in 0..HOPS {
            let Some(original) = self.original_of(seen) else { break };
            seen = *original;
        }
        match (vips.covering(seen.dst), vips.covering(seen.src)) {
            (Some(_), _) => Some(seen),
            (None, Some(_)) => Some(seen.reversed()),
            (None, None) => (seen != tuple).then_some(seen),
        }
    }

    fn original_of(&self, tuple: Tuple) -> Option<&Tuple> {
        self.by_reply.get(&tuple).or_else(|| self.by_reply.get(&tuple.reversed()))
    }

    /// Learns from an event, or completes it.
    pub fn complete(&mut self, event: &mut NodeEvent, vips: &Vips) {
        match event {
            NodeEvent::Conntrack(entry) => self.learn(entry),
            NodeEvent::ResetSent(e) | NodeEvent::ResetReceived(e) => e.client = self.client_of(e.tuple, vips),
            NodeEvent::TcpState(e) => e.client = self.client_of(e.tuple, vips),
            NodeEvent::Segments(e) => e.client = self.client_of(e.flow.tuple, vips),
            NodeEvent::Drop(e) => e.client = self.client_of(e.tuple, vips),
            NodeEvent::IpvsConn(c) if c.phase == IpvsConnPhase::Made => self.learn_ipvs(c),
            NodeEvent::IpvsDecision(_) | NodeEvent::IpvsConn(_) | NodeEvent::IpvsDest(_) => {}
            NodeEvent::ProxyDecision(_) | NodeEvent::ProxyConn(_) | NodeEvent::ConntrackTable(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tg_model::node_event::{ConntrackPhase, ConntrackStatus, Netns};

    fn tuple(src: &str, dst: &str) -> Tuple {
        Tuple { src: src.parse().unwrap(), dst: dst.parse().unwrap() }
    }

    fn entry(original: Tuple, reply: Tuple) -> Conntrack {
        Conntrack {
            phase: ConntrackPhase::Seen,
            netns: Netns::default(),
            protocol: 6,
            original,
            reply,
            status: ConntrackStatus(0),
            tcp_state: None,
        }
    }

    fn vips() -> Vips {
        Vips::new(["192.0.2.1:80".parse().unwrap()])
    }

    #[test]
    fn both_ways_of_a_translated_connection_belong_to_its_client() {
        let mut t = Translations::new(8);
        let client = tuple("198.51.100.1:4711", "192.0.2.1:80");
        // With masquerade: the pod sees the node.
        let pod = tuple("10.0.0.2:8080", "10.0.0.1:33333");
        t.learn(&entry(client, pod));
        assert_eq!(t.client_of(pod, &vips()), Some(client));
        assert_eq!(t.client_of(pod.reversed(), &vips()), Some(client));
        assert_eq!(t.client_of(client, &vips()), Some(client));
        assert_eq!(t.client_of(client.reversed(), &vips()), Some(client));
        let between = tuple("198.51.100.1:4711", "10.0.0.2:8080");
        assert_eq!(t.client_of(between, &vips()), Some(client));
        assert_eq!(t.client_of(between.reversed(), &vips()), Some(client));
        assert_eq!(t.client_of(tuple("10.0.0.2:8080", "10.0.0.1:33334"), &vips()), None);
    }

    #[test]
    fn two_places_that_translate_are_undone_one_after_the_other() {
        let mut t = Translations::new(8);
        let client = tuple("198.51.100.1:4711", "192.0.2.1:80");
        let middle = tuple("203.0.113.1:80", "203.0.113.9:1");
        let pod = tuple("10.0.0.2:8080", "10.0.0.1:2");
        t.learn(&entry(client, middle));
        t.learn(&entry(middle.reversed(), pod));
        assert_eq!(t.client_of(pod, &vips()), Some(client));
    }

    #[test]
    fn one_that_goes_round_ends() {
        let mut t = Translations::new(8);
        let (a, b) = (tuple("10.0.0.1:1", "10.0.0.2:2"), tuple("10.0.0.3:3", "10.0.0.4:4"));
        t.learn(&entry(a, b));
        t.learn(&entry(b, a));
        let _ = t.client_of(a, &vips());
    }

    #[test]
    fn the_oldest_makes_room_and_a_tuple_used_again_is_the_latest_s() {
        let mut t = Translations::new(2);
        let client = |port: u16| tuple(&format!("198.51.100.1:{port}"), "192.0.2.1:80");
        let pod = |port: u16| tuple("10.0.0.2:8080", &format!("198.51.100.1:{port}"));
        (1..=3).for_each(|port| t.learn(&entry(client(port), pod(port))));
        assert_eq!(t.client_of(pod(1), &vips()), None);
        assert_eq!(t.client_of(pod(3), &vips()), Some(client(3)));
        t.learn(&entry(client(9), pod(3)));
        assert_eq!(t.client_of(pod(3), &vips()), Some(client(9)));
        assert_eq!((t.by_reply.len(), t.oldest.len()), (2, 2));
    }

    #[test]
    fn port_0_is_every_port() {
        let all = Vips::new(["[::ffff:192.0.2.1]:0".parse().unwrap()]);
        assert!(all.covering("192.0.2.1:80".parse().unwrap()).is_some());
        assert!(vips().covering("192.0.2.1:81".parse().unwrap()).is_none());
    }
}
