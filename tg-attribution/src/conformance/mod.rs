//! Whether each scheduler on each node did what its name says. Changes when a scheduler can be judged, or what is
//! told of it is other.
//!
//! Judged is what the scheduler saw: the candidates that the decision's record holds. Each node has a state of its
//! own, and so has each of its services: `lc` is the least of what *this* node sent there.

mod least;
mod same;
mod turns;

use crate::case::led_to;
use crate::nodes::Told;
use crate::run::canonical;
use crate::source::Source;
use crate::world::World;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tg_model::node_event::{Candidate, ConntrackPhase, NodeEvent};
use tg_model::verdict::{Conformance, Deviation};

/// A decision as a judge needs it.
#[derive(Clone, Copy)]
struct Choice<'a> {
    source: Source,
    client: Option<SocketAddr>,
    chosen: Option<SocketAddr>,
    candidates: &'a [Candidate],
    /// Every candidate is there.
    whole: bool,
    /// The decision before it may not be the one that came before it: events were lost in between.
    after_loss: bool,
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
        "sh" => Box::new(same::SameClient::default()),
        "random" => return Err("any choice at random conforms: see the distribution over pods".into()),
        other => return Err(format!("what {other} should choose is not known here")),
    })
}

/// Which scheduler: the observer, the namespace, the service, the scheduler's name.
type Key = (usize, u32, Option<SocketAddr>, String);

/// One entry for each scheduler of each service on each node.
pub fn of(world: &World) -> Vec<Conformance> {
    let mut groups: BTreeMap<Key, (String, Vec<Choice>)> = BTreeMap::new();
    for told in &world.nodes.told {
        let Some((key, name, choice)) = choice(world, told) else { continue };
        groups.entry(key).or_insert_with(|| (name, Vec::new())).1.push(choice);
    }
    let mut all: Vec<Conformance> = Vec::new();
    for ((node, _, service, scheduler), (name, mut choices)) in groups.iter().map(|(k, v)| (k.clone(), v.clone())) {
        mark_losses(world, node, &mut choices);
        all.push(judged(world, name, service, scheduler, &choices));
    }
    all.extend(by_rules(world, &groups));
    all
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
    let key = (told.node, netns.map_or(0, |n| n.inode), service, scheduler.clone());
    let whole = candidates.len() as u64 >= u64::from(total);
    Some((key, name, Choice { source: told.source, client, chosen, candidates, whole, after_loss: false }))
}

fn mark_losses(world: &World, node: usize, choices: &mut [Choice]) {
    let holes = &world.nodes.all[node].holes;
    for nth in 1..choices.len() {
        let (from, to) = (choices[nth - 1].source.at.ns, choices[nth].source.at.ns);
        choices[nth].after_loss = holes.iter().any(|h| h.touches(from, to));
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
    let mut counts: BTreeMap<(usize, u32, SocketAddr), (String, u64, u64)> = BTreeMap::new();
    for told in &world.nodes.told {
        let Some(NodeEvent::Conntrack(e)) = told.event() else { continue };
        if led_to(told).is_none() || groups.keys().any(|k| k.0 == told.node && k.1 == e.netns.inode) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Moment;

    fn address(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 80))
    }

    /// Candidates as host, weight, active.
    type List<'a> = &'a [(u8, i32, u32)];

    fn candidates(list: List) -> Vec<Candidate> {
        let one = |(host, weight, active): &(u8, i32, u32)| Candidate {
            address: address(*host),
            weight: *weight,
            active: *active,
            inactive: 0,
        };
        list.iter().map(one).collect()
    }

    /// `c` conforms, `d` deviates, `?` is not known, for choices of hosts from lists.
    fn said(scheduler: &str, choices: &[(u8, List)]) -> String {
        let mut judge = judge_of(scheduler).unwrap();
        let source = Source { input: 0, line: 1, seq: None, at: Moment::exact(0) };
        let one = |(host, list): &(u8, List)| {
            let candidates = candidates(list);
            let chosen = (*host > 0).then(|| address(*host));
            let client = Some(address(99));
            let choice = Choice { source, client, chosen, candidates: &candidates, whole: true, after_loss: false };
            match judge.judge(&choice) {
                Judgement::Conforms => 'c',
                Judgement::Deviates(_) => 'd',
                Judgement::Unknown => '?',
            }
        };
        choices.iter().map(one).collect()
    }

    const THREE: &[(u8, i32, u32)] = &[(1, 1, 0), (2, 1, 0), (3, 1, 0)];

    #[test]
    fn rr_takes_the_next_that_takes_connections() {
        assert_eq!(said("rr", &[(1, THREE), (2, THREE), (3, THREE), (1, THREE), (3, THREE)]), "?cccd");
        // One that drains is passed over; a new one comes at the head, after the last.
        let drains = &[(1, 1, 0), (2, 0, 0), (3, 1, 0)][..];
        let newer = &[(4, 1, 0), (1, 1, 0), (2, 0, 0), (3, 1, 0)][..];
        assert_eq!(said("rr", &[(1, THREE), (3, drains), (4, newer), (1, newer), (3, newer)]), "?cccc");
        // The last chosen is gone: the one before it takes its place.
        let gone = &[(1, 1, 0), (3, 1, 0)][..];
        assert_eq!(said("rr", &[(2, THREE), (3, gone)]), "?c");
        assert_eq!(said("rr", &[(1, THREE), (2, &[(2, 1, 0), (3, 1, 0)])]), "?c");
        assert_eq!(said("rr", &[(1, THREE), (0, &[(1, 0, 0)])]), "?c");
        assert_eq!(said("rr", &[(1, THREE), (0, THREE)]), "?d");
    }

    #[test]
    fn lc_takes_one_with_the_least_and_wlc_the_least_for_its_weight() {
        let list = &[(1, 1, 3), (2, 1, 2), (3, 1, 2), (4, 0, 0)][..];
        assert_eq!(said("lc", &[(2, list), (3, list), (1, list), (4, list)]), "ccdd");
        let weighted = &[(1, 4, 3), (2, 1, 1)][..];
        assert_eq!(said("wlc", &[(1, weighted), (2, weighted)]), "cd");
        assert_eq!(said("lc", &[(2, weighted)]), "c");
        assert_eq!(said("nq", &[(2, &[(1, 9, 1), (2, 1, 0)])]), "c");
        assert_eq!(said("sed", &[(1, &[(1, 9, 1), (2, 1, 0)])]), "c");
    }

    #[test]
    fn wrr_comes_round() {
        let list = &[(1, 2, 0), (2, 1, 0)][..];
        assert_eq!(said("wrr", &[(1, list), (1, list), (2, list), (1, list), (1, list), (1, list)]), "???ccd");
        // Nobody would take it: whom it chose all the same cannot be right.
        assert_eq!(said("wrr", &[(1, &[(1, 0, 0)]), (1, &[(1, 0, 0)])]), "dd");
    }

    #[test]
    fn sh_keeps_a_client_where_it_is_while_the_list_stays() {
        let two = &[(1, 1, 0), (2, 1, 0)][..];
        assert_eq!(said("sh", &[(3, THREE), (3, THREE), (1, THREE), (1, two), (1, two)]), "?cd?c");
    }

    #[test]
    fn what_cannot_be_judged_says_so() {
        assert!(judge_of("random").is_err());
        assert!(judge_of("mh").is_err());
    }
}
