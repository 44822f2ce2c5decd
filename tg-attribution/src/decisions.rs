//! The scheduling decision behind a connection. Changes when another director tells of its decisions.

use crate::case::{led_to, pod_at};
use crate::cluster::Life;
use crate::doom;
use crate::moment::Moment;
use crate::nodes::Told;
use crate::run::{Conn, canonical};
use crate::source::Source;
use crate::world::World;
use std::net::SocketAddr;
use tg_model::node_event::{Candidate, ConntrackPhase, NodeEvent};
use tg_model::verdict::{Chance, Decision, Director};

/// Of candidates that no director told, so many are listed.
const INFERRED_MAX: usize = 64;

/// A decision, and what follows from its candidates.
pub struct Decided {
    pub decision: Decision,
    pub source: Source,
    /// There was a ready candidate that was to stay; `None`: not known.
    pub had_choice: Option<bool>,
}

/// The decision by which a connection came where it was: the last before its establishment that agrees with where
/// it was led to. A proxy decides after it: the client's handshake is with the proxy.
pub fn of_connection(world: &World, conn: &Conn, told: &[&Told], destination: Option<SocketAddr>) -> Option<Decided> {
    let up = Moment::exact(conn.established_ns);
    let by_proxy = |t: &Told| matches!(t.event(), Some(NodeEvent::ProxyDecision(_)));
    // What is stamped after its end is of an attempt that came after it, with the same port.
    let in_time = |t: &Told| conn.end.as_ref().is_none_or(|e| t.source.at.ns <= e.ns);
    if let Some(first) = told.iter().find(|t| by_proxy(t) && led_to(t).is_some() && in_time(t)) {
        return made(world, first);
    }
    let early = || told.iter().rev().filter(|t| t.source.at.perhaps_by(up));
    let fits = |t: &&&Told| destination.is_none_or(|to| led_to(t) == Some(to));
    let recorded = |t: &&&Told| matches!(t.event(), Some(NodeEvent::IpvsDecision(_))) && led_to(t).is_some();
    let found = early().filter(recorded).find(fits).or_else(|| early().find(recorded));
    let found = found.or_else(|| early().filter(|t| binds(t)).find(fits));
    made(world, found?)
}

/// A conntrack entry that leads somewhere else than it was sent to.
fn binds(told: &Told) -> bool {
    matches!(told.event(), Some(NodeEvent::Conntrack(e)) if e.phase != ConntrackPhase::Destroyed)
        && led_to(told).is_some()
}

fn made(world: &World, told: &Told) -> Option<Decided> {
    let (source, chosen) = (told.source, led_to(told)?);
    let name = |netns| world.nodes.name(told.node, netns);
    let (node, director, scheduler, candidates, total) = match told.event()? {
        NodeEvent::IpvsDecision(d) => {
            let scheduler = Some(d.service.scheduler.clone());
            (name(Some(&d.netns)), Director::Ipvs, scheduler, Some(&d.candidates), d.candidates_total)
        }
        NodeEvent::ProxyDecision(d) => {
            let scheduler = Some(d.scheduler.clone());
            (name(None), Director::Userspace, scheduler, Some(&d.candidates), d.candidates_total)
        }
        NodeEvent::Conntrack(e) => (name(Some(&e.netns)), Director::Conntrack, None, None, 0),
        _ => return None,
    };
    let (candidates, candidates_total, had_choice) = match candidates {
        Some(told) => {
            let chances: Vec<Chance> = told.iter().map(|c| chance(world, c, source.at.ns)).collect();
            let whole = chances.len() as u64 >= u64::from(total);
            let had = had_choice(world, &chances, whole);
            (chances, total, had)
        }
        None => inferred(world, chosen, source.at.ns),
    };
    let scheduler_words = scheduler.as_ref().map_or(String::new(), |s| format!(" by {s}"));
    let words = format!("{node} chose {chosen}{scheduler_words} of {candidates_total}");
    let evidence = world.sources.evidence(source, words);
    let decision = Decision {
        node,
        director,
        scheduler,
        at_ns: source.at.ns,
        chosen,
        candidates,
        candidates_total,
        inferred: director == Director::Conntrack,
        evidence,
    };
    Some(Decided { decision, source, had_choice })
}

/// A candidate as the director told of it, with what the cluster tells.
fn chance(world: &World, candidate: &Candidate, ns: i64) -> Chance {
    let known = (Some(candidate.weight), Some(candidate.active), Some(candidate.inactive));
    let ready = world.cluster.endpoints.at(canonical(candidate.address), ns).map(|s| s.ready());
    with_pod(world, canonical(candidate.address), known, ready, ns)
}

type Counted = (Option<i32>, Option<u32>, Option<u32>);

fn with_pod(world: &World, address: SocketAddr, counted: Counted, ready: Option<bool>, ns: i64) -> Chance {
    let life = pod_at(world, address, ns).and_then(|at| world.cluster.pods.all.get(at));
    let (weight, active, inactive) = counted;
    let pod = life.map(|l| l.pod.name.clone());
    let doomed = life.map(|l| doom::doomed_at(&world.cluster, l, ns) || stops_later(world, l));
    Chance { address, weight, active, inactive, pod, ready, doomed }
}

/// It was of the upgrade's old ReplicaSet and was asked to end later: known only afterwards.
fn stops_later(world: &World, life: &Life) -> bool {
    life.terminating.is_some() && doom::doomed(&world.cluster, life)
}

/// Of candidates: whether one was ready and was to stay.
fn had_choice(world: &World, chances: &[Chance], whole: bool) -> Option<bool> {
    if !world.cluster.watched {
        return None;
    }
    let takes = |c: &Chance| c.weight != Some(0) && c.ready != Some(false);
    if chances.iter().any(|c| takes(c) && c.doomed == Some(false)) {
        return Some(true);
    }
    let unknown = !whole || chances.iter().any(|c| takes(c) && c.doomed.is_none());
    (!unknown).then_some(false)
}

/// The service's endpoints that were ready: what rules of nftables or iptables choose from.
fn inferred(world: &World, chosen: SocketAddr, ns: i64) -> (Vec<Chance>, u32, Option<bool>) {
    let Some((_, list)) = world.cluster.endpoints.list_at(chosen, ns) else { return (Vec::new(), 0, None) };
    let same_family = |a: SocketAddr| a.is_ipv4() == chosen.is_ipv4();
    let ready: Vec<SocketAddr> =
        list.endpoints.iter().filter(|e| e.ready).map(|e| canonical(e.address)).filter(|a| same_family(*a)).collect();
    let of = |address: &SocketAddr| with_pod(world, *address, (None, None, None), Some(true), ns);
    // New pods come last: there is the choice, where there is one.
    let had = ready.iter().rev().any(|a| of(a).doomed == Some(false));
    let total = u32::try_from(ready.len()).unwrap_or(u32::MAX);
    (ready.iter().take(INFERRED_MAX).map(of).collect(), total, Some(had))
}

/// Whether some ready endpoint was to stay, by the cluster alone.
pub fn had_choice_by_cluster(world: &World, chosen: Option<SocketAddr>, ns: i64) -> Option<bool> {
    inferred(world, chosen.or_else(|| world.cluster.endpoints.any())?, ns).2
}
