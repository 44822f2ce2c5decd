//! Attempts by way of a node that has no ready endpoint of its own, of a service that stays on the node
//! (externalTrafficPolicy Local). Changes when the evidence for that does.

use super::attempts::{Attempt, BY_NETFILTER, WHOSE};
use super::strays::Found;
use crate::world::World;
use tg_model::cluster_event::{EndpointsChange, TrafficPolicy};
use tg_model::node_event::NodeEvent;
use tg_model::verdict::{Cause, Finding};

/// A node dropped it, had no ready endpoint, and others had.
pub fn drained(attempt: &Attempt, dropped: &Found) -> Option<Finding> {
    let world = attempt.world;
    let NodeEvent::Drop(drop) = dropped.told.event()? else { return None };
    let policy = world.cluster.service(attempt.window.remote)?.external_traffic;
    if policy == Some(TrafficPolicy::Cluster) {
        return None;
    }
    let name = world.nodes.name(dropped.told.node, Some(&drop.netns));
    let lists = world.cluster.endpoints.in_force(attempt.service()?, dropped.told.source.at);
    let (source, list) = lists.last()?;
    let (own, elsewhere, unknown) = ready(world, dropped, list);
    if own > 0 || elsewhere == 0 {
        return None;
    }
    let sure = lists.iter().all(|(_, list)| ready(world, dropped, list).0 == 0);
    let draft = attempt
        .draft(Cause::DrainLocal)
        .proof(dropped.told.source, format!("{name} dropped a packet of such an attempt ({})", drop.reason))
        .proof(*source, format!("{name} had no ready endpoint of its own; {elsewhere} were elsewhere"))
        .proof(attempt.own, "nothing answered the attempt")
        .lacks_if(policy.is_none(), "the service's externalTrafficPolicy is not told")
        .lacks_if(unknown, "which node a ready endpoint is on is not told")
        .lacks_if(!sure, "clocks are too far apart to tell which endpoints were ready")
        .lacks_if(drop.reason != BY_NETFILTER, "that a rule dropped it is not told")
        .lacks_if(dropped.doubtful, WHOSE);
    Some(draft.finish())
}

/// Whether [`drained`] may be so, as far as is known.
pub fn perhaps_drained(attempt: &Attempt, dropped: &Found) -> bool {
    let cluster = &attempt.world.cluster;
    let Some(service) = cluster.service(attempt.window.remote) else { return true };
    if service.external_traffic == Some(TrafficPolicy::Cluster) {
        return false;
    }
    let lists = cluster.endpoints.in_force(&service.name, dropped.told.source.at);
    lists.is_empty() || lists.iter().any(|(_, list)| ready(attempt.world, dropped, list).0 == 0)
}

/// How many are ready on the node that dropped it, and elsewhere; and whether the node of one of those is not told.
fn ready(world: &World, dropped: &Found, list: &EndpointsChange) -> (usize, usize, bool) {
    let Some(NodeEvent::Drop(drop)) = dropped.told.event() else { return (0, 0, false) };
    let node = |uid: &str| world.cluster.pods.life(uid).map_or("", |life| life.pod.node.as_str());
    let all = list.endpoints.iter().filter(|e| e.ready).map(|e| node(&e.pod_uid));
    let machine = world.nodes.all.get(dropped.told.node).map(|n| n.header.machine.as_str());
    let name = world.nodes.name(dropped.told.node, Some(&drop.netns));
    let (own, others): (Vec<&str>, Vec<&str>) = all.partition(|n| *n == name || Some(*n) == machine);
    (own.len(), others.len(), others.contains(&""))
}
