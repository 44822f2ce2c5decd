//! Events that two journals tell of, as bounds on the offset of their clocks. Changes when other events are paired.

use crate::case::ASKED_LATE_NS;
use crate::clock::Bound;
use crate::input::Journal;
use crate::moment::signed;
use crate::nodes::{READER_LATE_NS, exact_programs, in_order};
use crate::run::{Run, canonical};
use std::collections::HashMap;
use std::net::SocketAddr;
use tg_model::cluster_event::{ClusterEvent, ClusterLine, ClusterSeen, PodChange, PodPhase};
use tg_model::node_event::{ConntrackPhase, IpvsConnPhase, NodeEvent, NodeLine, Numbered, Observed, ProxyConnPhase};

/// An answer is no longer on the way than so.
const ON_THE_WAY_NS: i64 = 10_000_000;
/// A tuple that was used more often is no witness.
const USES_MAX: usize = 4;

/// Bounds on what is to be added to a node's times: it saw a connection's beginning after its client began to
/// connect, and before it was established.
pub fn of_node(run: &Run, node: &Journal<Numbered>) -> Vec<Bound> {
    let mut by_client: HashMap<(SocketAddr, SocketAddr), Vec<usize>> = HashMap::new();
    for (at, conn) in run.conns.iter().enumerate() {
        by_client.entry((conn.local, conn.remote)).or_default().push(at);
    }
    by_client.retain(|_, uses| uses.len() <= USES_MAX);
    // What is told of attempts that failed before, by the same pause each, would look like it.
    by_client.values_mut().for_each(|uses| uses.retain(|at| run.conns[*at].failed_attempts == 0));
    let exact = exact_programs(&node.lines);
    let mut bounds = Vec::new();
    for (_, line) in in_order(&node.lines) {
        let NodeLine::Event(seen) = &line.line else { continue };
        let Some((client, service)) = beginning(seen) else { continue };
        let slack = if exact.contains(seen.program.as_str()) { 0 } else { READER_LATE_NS };
        let at = signed(seen.at_ns);
        for conn in by_client.get(&(canonical(client), canonical(service))).into_iter().flatten() {
            let conn = &run.conns[*conn];
            // What is stamped late was earlier: then the offset is higher by as much.
            let highest = conn.established_ns.saturating_sub(at).saturating_add_unsigned(slack);
            bounds.push(Bound { lowest: conn.attempt_ns.saturating_sub(at), highest });
        }
    }
    bounds
}

/// The client's and the service's end of a connection that begins.
fn beginning(seen: &Observed) -> Option<(SocketAddr, SocketAddr)> {
    match &seen.event {
        NodeEvent::Conntrack(e) if e.phase != ConntrackPhase::Destroyed => Some((e.original.src, e.original.dst)),
        NodeEvent::IpvsDecision(d) => Some((d.client?, d.service.address?)),
        NodeEvent::IpvsConn(c) if c.phase == IpvsConnPhase::Made => Some((c.client, c.service)),
        NodeEvent::ProxyDecision(d) => Some((d.client, d.service)),
        NodeEvent::ProxyConn(c) if c.phase == ProxyConnPhase::Made => Some((c.client.src, c.client.dst)),
        _ => None,
    }
}

/// Bounds on what is to be added to a cluster's times: no pod answered before it was made, none was balanced to
/// before it was ready, none answered after it was known to be stopped. With the number of pods that they rest on.
pub fn of_cluster(run: &Run, cluster: &Journal<ClusterLine>) -> (Option<i64>, Option<i64>, u64) {
    // Of each name: its first and its last sign of life.
    let mut life: HashMap<&str, (i64, i64)> = HashMap::new();
    for conn in &run.conns {
        let Some(host) = &conn.host else { continue };
        let alive = conn.end.as_ref().map_or(conn.established_ns, |e| {
            e.ns.saturating_sub(signed(e.detection_ns)).saturating_sub(run.period_ns).saturating_sub(ON_THE_WAY_NS)
        });
        let alive = alive.max(conn.established_ns);
        let entry = life.entry(host).or_insert((conn.established_ns, alive));
        *entry = (entry.0.min(conn.established_ns), entry.1.max(alive));
    }
    let (mut lowest, mut highest, mut pairs): (Option<i64>, Option<i64>, u64) = (None, None, 0);
    let unasked = first_unasked_ends(cluster);
    for (seen, change) in pod_changes(cluster) {
        let Some((first, last)) = life.get(change.pod.name.as_str()) else { continue };
        let at = signed(seen.at_ns);
        // Where its process ended unasked it is started anew: it may have answered after that, and been ready before.
        let anew = unasked.get(change.pod.uid.as_str()).is_some_and(|ended| *ended <= seen.at_ns);
        match change.phase {
            PodPhase::Ready | PodPhase::Stopped if anew => {}
            // What was there before the watch began says nothing of when it came.
            PodPhase::Created | PodPhase::Ready if !seen.snapshot => {
                // A balancer may have heard of it a little earlier.
                let late = if change.phase == PodPhase::Ready { ASKED_LATE_NS } else { 0 };
                let bound = first.saturating_sub(at).saturating_add(late);
                highest = Some(highest.map_or(bound, |h| h.min(bound)));
                pairs += 1;
            }
            PodPhase::Stopped | PodPhase::Gone if !seen.snapshot => {
                let bound = last.saturating_sub(at);
                lowest = Some(lowest.map_or(bound, |l| l.max(bound)));
                pairs += 1;
            }
            _ => {}
        }
    }
    (lowest, highest, pairs)
}

fn pod_changes(cluster: &Journal<ClusterLine>) -> impl Iterator<Item = (&ClusterSeen, &PodChange)> {
    cluster.lines.iter().filter_map(|(_, line)| match line {
        ClusterLine::Event(seen) => match &seen.event {
            ClusterEvent::Pod(change) => Some((&**seen, change)),
            _ => None,
        },
        _ => None,
    })
}

/// When each pod, by its UID, is first told to have stopped without being told to have been asked to.
fn first_unasked_ends(cluster: &Journal<ClusterLine>) -> HashMap<&str, u64> {
    let mut asked: HashMap<&str, u64> = HashMap::new();
    for (seen, change) in pod_changes(cluster).filter(|(_, c)| c.phase == PodPhase::Terminating) {
        let at = asked.entry(&change.pod.uid).or_insert(seen.at_ns);
        *at = seen.at_ns.min(*at);
    }
    let mut ends: HashMap<&str, u64> = HashMap::new();
    for (seen, change) in pod_changes(cluster).filter(|(_, c)| c.phase == PodPhase::Stopped) {
        if asked.get(change.pod.uid.as_str()).is_none_or(|asked| seen.at_ns < *asked) {
            let at = ends.entry(&change.pod.uid).or_insert(seen.at_ns);
            *at = seen.at_ns.min(*at);
        }
    }
    ends
}
