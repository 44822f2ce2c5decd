//! A port that was used again and met IPVS' old entry. Changes when the evidence for that does.

use crate::case::{Case, follows_untold, led_to, told_of};
use crate::moment::Moment;
use crate::nodes::{Place, Told, What};
use crate::source::Sources;
use crate::world::World;
use std::net::SocketAddr;
use tg_model::node_event::{IpvsConn, IpvsConnPhase, IpvsDestChange, NodeEvent, SnapshotEntry};
use tg_model::verdict::{Cause, Finding};

/// No entry was made for it, and it went on to where that of the connection before it with the same ends had led: to a
/// destination that takes no new ones (`conn_reuse_mode=0`).
pub fn stale(case: &Case) -> Option<Finding> {
    let (world, conn) = (case.world, case.conn);
    if case.told.iter().any(|t| is_new(t)) {
        return None;
    }
    let before = world.run.same_ends_before(conn)?;
    let told = told_of(world, before);
    let (entry, place) = told.iter().rev().find_map(|t| Some((*t, entry(t)?)))?;
    let to = led_to(entry)?;
    let began = Moment::exact(conn.attempt_ns);
    let expired = told.iter().any(|t| has_expired(t, entry) && t.source.at.perhaps_by(began));
    let emptied = weightless(world, place, to, began)?;
    // Where it was led to is known from the pod alone: nothing of the kernel tells of it.
    let same = case.life.is_some_and(|life| life.pod.addresses.iter().any(|a| a.to_canonical() == to.ip()));
    if expired || (case.life.is_some() && !same) {
        return None;
    }
    let watched = world.nodes.all.get(entry.node).is_some_and(|n| n.watches("ipvs-conn"));
    let draft = case
        .draft(Cause::IpvsPortReuseStale)
        .proof(Sources::of_run(conn.line, conn.established_ns), "its port was used before")
        .proof(entry.source, format!("the entry of that time led to {to}"))
        .proof(emptied.source, "that destination had no weight any more")
        .lacks_if(!same, "which pod it was on is not known")
        .lacks_if(!entry.source.at.surely_by(began), "clocks are too far apart to tell whose the entry is")
        .lacks_if(follows_untold(world, before, conn), "the run's journal does not tell of all that used its port")
        .lacks_if(!watched, "no node's journal would tell of a new entry");
    Some(draft.finish())
}

/// An entry was made, or a destination chosen, for this connection itself.
fn is_new(told: &Told) -> bool {
    match told.event() {
        Some(NodeEvent::IpvsConn(c)) => c.phase == IpvsConnPhase::Made,
        Some(NodeEvent::IpvsDecision(_)) => true,
        _ => false,
    }
}

fn conn_of<'a>(told: &Told<'a>) -> Option<&'a IpvsConn> {
    match told.what {
        What::Event(NodeEvent::IpvsConn(c)) | What::Snapshot(SnapshotEntry::IpvsConn(c)) => Some(c),
        _ => None,
    }
}

/// Where an entry is that is there.
fn entry(told: &Told) -> Option<Place> {
    let conn = conn_of(told)?;
    (matches!(told.what, What::Snapshot(_)) || conn.phase == IpvsConnPhase::Made)
        .then_some((told.node, conn.netns.inode))
}

fn has_expired(told: &Told, entry: &Told) -> bool {
    told.node == entry.node
        && matches!(told.event(), Some(NodeEvent::IpvsConn(c)) if c.phase == IpvsConnPhase::Expired)
        && entry.source.at.perhaps_by(told.source.at)
}

/// What left a destination without weight, where nothing gave it one since, as far as the clocks tell.
fn weightless<'a>(world: &'a World, place: Place, to: SocketAddr, then: Moment) -> Option<&'a Told<'a>> {
    let changes = world.dests.get(&to)?.iter().filter_map(|at| world.nodes.told.get(*at));
    let here = changes.filter_map(|t| match t.event()? {
        NodeEvent::IpvsDest(d) if (t.node, d.netns.inode) == place => Some((t, d)),
        _ => None,
    });
    let (last, dest) = here.filter(|(t, _)| t.source.at.perhaps_by(then)).last()?;
    let without = dest.change != IpvsDestChange::Deleted && dest.destination.weight == 0;
    (without && last.source.at.surely_by(then)).then_some(last)
}
