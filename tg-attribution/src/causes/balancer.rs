//! Causes that lie with IPVS: its destination was deleted while it was active. Changes when the evidence for one
//! does.

use crate::case::Case;
use crate::draft::Draft;
use crate::nodes::Told;
use crate::source::Source;
use crate::words::after;
use std::net::SocketAddr;
use tg_model::node_event::{IpvsConnPhase, IpvsDest, IpvsDestChange, NodeEvent};
use tg_model::outcome::EndReason;
use tg_model::verdict::{Cause, Finding};

/// A node that is not ready gets its destinations deleted within so long.
const FLAP_NS: i64 = 60_000_000_000;

/// The destination's deletion while the connection was active there, where its pod was well and ended nothing.
fn deleted<'a>(case: &Case<'a>) -> Option<(&'a Told<'a>, &'a IpvsDest)> {
    let destination = case.destination?;
    let others = case.pod_side_end().is_some() || case.process_end().is_some();
    if others || !matches!(case.end.reason, EndReason::Reset | EndReason::ResponseTimeout) {
        return None;
    }
    changes(case, destination).find(|(told, dest)| {
        let at = told.source.at;
        dest.change == IpvsDestChange::Deleted && at.perhaps_by(case.ended()) && at.latest() >= case.conn.established_ns
    })
}

/// What the connection's own balancer did to the destination, in the order of time.
fn changes<'a>(case: &Case<'a>, destination: SocketAddr) -> impl Iterator<Item = (&'a Told<'a>, &'a IpvsDest)> {
    let world = case.world;
    let homes = case.balancers();
    world.dests.get(&destination).into_iter().flatten().filter_map(move |at| {
        let told = world.nodes.told.get(*at)?;
        match told.event()? {
            NodeEvent::IpvsDest(dest) if homes.contains(&(told.node, dest.netns.inode)) => Some((told, dest)),
            _ => None,
        }
    })
}

/// That the destination was added again later.
fn added_again(case: &Case, deleted: Source) -> Option<(Source, String)> {
    changes(case, case.destination?)
        .find(|(t, d)| d.change == IpvsDestChange::Added && deleted.at.perhaps_by(t.source.at))
        .map(|(t, _)| (t.source, "its destination was added again".to_owned()))
}

/// What both causes rest on.
fn draft<'a>(case: &Case<'a>, cause: Cause, told: &Told, dest: &IpvsDest) -> Draft<'a> {
    let node = case.world.nodes.name(told.node, Some(&dest.netns));
    let words = format!(
        "{node} deleted the destination {} with {} active, {}",
        dest.destination.address,
        dest.destination.active,
        after(case.end.ns, told.source.at.ns)
    );
    let life = case.life;
    let draft = case
        .draft(cause)
        .proof(told.source, words)
        .needs(consequence(case, told.source), "neither the connection's expiry nor the node's reset was seen")
        .lacks_if(dest.destination.active == 0, "IPVS counted no active connection there")
        .lacks_if(!told.source.at.surely_by(case.ended()), "clocks are too far apart to tell that this was before");
    match life {
        Some(life) => draft.proof(life.seen, format!("{} was alive", case.pod_name())),
        None => draft.lacks("no cluster's journal tells that its pod was alive"),
    }
}

/// What the deletion led to: the connection expired, or the node answered with a reset.
fn consequence(case: &Case, deleted: Source) -> Option<(Source, String)> {
    case.events().filter(|(t, _)| deleted.at.perhaps_by(t.source.at)).find_map(|(told, event)| match event {
        NodeEvent::IpvsConn(c) if c.phase == IpvsConnPhase::Expired => {
            Some((told.source, "IPVS expired the connection".to_owned()))
        }
        NodeEvent::ResetSent(r) if !case.is_destination(r.tuple.src) && r.tuple.src == case.conn.remote => {
            Some((told.source, "the node itself answered with a reset".to_owned()))
        }
        _ => None,
    })
}

/// `expire_nodest_conn`: its destination was deleted, and so it was.
pub fn destination_deleted_early(case: &Case) -> Option<Finding> {
    let (told, dest) = deleted(case)?;
    // Where its node was not ready about then, that is why.
    let other = node_down(case, told.source).is_some();
    let again = added_again(case, told.source).is_some();
    let flap = "it was added again: its node may have been not ready for a while";
    (!other).then(|| draft(case, Cause::IpvsDestinationDeletedEarly, told, dest).lacks_if(again, flap).finish())
}

/// That the pod's node was not ready, shortly before the deletion as far as the clocks tell.
fn node_down(case: &Case, deleted: Source) -> Option<Source> {
    let node = &case.life?.pod.node;
    let near =
        |s: &Source| s.at.perhaps_by(deleted.at) && s.at.latest().saturating_add(FLAP_NS) >= deleted.at.earliest();
    let mut downs = case.world.cluster.nodes.iter().filter(|(_, c)| !c.ready && c.node == *node);
    downs.find(|(s, _)| near(s)).map(|(s, _)| *s)
}

/// The same because the pod's node was not ready for a while.
pub fn node_flap(case: &Case) -> Option<Finding> {
    let (told, dest) = deleted(case)?;
    let life = case.life?;
    let deleted_at = told.source.at;
    let down = node_down(case, told.source)?;
    let nodes = &case.world.cluster.nodes;
    let up = nodes.iter().find(|(s, c)| c.node == life.pod.node && c.ready && s.at.ns >= down.at.ns);
    let draft = draft(case, Cause::NodeFlap, told, dest)
        .proof(down, format!("{} was not ready", life.pod.node))
        .lacks_if(!down.at.surely_by(deleted_at), "clocks are too far apart to tell that this came first")
        .needs(up.map(|(s, _)| (*s, "it was ready again".to_owned())), "its node was not seen to be ready again")
        .needs(added_again(case, told.source), "its destination was not seen to be added again");
    Some(draft.finish())
}
