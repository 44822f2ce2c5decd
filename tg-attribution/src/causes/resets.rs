//! Resets that neither the pod nor the client sent of its own. Changes when the evidence for one does.

use crate::case::{Case, led_to};
use crate::nodes::{Place, Told, What};
use crate::run::canonical;
use crate::words::after;
use tg_model::node_event::{Netns, NodeEvent, ProxyEnd, SnapshotEntry};
use tg_model::outcome::EndReason;
use tg_model::verdict::{Cause, Finding};

/// Where an event balances a connection, or answers in its service's name.
fn balancing<'a>(case: &Case, told: &Told<'a>) -> Option<(Place, &'a Netns)> {
    let netns = match told.what {
        What::Event(NodeEvent::IpvsDecision(d)) => &d.netns,
        What::Event(NodeEvent::IpvsConn(c)) | What::Snapshot(SnapshotEntry::IpvsConn(c)) => &c.netns,
        What::Event(NodeEvent::Conntrack(e)) | What::Snapshot(SnapshotEntry::Conntrack(e)) => {
            led_to(told)?;
            &e.netns
        }
        What::Event(NodeEvent::ResetSent(r)) if !r.socket && canonical(r.tuple.src) == case.conn.remote => &r.netns,
        _ => return None,
    };
    Some(((told.node, netns.inode), netns))
}

/// A segment of it came to a node that never saw its SYN.
pub fn ecmp_rehash(case: &Case) -> Option<Finding> {
    if case.is_udp() || !case.pod_was_well() {
        return None;
    }
    let all: Vec<_> = case.told.iter().filter_map(|t| Some((*t, balancing(case, t)?))).collect();
    let (first, (home, home_netns)) = *all.first()?;
    let up = case.conn.established_ns;
    if first.source.at.earliest() > up {
        return None;
    }
    // One that saw it before its establishment may well have seen the SYN.
    let early = |place: Place| all.iter().any(|(t, (p, _))| *p == place && t.source.at.earliest() <= up);
    let (stray, (_, stray_netns)) =
        *all.iter().find(|(t, (place, _))| *place != home && !early(*place) && t.source.at.perhaps_by(case.ended()))?;
    let nodes = &case.world.nodes;
    let (home, other) = (nodes.name(first.node, Some(home_netns)), nodes.name(stray.node, Some(stray_netns)));
    let mut draft = case
        .draft(Cause::EcmpRehash)
        .proof(first.source, format!("{home} balanced it from its SYN on"))
        .proof(stray.source, format!("{other} met it in mid-stream, {}", after(case.end.ns, stray.source.at.ns)));
    if let Some(life) = case.life {
        draft = draft.proof(life.seen, format!("{} was well", case.pod_name()));
    }
    Some(draft.finish())
}

/// Both ends were reset, and neither had sent it.
pub fn by_third_party(case: &Case) -> Option<Finding> {
    if case.end.reason != EndReason::Reset || case.pod_side_end().is_some() {
        return None;
    }
    let restarted = super::proxy::restarted_about(case);
    let other_cause = "what programs its node's balancer was started or stopped about then";
    if let Some((told, ProxyEnd::Proxy)) = case.proxy_end().filter(|_| case.pod_was_well()) {
        let words = "the proxy ended it, of itself";
        let draft = case.draft(Cause::ResetByThirdParty).proof(told.source, words);
        return Some(draft.lacks_if(restarted, other_cause).finish());
    }
    let sent_by_node = case.events().any(|(_, e)| matches!(e, NodeEvent::ResetSent(_)));
    let pod_reset = case.events().find_map(|(told, event)| match event {
        NodeEvent::ResetReceived(e) if case.is_destination(e.tuple.dst) && told.source.at.perhaps_by(case.ended()) => {
            Some((told.source, "its pod got a reset, too, that its client did not send".to_owned()))
        }
        _ => None,
    });
    // A pod that was to end may have sent one that nobody saw.
    if pod_reset.is_none() && !case.pod_was_well() {
        return None;
    }
    let received = case.events().find_map(|(told, event)| match event {
        NodeEvent::ResetReceived(e) if canonical(e.tuple.dst) == case.conn.local => {
            Some((told.source, "its client got a reset".to_owned()))
        }
        _ => None,
    });
    let (received, words) = received.unwrap_or_else(|| (case.own_line(), "its client got a reset".to_owned()));
    let draft = case
        .draft(Cause::ResetByThirdParty)
        .proof(received, words)
        .needs(pod_reset, "that the pod sent none is not proven: no reset was seen to reach it, too")
        .lacks_if(restarted, other_cause)
        .lacks_if(sent_by_node, "a node sent a reset: why is not told");
    Some(draft.finish())
}
