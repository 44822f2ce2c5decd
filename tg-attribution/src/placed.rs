//! What had put a connection where it was. Changes when there is another way to get there.

use crate::case::Case;
use crate::decisions::{Decided, had_choice_by_cluster};
use crate::doom;
use crate::draft::Draft;
use crate::lag::{Lag, is_lag};
use crate::moment::Moment;
use crate::reuse;
use crate::source::{Source, Sources};
use tg_model::verdict::{Cause, Finding};

const NO_DECISION: &str = "no node's journal holds the scheduling decision";
const BEGUN_LATER: &str = "no node was observed yet when it was placed";

/// What had put it there, and whether its loss was avoidable.
pub fn placed_by(case: &Case, decided: Option<&Decided>) -> (Finding, Option<bool>) {
    let replaced = case.conn.id.predecessor().is_some();
    let finding = reuse::stale(case)
        .or_else(|| endpoint_lag(case, decided))
        .or_else(|| replaced.then(|| to_doomed(case, decided)).flatten())
        .unwrap_or_else(|| scheduled(case, decided));
    let doomed = finding.cause == Cause::RescheduledToDoomed || is_lag(finding.cause);
    let avoidable = match finding.cause {
        _ if !replaced => Some(false),
        Cause::Unattributed => None,
        _ if !doomed => Some(false),
        _ => match decided {
            Some(decided) => decided.had_choice,
            None => had_choice_by_cluster(case.world, case.destination, case.conn.attempt_ns),
        },
    };
    (finding, avoidable)
}

/// When it was placed: the decision, or some time while it connected.
fn placed_at(case: &Case, decided: Option<&Decided>) -> Moment {
    match decided {
        Some(decided) => decided.source.at,
        None => {
            let took = case.conn.established_ns.abs_diff(case.conn.attempt_ns);
            Moment {
                ns: case.conn.attempt_ns.saturating_add_unsigned(took / 2),
                error_ns: took.div_ceil(2),
                late_ns: 0,
            }
        }
    }
}

fn with_decision<'a>(case: &Case, draft: Draft<'a>, decided: Option<&Decided>) -> Draft<'a> {
    draft.needs(decided.map(|d| (d.source, d.decision.evidence.words.clone())), no_decision(case))
}

fn no_decision(case: &Case) -> &'static str {
    let nodes = &case.world.nodes.all;
    let later = nodes.iter().all(|n| n.from.ns > case.conn.established_ns);
    if later && !nodes.is_empty() { BEGUN_LATER } else { NO_DECISION }
}

/// It was put on a pod whose endpoint was not ready any more.
fn endpoint_lag(case: &Case, decided: Option<&Decided>) -> Option<Finding> {
    let at = placed_at(case, decided);
    let chosen = decided.map(|d| d.decision.chosen).or(case.destination)?;
    let led = decided.map_or(Source { at, ..Sources::of_run(case.conn.line, at.ns) }, |d| d.source);
    let draft = Lag::new(case.world, chosen, led, &case.balancers())?.draft(case.world, chosen, at);
    Some(with_decision(case, draft, decided).finish())
}

/// It replaced a lost one, and was put on a pod that was to go.
fn to_doomed(case: &Case, decided: Option<&Decided>) -> Option<Finding> {
    let draft = replacement(case, Cause::RescheduledToDoomed)?;
    let Some(life) = case.life else {
        let host = case.conn.host.as_deref()?;
        case.world.hosts.went(host)?;
        let draft = draft.lacks(format!("that {host} was to go is known by its losses only"));
        return Some(with_decision(case, draft, decided).finish());
    };
    let at = placed_at(case, decided);
    if !doom::doomed_at(&case.world.cluster, life, at.ns) {
        return None;
    }
    let asked = |s: Source, when: &str| (s, format!("{} was asked to end, {when}", life.pod.name));
    if let Some(before) = life.terminating.filter(|s| s.at.surely_by(at)) {
        let (source, words) = asked(before, "before");
        // Where another endpoint was ready, that would have been a lag.
        let chosen = decided.map(|d| d.decision.chosen).or(case.destination);
        let left = chosen.and_then(|chosen| case.world.cluster.endpoints.not_ready_since(chosen, at));
        let left = left.map(|since| (since.source, "its endpoint had left, and none was ready".to_owned()));
        let draft = draft.proof(source, words).needs(left, "that its endpoint had left, too, is not told");
        return Some(with_decision(case, draft, decided).finish());
    }
    let upgrade = case.world.cluster.rollouts.dooming(life, at.ns);
    let draft = match upgrade {
        Some((source, rollout)) => draft.proof(source, format!("the upgrade to {} had begun", rollout.replica_set)),
        None => draft.lacks("the beginning of an upgrade was not told"),
    };
    let later = life.terminating.filter(|s| at.surely_by(s.at)).map(|s| asked(s, "later"));
    let draft =
        draft.needs(later, "that its pod was asked to end was not seen").lacks_if(upgrade_in_doubt(case, at), CLOCKS);
    Some(with_decision(case, draft, decided).finish())
}

const LAG: &str = "clocks are too far apart to tell whether its endpoint was still ready";

/// Whether the endpoint may have left before it was chosen.
fn lag_in_doubt(case: &Case, decided: Option<&Decided>, at: Moment) -> bool {
    let chosen = decided.map(|d| d.decision.chosen).or(case.destination);
    chosen.is_some_and(|chosen| case.world.cluster.endpoints.perhaps_not_ready(chosen, at))
}

const CLOCKS: &str = "clocks are too far apart to tell whether the upgrade had begun";

/// Whether an upgrade may have begun before or after the connection was placed.
fn upgrade_in_doubt(case: &Case, at: Moment) -> bool {
    case.world.cluster.rollouts.started().any(|(s, _)| s.at.perhaps_by(at) && !s.at.surely_by(at))
}

fn replacement<'a>(case: &Case<'a>, cause: Cause) -> Option<Draft<'a>> {
    let before = case.conn.id.predecessor()?;
    let draft = case.draft(cause);
    let end = case.world.run.position(before).and_then(|at| case.world.run.conns[at].loss());
    Some(match end {
        Some(end) => draft.proof(Sources::of_run(end.line, end.ns), format!("it replaced {before}, lost then")),
        None => draft.lacks(format!("the run's journal has no end of {before}, which it replaced")),
    })
}

/// Nothing odd.
fn scheduled(case: &Case, decided: Option<&Decided>) -> Finding {
    let replaced = case.conn.id.predecessor().is_some();
    // Whether a replacement's pod was to go is not known without a word of the pod.
    if replaced && case.life.is_none() {
        let mut missing = vec!["which pod it was on, or whether that was to go, is not known".to_owned()];
        if decided.is_none() {
            missing.push(no_decision(case).to_owned());
        }
        return Finding::unattributed(missing);
    }
    let at = placed_at(case, decided);
    let draft = case.draft(Cause::Scheduled);
    let draft = draft.lacks_if(replaced && upgrade_in_doubt(case, at), CLOCKS);
    with_decision(case, draft.lacks_if(lag_in_doubt(case, decided, at), LAG), decided).finish()
}
