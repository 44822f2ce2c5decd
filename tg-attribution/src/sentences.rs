//! Why, in sentences made from the data. Changes when there is another thing to say.

use crate::lag::is_lag;
use crate::totals::landed_on_doomed;
use crate::words::span;
use crate::world::World;
use std::collections::BTreeMap;
use tg_model::verdict::{Cause, CauseTally, Conformance, LossTotals, PodShare, Verdict};

/// A difference of so many connections between the first and the last pod is worth a sentence.
const GROWTH: u64 = 5;

/// What the sentences are made from.
pub struct Facts<'a> {
    pub totals: &'a LossTotals,
    pub ended_by: &'a [CauseTally],
    pub pods: &'a [PodShare],
    pub conformance: &'a [Conformance],
    pub verdicts: &'a [Verdict],
}

pub fn of(world: &World, facts: &Facts) -> Vec<String> {
    let mut all = Vec::new();
    all.extend(landed(world, facts));
    all.extend(growth(facts));
    all.extend(lag(facts));
    all.extend(other_causes(facts));
    all
}

/// `1 pod`, `2 pods`.
fn some(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// What a scheduler's name says of its choice between old pods and new ones.
fn why_old(scheduler: &str) -> String {
    let why = match scheduler {
        "rr" => "takes each pod in turn, old or new",
        "wrr" => "takes each pod in turn by its weight, old or new",
        "lc" | "wlc" | "sed" | "nq" => "takes the pod with the fewest connections on that node, old or new",
        "sh" => "takes the pod by the client's address, old or new",
        "random" => "takes any ready pod, old or new",
        "(rules)" => return "the rules take any ready pod, old or new".to_owned(),
        _ => "does not tell old pods from new ones",
    };
    format!("{scheduler} {why}")
}

/// The schedulers that decided, most decisions first.
fn schedulers(facts: &Facts) -> Vec<String> {
    let mut by_name: BTreeMap<&str, u64> = BTreeMap::new();
    for c in facts.conformance {
        *by_name.entry(&c.scheduler).or_default() += c.decisions;
    }
    let mut names: Vec<(&str, u64)> = by_name.into_iter().collect();
    names.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    names.into_iter().map(|(name, _)| name.to_owned()).collect()
}

/// Reconnects to pods that were to go: how many, why, and with which choice.
fn landed(world: &World, facts: &Facts) -> Option<String> {
    let landed: Vec<&Verdict> = facts.verdicts.iter().filter(|v| landed_on_doomed(v)).collect();
    let went = facts.pods.iter().any(|p| p.pod.doomed == Some(true));
    let scheduler = schedulers(facts).into_iter().next();
    if landed.is_empty() {
        let told = went && facts.totals.lost > 0 && facts.totals.reconnects > 0;
        return told.then(|| stayed(facts, scheduler.as_deref()));
    }
    let by_upgrade = !world.cluster.rollouts.all.is_empty();
    let pods = if by_upgrade { "pods of the old ReplicaSet" } else { "pods that were to go" };
    let because = scheduler.map_or(String::new(), |s| format!(", because {}", why_old(&s)));
    let count = |avoidable| landed.iter().filter(|v| v.avoidable == avoidable).count() as u64;
    let (had, unknown) = (count(Some(true)), count(None));
    let n = some(landed.len() as u64, "reconnect");
    let choice = match (had, unknown) {
        (0, u) if u == landed.len() as u64 => "; what they could have chosen is not known".to_owned(),
        (had, 0) if had > 1 && had == landed.len() as u64 => "; all of them had a ready new pod to choose".to_owned(),
        (had, 0) => format!("; {had} of them had a ready new pod to choose"),
        (had, u) => format!("; {had} of them had a ready new pod to choose, and of {u} that is not known"),
    };
    Some(format!("{n} landed on {pods}{because}{choice}."))
}

/// No reconnect to a pod that was to go.
fn stayed(facts: &Facts, scheduler: Option<&str>) -> String {
    let because = match scheduler {
        Some(s @ ("lc" | "wlc" | "sed" | "nq")) => {
            format!(", because {s} takes the pod with the fewest connections, and that was a new one each time")
        }
        Some(s) => format!(" (by {s})"),
        None => String::new(),
    };
    let n = facts.totals.reconnects;
    let which = if n == 1 { "The reconnect was not".to_owned() } else { format!("None of {n} reconnects was") };
    format!("{which} lost again with a pod that was to go{because}.")
}

/// The longer a pod of the old ReplicaSet stays, the more reconnects it collects.
fn growth(facts: &Facts) -> Option<String> {
    let mut went: Vec<&PodShare> =
        facts.pods.iter().filter(|p| p.terminating_ns.is_some() && p.connections > 0).collect();
    went.sort_by_key(|p| p.terminating_ns);
    let (first, last) = (went.first()?, went.last()?);
    (went.len() > 1 && last.lost >= first.lost.saturating_add(GROWTH)).then(|| {
        format!(
            "The later a pod went, the more it lost: {} by the first, {} by the last, which had {} put on it while it \
             was to go.",
            first.lost,
            last.lost,
            some(last.rescheduled_to, "reconnect")
        )
    })
}

/// Connections that were put on pods after their endpoints had left.
fn lag(facts: &Facts) -> Option<String> {
    let lagged: Vec<&Verdict> = facts.verdicts.iter().filter(|v| is_lag(v.placed_by.cause)).collect();
    let lag_of = |v: &&Verdict| {
        let since = v.placed_by.evidence.first()?.at_ns;
        let chosen = v.decision.as_ref().map_or(v.established_ns, |d| d.at_ns);
        Some(chosen.abs_diff(since))
    };
    let longest = lagged.iter().filter_map(lag_of).max()?;
    Some(format!(
        "{} put on pods whose endpoints were not ready any more, the latest {} after.",
        some(lagged.len() as u64, "lost connection"),
        span(longest)
    ))
}

/// What else ended connections.
fn other_causes(facts: &Facts) -> Vec<String> {
    let other = facts.ended_by.iter().filter(|t| t.cause != Cause::PodTerminated);
    other
        .map(|t| match t.cause {
            Cause::Unattributed if t.total() == 1 => "Of 1 loss nothing says why.".to_owned(),
            Cause::Unattributed => format!("Of {} losses nothing says why.", t.total()),
            cause => format!("{} of the losses: {cause} ({}).", t.total(), cause.in_words()),
        })
        .collect()
}
