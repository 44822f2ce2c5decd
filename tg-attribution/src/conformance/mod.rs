//! Whether each scheduler on each node did what its name says. Changes when a scheduler can be judged, or what is
//! told of it is other.
//!
//! Judged is what the scheduler saw: the candidates that the decision's record holds. Each node has a state of its
//! own, and so has each of its services: `lc` is the least of what *this* node sent there.

mod heaviest;
mod least;
mod same;
#[cfg(test)]
mod tests;
mod turns;

use crate::case::led_to;
use crate::nodes::{Place, Told};
use crate::run::canonical;
use crate::source::Source;
use crate::world::World;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use tg_model::node_event::{Candidate, ConntrackPhase, IpvsDestChange, Netns, NodeEvent};
use tg_model::verdict::{Conformance, Deviation};

/// A decision as a judge needs it.
#[derive(Clone)]
struct Choice<'a> {
    source: Source,
    client: Option<SocketAddr>,
    chosen: Option<SocketAddr>,
    candidates: &'a [Candidate],
    /// Every candidate is there.
    whole: bool,
    /// The decision before it may not be the one that came before it: events were lost in between.
    after_loss: bool,
    /// Destinations were changed since the decision before, and these were deleted: the list alone would not show it where
    /// they were added again.
    changed: bool,
    deleted: Vec<SocketAddr>,
}

/// What a judge says.
enum Judgement {
    Conforms,
    /// One of these would have.
    Deviates(Vec<SocketAddr>),
    /// The state before is not known.
    Unknown,
}

/// Judges a scheduler's decisions one after the other.
trait Judge {
    fn judge(&mut self, choice: &Choice) -> Judgement;
}

fn judge_of(scheduler: &str) -> Result<Box<dyn Judge>, String> {
    Ok(match scheduler {
        "rr" => Box::new(turns::RoundRobin::default()),
        "wrr" => Box::new(turns::Weighted::default()),
        "lc" | "wlc" | "sed" | "nq" => Box::new(least::Least::new(scheduler)),
        "sh" | "mh" => Box::new(same::Same::new(true)),
        "dh" => Box::new(same::Same::new(false)),
        "fo" => Box::new(heaviest::Heaviest { has_room: |_| true }),
        "ovf" => Box::new(heaviest::Heaviest { has_room: heaviest::overflows }),
        "random" | "twos" => return Err("any choice at random conforms: see the distribution over pods".into()),
        other => return Err(format!("what {other} should choose is not known here")),
    })
}

/// Which scheduler: the observer, the namespace, the service, the scheduler's name.
type Key = (usize, u32, Option<SocketAddr>, String);

/// What was done to a service's destinations since its last decision: whether anything, and which were deleted.
type Changes = (bool, Vec<SocketAddr>);

/// One entry for each scheduler of each service on each node.
pub fn of(world: &World) -> Vec<Conformance> {
    let mut groups: BTreeMap<Key, (String, Vec<Choice>)> = BTreeMap::new();
    let mut changes: HashMap<Key, Changes> = HashMap::new();
    for told in &world.nodes.told {
        if let Some(NodeEvent::IpvsDest(d)) = told.event() {
            let (changed, deleted) =
                changes.entry(key(told, Some(&d.netns), &d.service.scheduler, d.service.address)).or_default();
            *changed = true;
            deleted.extend((d.change == IpvsDestChange::Deleted).then_some(d.destination.address));
        }
        let Some((key, name, mut choice)) = choice(world, told) else { continue };
        (choice.changed, choice.deleted) = changes.remove(&key).unwrap_or_default();
        groups.entry(key).or_insert_with(|| (name, Vec::new())).1.push(choice);
    }
    let rules = by_rules(world, &groups);
    let judge = |((node, _, service, scheduler), (name, mut choices)): (Key, (String, Vec<Choice>))| {
        mark_losses(world, node, &mut choices);
        mark_after_parts(&mut choices);
        judged(world, name, service, scheduler, &choices)
    };
    groups.into_iter().map(judge).chain(rules).collect()
}

fn key(told: &Told, netns: Option<&Netns>, scheduler: &str, service: Option<SocketAddr>) -> Key {
    (told.node, netns.map_or(0, |n| n.inode), service, scheduler.to_owned())
}

fn choice<'a>(world: &World<'a>, told: &Told<'a>) -> Option<(Key, String, Choice<'a>)> {
    let (netns, service, scheduler, client, chosen, candidates, total) = match told.event()? {
        NodeEvent::IpvsDecision(d) => {
            let s = &d.service;
            (Some(&d.netns), s.address, &s.scheduler, d.client, d.chosen, &d.candidates, d.candidates_total)
        }
        NodeEvent::ProxyDecision(d) => {
            (None, Some(d.service), &d.scheduler, Some(d.client), d.chosen, &d.candidates, d.candidates_total)
        }
        _ => return None,
    };
    let name = world.nodes.name(told.node, netns);
    let key = key(told, netns, scheduler, service);
    let whole = candidates.len() as u64 >= u64::from(total);
    let (source, after_loss, changed, deleted) = (told.source, false, false, Vec::new());
    Some((key, name, Choice { source, client, chosen, candidates, whole, after_loss, changed, deleted }))
}

