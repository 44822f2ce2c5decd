//! Causes of an end without a word from the other side. Changes when the evidence for one does.

use super::pods::with_doubts;
use crate::case::{Case, WATCH_LATE_NS, led_to};
use crate::source::Source;
use crate::words::after;
use tg_model::node_event::{NodeEvent, ProxyEnd};
use tg_model::outcome::EndReason;
use tg_model::tcp_info::TcpInfo;
use tg_model::verdict::{Cause, Finding};

/// A cluster tells of a lost node so much later: kubelet's last word counts for 40 s, and more in old clusters.
const NODE_LATE_NS: i64 = 120_000_000_000;

fn silent(case: &Case) -> bool {
    matches!(case.end.reason, EndReason::ResponseTimeout | EndReason::UserTimeout | EndReason::Unreachable)
        && case.pod_side_end().is_none()
}

/// Sent and not even acknowledged.
fn unacknowledged(tcp: &TcpInfo) -> bool {
    tcp.unacknowledged() > 0 && tcp.total_retrans > 0
}

/// No RST, no FIN, nothing acknowledged; and somebody tells what swallowed it.
pub fn blackhole(case: &Case) -> Option<Finding> {
    if !silent(case) || case.end.tcp.is_some_and(|tcp| !unacknowledged(&tcp)) {
        return None;
    }
    let words = match case.end.tcp {
        Some(tcp) => format!(
            "no RST, no FIN; {} bytes not acknowledged, {} segments sent again",
            tcp.unacknowledged(),
            tcp.total_retrans
        ),
        None => "no answer, and no error".to_owned(),
    };
    let told = swallowed(case);
    let ended = if told.is_none() { pod_ended(case) } else { None };
    let unsure = ended.as_ref().map(|(source, _)| *source);
    let swallowed = told.or(ended);
    let soon = case.end.ns.saturating_add(NODE_LATE_NS);
    let doubtful = swallowed.as_ref().is_some_and(|(source, _)| source.at.latest() > soon);
    let draft = case
        .draft(Cause::Blackhole)
        .proof(case.own_line(), words)
        .needs(swallowed, "neither a node nor the cluster tells what swallowed it")
        .lacks_if(doubtful, "clocks are too far apart to tell that this was about then");
    let draft = match unsure {
        Some(ended) => with_doubts(draft, case, ended),
        None => draft,
    };
    Some(draft.finish())
}

/// What swallowed it: dropped packets, a node that was lost, a pod whose namespace is gone.
fn swallowed(case: &Case) -> Option<(Source, String)> {
    let (from, to) = case.window();
    let from = from.saturating_sub(case.world.run.period_ns);
    let dropped = case.events().find_map(|(told, event)| match event {
        NodeEvent::Drop(d) if told.source.at.latest() >= from && told.source.at.earliest() <= to => {
            let place = case.world.nodes.name(told.node, Some(&d.netns));
            Some((told.source, format!("{place} dropped its packets ({})", d.reason)))
        }
        NodeEvent::ProxyConn(c) if c.end == Some(ProxyEnd::BackendUnreachable) => {
            Some((told.source, "its backend could not be reached, says the proxy".to_owned()))
        }
        _ => None,
    });
    dropped.or_else(|| node_lost(case, from, to)).or_else(|| namespace_gone(case, to))
}

/// Its pod's node, or one that led it there.
fn node_lost(case: &Case, from: i64, to: i64) -> Option<(Source, String)> {
    let soon = to.saturating_add(NODE_LATE_NS);
    let about_then = |s: &Source| s.at.latest() >= from && s.at.earliest() <= soon;
    let own = case.life.map(|life| life.pod.node.as_str()).filter(|node| !node.is_empty());
    let led = |node: &str| case.told.iter().any(|t| led_to(t).is_some() && case.world.nodes.is_named(t, node));
    case.world.cluster.nodes.iter().filter(|(s, c)| !c.ready && about_then(s)).find_map(|(source, change)| {
        let node = change.node.as_str();
        let role = if own == Some(node) { "its node" } else { led(node).then_some("the node that led it,")? };
        Some((*source, format!("{role} {node} was not ready, {}", after(case.end.ns, source.at.ns))))
    })
}

fn namespace_gone(case: &Case, to: i64) -> Option<(Source, String)> {
    // Of UDP that is no hole: nothing else would show that its pod ended.
    if case.is_udp() {
        return None;
    }
    let late = to.saturating_add(WATCH_LATE_NS);
    let gone = case.world.nodes.gone.get(case.life?.pod.uid.as_str()).filter(|s| s.at.earliest() <= late)?;
    Some((*gone, "its pod's network namespace is gone".to_owned()))
}

fn pod_ended(case: &Case) -> Option<(Source, String)> {
    let ended = case.process_end().filter(|_| !case.is_udp())?;
    Some((ended, format!("{} ended, {}", case.pod_name(), after(case.end.ns, ended.at.ns))))
}

/// Acknowledged, and not answered.
pub fn stalled(case: &Case) -> Option<Finding> {
    let tcp = case.end.tcp?;
    if case.end.reason != EndReason::ResponseTimeout || !silent(case) || unacknowledged(&tcp) {
        return None;
    }
    let soon = case.end.ns.saturating_add(WATCH_LATE_NS);
    let (from, to) = case.window();
    let on_time_is_told = case.world.run.late_in(from, to).1;
    let unready = case.life.and_then(|life| {
        let near = |s: &&Source| s.at.latest() >= from && s.at.earliest() <= soon;
        let found = life.unready.iter().find(near)?;
        Some((*found, format!("{} was no longer ready, {}", case.pod_name(), after(case.end.ns, found.at.ns))))
    });
    let draft = case
        .draft(Cause::ServerStalled)
        .proof(case.own_line(), "everything sent was acknowledged, and an echo did not come")
        .needs(end_to_end(case), "who acknowledged it, the pod or a proxy before it, is not known")
        .lacks_if(tcp.unacknowledged() > 0, "the last of what was sent was not acknowledged yet")
        .lacks_if(!on_time_is_told, "the run's journal does not tell whether the generator was on time then")
        .lacks_if(super::generator::starved(case).is_some(), "the generator itself had no time then")
        .lacks_if(case.was_dropped(), "packets of it were dropped, too");
    Some(match unready {
        Some((source, words)) => draft.proof(source, words).finish(),
        None => draft.finish(),
    })
}

/// A kernel's balancer led it to its pod: what was acknowledged, the pod's kernel acknowledged.
fn end_to_end(case: &Case) -> Option<(Source, String)> {
    let through_proxy = case.events().any(|(_, e)| matches!(e, NodeEvent::ProxyDecision(_) | NodeEvent::ProxyConn(_)));
    let bound = case.told.iter().find(|t| led_to(t).is_some() && led_to(t) == case.destination)?;
    let words = format!("it was led to {} itself, so that its kernel acknowledged", case.pod_name());
    (!through_proxy).then_some((bound.source, words))
}
