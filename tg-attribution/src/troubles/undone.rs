//! Whose attempt a pod's reset answered, where the pod sees a balancer: NAT undone by conntrack's entries,
//! and by a proxy's halves. Changes when
//! what tells that does.

use crate::moment::Moment;
use crate::nodes::Told;
use crate::run::{TCP, canonical};
use crate::world::World;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use tg_model::node_event::{ConntrackPhase, NodeEvent, ProxyConnPhase, Tuple};

/// A pod refuses what a balancer just led to it: an entry that is older is another connection's.
const REFUSED_NS: i64 = 1_000_000_000;

/// The pod's end and the one that it sees.
type Ends = (SocketAddr, SocketAddr);

/// Entries of conntrack and of proxies, by the ends that resets have.
pub struct Undone<'a> {
    entries: HashMap<Ends, Vec<(Moment, &'a Tuple)>>,
}

impl<'a> Undone<'a> {
    /// Of those events.
    pub fn new(world: &World<'a>, resets: impl Iterator<Item = &'a NodeEvent>) -> Undone<'a> {
        let wanted: HashSet<Ends> = resets
            .filter_map(|event| match event {
                NodeEvent::ResetSent(r) if r.client.is_none() => Some(ends(&r.tuple)),
                _ => None,
            })
            .collect();
        let mut entries: HashMap<Ends, Vec<(Moment, &Tuple)>> = HashMap::new();
        for told in &world.nodes.told {
            if let Some((ends, original)) = entry(told).filter(|(ends, _)| wanted.contains(ends)) {
                entries.entry(ends).or_default().push((told.source.at, original));
            }
        }
        Undone { entries }
    }

    /// What the attempt was as its client has it.
    pub fn client(&self, reset: &Tuple, at: Moment) -> Option<&'a Tuple> {
        let entries = self.entries.get(&ends(reset))?;
        let (then, original) = entries.iter().rev().find(|(then, _)| then.perhaps_by(at))?;
        (at.earliest().saturating_sub(then.latest()) <= REFUSED_NS).then_some(*original)
    }
}

fn entry<'a>(told: &Told<'a>) -> Option<(Ends, &'a Tuple)> {
    match told.event()? {
        NodeEvent::Conntrack(e) if e.protocol == TCP && e.phase != ConntrackPhase::Destroyed => {
            Some((ends(&e.reply), &e.original))
        }
        NodeEvent::ProxyConn(c) if c.protocol == TCP && c.phase == ProxyConnPhase::Made => {
            Some((ends(&c.backend.reversed()), &c.client))
        }
        _ => None,
    }
}

fn ends(tuple: &Tuple) -> Ends {
    (canonical(tuple.src), canonical(tuple.dst))
}
