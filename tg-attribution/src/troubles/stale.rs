//! UDP: entries that lead to pods that are gone. Changes when the evidence for that does.

use super::attempts::Attempt;
use crate::case::{led_to, pod_at};
use crate::moment::Moment;
use crate::nodes::{Place, Told, What};
use crate::run::{UDP, canonical};
use crate::source::Source;
use crate::words::after;
use crate::world::World;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use tg_model::node_event::{Conntrack, ConntrackPhase, IpvsConnPhase, NodeEvent, SnapshotEntry};
use tg_model::outcome::AttemptFailure;
use tg_model::verdict::{Cause, Finding};

/// An entry that leads to a pod that ended.
#[derive(Clone, Copy)]
struct Entry<'a> {
    told: &'a Told<'a>,
    to: SocketAddr,
    /// The end of the pod.
    gone: Source,
    /// When something made an end of it.
    over: Option<Moment>,
}

/// A client's end and the service's.
type Ends = (SocketAddr, SocketAddr);

/// Such entries: of each two ends the latest, and of each service all of them, the one that has been stale longest first.
pub struct Stale<'a> {
    by_ends: HashMap<Ends, Vec<Entry<'a>>>,
    by_service: HashMap<SocketAddr, Vec<Entry<'a>>>,
}

impl<'a> Stale<'a> {
    pub fn new(world: &'a World<'a>) -> Stale<'a> {
        let mut by_ends: HashMap<Ends, Vec<Entry>> = HashMap::new();
        if world.run.protocol == UDP && !world.run.attempts.is_empty() {
            let of_ipvs: HashSet<Place> = world.nodes.told.iter().filter_map(balancer).collect();
            // Where IPVS balances, its entries lead, and conntrack's follow.
            let leads =
                |told: &&Told| !conntrack_of(told).is_some_and(|e| of_ipvs.contains(&(told.node, e.netns.inode)));
            world.nodes.told.iter().filter(leads).for_each(|told| take(world, told, &mut by_ends));
        }
        let mut by_service: HashMap<SocketAddr, Vec<Entry>> = HashMap::new();
        for ((_, service), entries) in &by_ends {
            by_service.entry(*service).or_default().extend(entries);
        }
        by_service
            .values_mut()
            .for_each(|all| all.sort_by_key(|e| (e.since(), e.told.source.input, e.told.source.line)));
        Stale { by_ends, by_service }
    }

    /// The entry that an attempt met.
    pub fn entry_of(&self, attempt: &Attempt<'a>) -> Option<Finding> {
        if !matches!(
            attempt.failed.failure,
            AttemptFailure::Timeout | AttemptFailure::Refused | AttemptFailure::Unreachable
        ) {
            return None;
        }
        let (began, remote) = (Moment::exact(attempt.window.from), attempt.window.remote);
        let there = |e: &&Entry| e.perhaps_by(began) && !e.over.is_some_and(|over| over.perhaps_by(began));
        let local = attempt.window.local.filter(|l| l.port() != 0);
        let entry = match local {
            Some(local) => self.by_ends.get(&(local, remote))?.iter().rev().find(there)?,
            None => self.by_service.get(&remote)?.iter().find(there)?,
        };
        let draft = attempt
            .draft(Cause::UdpStaleEntry)
            .proof(entry.told.source, format!("an entry leads to {}", entry.to))
            .proof(entry.gone, format!("its pod had ended, {}", after(began.ns, entry.gone.at.ns)))
            .proof(attempt.own, "the attempt failed")
            .lacks_if(!entry.end_was_watched(attempt.world), "no node's journal would tell that the entry was over")
            .lacks_if(entry.since() > began.ns, "clocks are too far apart to tell that this was before it")
            .lacks_if(local.is_none(), "a run does not tell from which port it tried: the entry may be another flow's");
        Some(draft.finish())
    }
}

impl Entry<'_> {
    /// Surely there, and surely stale.
    fn since(&self) -> i64 {
        self.told.source.at.latest().max(self.gone.at.latest())
    }

    fn end_was_watched(&self, world: &World) -> bool {
        let of_ipvs =
            matches!(self.told.what, What::Event(NodeEvent::IpvsConn(_)) | What::Snapshot(SnapshotEntry::IpvsConn(_)));
        let program = if of_ipvs { "ipvs-conn" } else { "conntrack" };
        world.nodes.all.get(self.told.node).is_some_and(|n| n.watches(program))
    }

    fn perhaps_by(&self, then: Moment) -> bool {
        self.told.source.at.perhaps_by(then) && self.gone.at.perhaps_by(then)
    }
}

fn conntrack_of<'a>(told: &Told<'a>) -> Option<&'a Conntrack> {
    match told.what {
        What::Event(NodeEvent::Conntrack(e)) | What::Snapshot(SnapshotEntry::Conntrack(e)) => Some(e),
        _ => None,
    }
}

fn balancer(told: &Told) -> Option<Place> {
    let netns = match told.what {
        What::Event(NodeEvent::IpvsDecision(d)) => &d.netns,
        What::Event(NodeEvent::IpvsConn(c)) | What::Snapshot(SnapshotEntry::IpvsConn(c)) => &c.netns,
        What::Event(NodeEvent::IpvsDest(d)) => &d.netns,
        What::Snapshot(SnapshotEntry::IpvsService { netns, .. }) => netns,
        _ => return None,
    };
    Some((told.node, netns.inode))
}

fn take<'a>(world: &World<'a>, told: &'a Told<'a>, by_ends: &mut HashMap<Ends, Vec<Entry<'a>>>) {
    let (protocol, client, service, over) = match told.what {
        What::Event(NodeEvent::Conntrack(e)) => {
            (e.protocol, e.original.src, e.original.dst, e.phase == ConntrackPhase::Destroyed)
        }
        What::Snapshot(SnapshotEntry::Conntrack(e)) => (e.protocol, e.original.src, e.original.dst, false),
        What::Event(NodeEvent::IpvsConn(c)) => (c.protocol, c.client, c.service, c.phase == IpvsConnPhase::Expired),
        What::Snapshot(SnapshotEntry::IpvsConn(c)) => (c.protocol, c.client, c.service, false),
        _ => return,
    };
    let Some(to) = led_to(told).filter(|_| protocol == UDP) else { return };
    let ends = (canonical(client), canonical(service));
    if over {
        let entries = by_ends.get_mut(&ends).into_iter().flatten();
        entries.filter(|e| e.to == to).for_each(|e| e.over = Some(told.source.at));
        return;
    }
    let life = pod_at(world, to, told.source.at.ns).and_then(|at| world.cluster.pods.all.get(at));
    if let Some(gone) = life.and_then(|life| life.ended()) {
        by_ends.entry(ends).or_default().push(Entry { told, to, gone, over: None });
    }
}
