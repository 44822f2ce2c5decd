//! Causes that lie with a proxy: a userspace director, or what programs a node's balancer. Changes when the
//! evidence for one does.

use crate::case::Case;
use crate::lag::Lag;
use crate::moment::Moment;
use crate::source::Source;
use crate::words::after;
use tg_model::cluster_event::{ProxyChange, ProxyPhase};
use tg_model::node_event::{ConntrackPhase, IpvsConnPhase, NodeEvent, ProxyEnd};
use tg_model::verdict::{Cause, Finding};

/// A restart's effects come within so long.
const RESTART_NS: i64 = 10_000_000_000;

/// A backend refused it that was no endpoint any more when it was chosen.
pub fn refused_by_backend(case: &Case) -> Option<Finding> {
    let (told, end) = case.proxy_end()?;
    if end != ProxyEnd::BackendRefused {
        return None;
    }
    // It was chosen after its client's handshake with the proxy, and before this.
    let at = Moment::exact(case.conn.established_ns);
    let (address, led) = (case.destination?, Source { at, ..told.source });
    let draft = Lag::new(case.world, address, led, &[])?.draft(case.world, address, at);
    Some(draft.proof(told.source, format!("{} refused it: nobody listens there", case.pod_name())).finish())
}

/// What programs the node's balancer was started again, and its connections went.
pub fn restart(case: &Case) -> Option<Finding> {
    if !case.pod_was_well() || case.pod_side_end().is_some() {
        return None;
    }
    let (source, change) = restarted(case)?;
    let dropped = case.events().find_map(|(told, event)| {
        let words = match event {
            NodeEvent::ProxyConn(c) if c.end == Some(ProxyEnd::Proxy) => "the proxy ended it",
            NodeEvent::IpvsConn(c) if c.phase == IpvsConnPhase::Expired => "IPVS expired it",
            NodeEvent::Conntrack(c) if c.phase == ConntrackPhase::Destroyed => "its conntrack entry was destroyed",
            _ => return None,
        };
        let then = source.at.perhaps_by(told.source.at) && told.source.at.perhaps_by(case.ended());
        then.then(|| (told.source, words.to_owned()))
    });
    let what = if change.phase == ProxyPhase::Started { "started" } else { "stopped" };
    let words = format!("the proxy of {} was {what}, {}", change.node, after(case.end.ns, source.at.ns));
    let draft = case
        .draft(Cause::ProxyRestart)
        .proof(source, words)
        .lacks_if(!source.at.surely_by(case.ended()), "clocks are too far apart to tell that this came first")
        .needs(dropped, "what the restart did to the connection was not seen");
    Some(draft.finish())
}

/// As [`restarted`], or shortly after its end: then that is a cause that is not ruled out.
pub fn restarted_about(case: &Case) -> bool {
    let near = |s: &Source| {
        s.at.earliest() <= case.end.ns.saturating_add(RESTART_NS)
            && s.at.latest() >= case.end.ns.saturating_sub(RESTART_NS)
    };
    case.world.cluster.proxies.iter().any(|(s, _)| near(s))
}

/// A stop or a start of what programs a node that balanced the connection, shortly before its end as far as the
/// clocks tell.
fn restarted<'a>(case: &Case<'a>) -> Option<(Source, &'a ProxyChange)> {
    let near = |s: &Source| s.at.perhaps_by(case.ended()) && s.at.latest() >= case.end.ns.saturating_sub(RESTART_NS);
    let of_ours = |c: &ProxyChange| case.told.iter().any(|t| case.world.nodes.is_named(t, &c.node));
    case.world.cluster.proxies.iter().find(|(s, c)| near(s) && of_ours(c)).map(|(s, c)| (*s, *c))
}
