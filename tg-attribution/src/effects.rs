//! What followed each thing that the cluster did. Changes when other events are followed.

use crate::lag::is_lag;
use crate::moment::Moment;
use crate::source::Source;
use crate::world::World;
use std::collections::HashMap;
use tg_model::cluster_event::{ProxyPhase, RolloutPhase};
use tg_model::verdict::{Cause, Effect, Verdict};

/// The losses that an event explains.
struct Span {
    first: i64,
    last: i64,
    lost: u64,
}

/// In the order of time. Of pods: those that were asked to end, or that ended without.
pub fn of(world: &World, verdicts: &[Verdict]) -> Vec<Effect> {
    let mut effects = Vec::new();
    let cluster = &world.cluster;
    for (source, rollout) in &cluster.rollouts.all {
        let what = match rollout.phase {
            RolloutPhase::Started => format!("upgrade to {} began", rollout.replica_set),
            RolloutPhase::Complete => format!("upgrade to {} complete", rollout.replica_set),
        };
        // What an upgrade cost is what its pods' ends cost.
        let followed = match rollout.phase {
            RolloutPhase::Started => span(verdicts, source.at, |v| v.ended_by.cause == Cause::PodTerminated),
            RolloutPhase::Complete => None,
        };
        effects.push(effect(what, *source, followed));
    }
    let by_uid = by_pod(verdicts);
    for life in &cluster.pods.all {
        // Of a process that ended by itself the cluster hears later than the connections do.
        let any = Moment::exact(i64::MIN);
        let ended = life.ends.first().map(|s| (*s, any, format!("{} ended unasked", life.pod.name)));
        let asked = life.terminating.map(|s| (s, s.at, format!("{} asked to end", life.pod.name)));
        let Some((source, from, what)) = asked.or(ended) else { continue };
        let followed = by_uid.get(life.pod.uid.as_str()).map(|v| span(v.iter().copied(), from, |_| true));
        effects.push(effect(what, source, followed.flatten()));
    }
    let by_node = by_node(verdicts);
    for (source, change) in &cluster.nodes {
        let what = format!("{} {}", change.node, if change.ready { "ready" } else { "not ready" });
        let hit = by_node.get(change.node.as_str()).filter(|_| !change.ready);
        let followed = hit.and_then(|hit| span(hit.iter().copied(), Moment::exact(i64::MIN), |_| true));
        effects.push(effect(what, *source, followed));
    }
    let by_proxy: Vec<&Verdict> = verdicts.iter().filter(|v| v.ended_by.cause == Cause::ProxyRestart).collect();
    for (source, change) in &cluster.proxies {
        let what = if change.phase == ProxyPhase::Started { "started" } else { "stopped" };
        let followed = span(by_proxy.iter().copied(), source.at, |_| true);
        effects.push(effect(format!("proxy of {} {what}", change.node), *source, followed));
    }
    effects.sort_by_key(|e: &Effect| e.at_ns);
    effects
}

/// Losses by their pod, of those whose pod ended them.
fn by_pod(verdicts: &[Verdict]) -> HashMap<&str, Vec<&Verdict>> {
    let mut by_pod: HashMap<&str, Vec<&Verdict>> = HashMap::new();
    for verdict in verdicts.iter().filter(|v| v.ended_by.cause == Cause::PodTerminated || is_lag(v.ended_by.cause)) {
        if let Some(uid) = verdict.pod.as_ref().and_then(|p| p.uid.as_deref()) {
            by_pod.entry(uid).or_default().push(verdict);
        }
    }
    by_pod
}

/// Losses by their pod's node, of those that the node's absence ended.
fn by_node(verdicts: &[Verdict]) -> HashMap<&str, Vec<&Verdict>> {
    let mut by_node: HashMap<&str, Vec<&Verdict>> = HashMap::new();
    for verdict in verdicts.iter().filter(|v| matches!(v.ended_by.cause, Cause::NodeFlap | Cause::Blackhole)) {
        if let Some(node) = verdict.pod.as_ref().and_then(|p| p.node.as_deref()) {
            by_node.entry(node).or_default().push(verdict);
        }
    }
    by_node
}

fn span<'a>(
    verdicts: impl IntoIterator<Item = &'a Verdict>,
    after: Moment,
    hit: impl Fn(&Verdict) -> bool,
) -> Option<Span> {
    let mut span: Option<Span> = None;
    for verdict in verdicts.into_iter().filter(|v| v.ended_ns >= after.earliest() && hit(v)) {
        let at = verdict.ended_ns;
        let s = span.get_or_insert(Span { first: at, last: at, lost: 0 });
        (s.first, s.last, s.lost) = (s.first.min(at), s.last.max(at), s.lost + 1);
    }
    span
}

fn effect(event: String, source: Source, followed: Option<Span>) -> Effect {
    let at_ns = source.at.ns;
    let lost = followed.as_ref().map_or(0, |s| s.lost);
    let after = |ns: i64| ns.saturating_sub(at_ns);
    let first_after_ns = followed.as_ref().map(|s| after(s.first));
    Effect { event, at_ns, lost, first_after_ns, last_after_ns: followed.map(|s| after(s.last)) }
}