/// Holes and choices are in the order of time; a hole touches what comes after its begin and not after its end.
fn mark_losses(world: &World, node: usize, choices: &mut [Choice]) {
    for hole in &world.nodes.all[node].holes {
        let first = choices.partition_point(|c| c.source.at.ns < hole.from.earliest());
        let last = choices.partition_point(|c| c.source.at.ns <= hole.to.latest());
        for choice in choices.get_mut(first..=last.min(choices.len().saturating_sub(1))).into_iter().flatten() {
            choice.after_loss = true;
        }
    }
}

/// What a decision did of which not every candidate is there, its judge does not learn.
fn mark_after_parts(choices: &mut [Choice]) {
    let mut unseen = false;
    for choice in choices {
        choice.after_loss |= unseen;
        unseen = !choice.whole;
    }
}

fn judged(
    world: &World,
    node: String,
    service: Option<SocketAddr>,
    scheduler: String,
    choices: &[Choice],
) -> Conformance {
    let decisions = choices.len() as u64;
    let mut result = Conformance {
        node,
        service,
        scheduler,
        decisions,
        judged: 0,
        conform: 0,
        first_deviation: None,
        not_judged: None,
    };
    let mut judge = match judge_of(&result.scheduler) {
        Ok(judge) => judge,
        Err(why) => return Conformance { not_judged: Some(why), ..result },
    };
    for choice in choices {
        let judgement = if choice.whole { judge.judge(choice) } else { Judgement::Unknown };
        match judgement {
            Judgement::Unknown => continue,
            Judgement::Conforms => result.conform += 1,
            Judgement::Deviates(expected) if result.first_deviation.is_none() => {
                let what = choice.chosen.map_or("nothing".to_owned(), |c| c.to_string());
                let evidence = world.sources.evidence(choice.source, format!("{} chose {what}", result.node));
                result.first_deviation = Some(Deviation { chosen: choice.chosen, expected, evidence });
            }
            Judgement::Deviates(_) => {}
        }
        result.judged += 1;
    }
    let open = decisions - result.judged;
    let unknown = (open > 0).then(|| format!("what came before {open} of them is not known"));
    Conformance { not_judged: unknown, ..result }
}

/// Rules of nftables or iptables: conntrack tells what they chose, not how.
fn by_rules(world: &World, groups: &BTreeMap<Key, (String, Vec<Choice>)>) -> Vec<Conformance> {
    let judged: HashSet<Place> = groups.keys().map(|(node, inode, ..)| (*node, *inode)).collect();
    let mut counts: BTreeMap<(usize, u32, SocketAddr), (String, u64, u64)> = BTreeMap::new();
    for told in &world.nodes.told {
        let Some(NodeEvent::Conntrack(e)) = told.event() else { continue };
        if led_to(told).is_none() || judged.contains(&(told.node, e.netns.inode)) {
            continue;
        }
        let key = (told.node, e.netns.inode, canonical(e.original.dst));
        let (_, confirmed, seen) =
            counts.entry(key).or_insert_with(|| (world.nodes.name(told.node, Some(&e.netns)), 0, 0));
        match e.phase {
            ConntrackPhase::Confirmed => *confirmed += 1,
            ConntrackPhase::Seen => *seen += 1,
            ConntrackPhase::Destroyed => {}
        }
    }
    let one =
        |((_, _, service), (node, confirmed, seen)): ((usize, u32, SocketAddr), (String, u64, u64))| Conformance {
            node,
            service: Some(service),
            scheduler: "(rules)".into(),
            decisions: confirmed.max(seen),
            judged: 0,
            conform: 0,
            first_deviation: None,
            not_judged: Some("conntrack tells what the rules chose, not how they choose".into()),
        };
    counts.into_iter().map(one).filter(|c| c.decisions > 0).collect()
}

/// The addresses of those that take new connections.
fn takers(candidates: &[Candidate]) -> impl Iterator<Item = &Candidate> {
    candidates.iter().filter(|c| c.weight > 0)
}

/// A choice against those that would conform.
fn against(chosen: Option<SocketAddr>, expected: Vec<SocketAddr>) -> Judgement {
    match chosen {
        None if expected.is_empty() => Judgement::Conforms,
        Some(chosen) if expected.contains(&chosen) => Judgement::Conforms,
        _ => Judgement::Deviates(expected),
    }
}
