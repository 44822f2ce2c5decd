//! Taking one piece of evidence away lowers what rests on it, and nothing else.

use super::plain;
use super::sim::{Director, Scenario, Setup, simulate};
use tg_attribution::{Inputs, attribute};
use tg_model::cluster_event::{ClusterEvent, ClusterLine, NodeChange, PodPhase};
use tg_model::journal::Line;
use tg_model::node_event::{Gap, LossCause, NodeLine, Numbered};
use tg_model::verdict::{Cause, Evidence, Finding, Grade, RunVerdict};

/// A finding of a run: which, and what it says.
type Said = ((u32, u64, &'static str), Cause, Grade);

fn findings(run: &RunVerdict) -> impl Iterator<Item = ((u32, u64, &'static str), &Finding)> {
    run.verdicts.iter().flat_map(|v| {
        let of = |what| (v.conn.slot.0, v.conn.nth, what);
        [(of("ended by"), &v.ended_by), (of("placed by"), &v.placed_by)]
    })
}

fn said(run: &RunVerdict) -> Vec<Said> {
    findings(run).map(|(which, f)| (which, f.cause, f.grade)).collect()
}

/// What the line tells of never was: a node's lines are numbered as if nobody had seen it, a cluster's tells of
/// something else.
fn without(inputs: &Inputs, evidence: &Evidence) -> Inputs {
    let mut inputs = inputs.clone();
    for node in inputs.nodes.iter_mut().filter(|n| n.file == evidence.file) {
        let seq = evidence.seq.unwrap();
        node.lines.retain(|(_, l)| l.seq != seq);
        for (_, line) in node.lines.iter_mut().filter(|(_, l)| l.seq > seq) {
            line.seq -= 1;
        }
    }
    if let Some(cluster) = inputs.cluster.as_mut().filter(|c| c.file == evidence.file) {
        for (_, line) in cluster.lines.iter_mut().filter(|(number, _)| *number == evidence.line) {
            let ClusterLine::Event(seen) = line else { panic!("{line:?} is no evidence") };
            seen.event = ClusterEvent::Node(NodeChange { node: "elsewhere".into(), ready: true });
        }
    }
    inputs
}

/// Every piece that a node or the cluster gave to a confirmed finding, each once.
fn pieces(run: &RunVerdict) -> Vec<Evidence> {
    let confirmed = findings(run).filter(|(_, f)| f.grade == Grade::Confirmed);
    let mut all: Vec<Evidence> =
        confirmed.flat_map(|(_, f)| &f.evidence).filter(|e| e.file != "run.jsonl").cloned().collect();
    all.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    all.dedup_by(|a, b| (&a.file, a.line) == (&b.file, b.line));
    all
}

/// What only tells that a pod was there is no proof of a cause: other lines tell it, too. Nor is what a finding tells
/// beside its proof.
fn is_proof(evidence: &Evidence) -> bool {
    !["lived on", "was well", "was alive", "was no longer ready"].iter().any(|words| evidence.words.contains(words))
}

#[test]
fn a_piece_less_lowers_what_rests_on_it_and_nothing_else() {
    let mut tried = 0;
    for director in [Director::Ipvs, Director::Rules, Director::Proxy] {
        for scenario in Scenario::ALL.into_iter().filter(|s| s.can_be(director, 2, false)) {
            let small = Setup { slots: 6, replicas: 3, nodes: 2, ..plain(scenario, director) };
            let zoo = simulate(small);
            let whole = attribute(&zoo.inputs);
            for piece in pieces(&whole).into_iter().filter(is_proof) {
                tried += 1;
                let less = attribute(&without(&zoo.inputs, &piece));
                for ((which, before), (_, after)) in findings(&whole).zip(findings(&less)) {
                    let rests = |e: &Evidence| (&e.file, e.line) == (&piece.file, piece.line);
                    let rests = before.evidence.iter().any(rests);
                    let same = (before.cause, before.grade) == (after.cause, after.grade);
                    let context = || format!("{small:?}\nwithout {piece:?}\n{which:?} was {before:#?}\nis {after:#?}");
                    if !rests {
                        assert!(same, "{}", context());
                    } else {
                        // Lowered, or another piece tells the same.
                        let other = after.evidence.iter().any(|e| !before.evidence.contains(e));
                        assert!(after.grade != Grade::Confirmed || (same && other), "{}", context());
                    }
                }
            }
        }
    }
    assert!(tried > 300, "{tried}");
}

/// Of an upgrade: what its verdicts are when a node's journal says that it lost events in a span.
fn with_gap(inputs: &Inputs, node: usize, from_ns: u64, to_ns: u64) -> Inputs {
    let mut inputs = inputs.clone();
    let lines = &mut inputs.nodes[node].lines;
    let (number, seq) = lines.last().map(|(number, l)| (*number, l.seq)).unwrap();
    let gap = Gap { program: "tcp-state".into(), cpu: None, from_ns, to_ns, lost: Some(3), cause: LossCause::RingFull };
    lines.push((number + 1, Numbered { seq: seq + 1, line: NodeLine::Gap(gap) }));
    inputs
}

#[test]
fn a_gap_lowers_the_verdicts_of_its_window_and_says_how_many() {
    let zoo = simulate(plain(Scenario::Upgrade, Director::Ipvs));
    let whole = attribute(&zoo.inputs);
    assert!(said(&whole).iter().all(|(_, _, grade)| *grade == Grade::Confirmed));
    // One loss in the middle: the node's journal began 4 s before the run.
    let victim = whole.verdicts[whole.verdicts.len() / 2].clone();
    let at = victim.ended_ns as u64 + 4_000_000_000;
    let less = attribute(&with_gap(&zoo.inputs, 0, at - 10_000, at + 10_000));
    let mut lowered = 0;
    for (before, after) in whole.verdicts.iter().zip(&less.verdicts) {
        let hit = before.ended_ns.abs_diff(victim.ended_ns) <= 10_000;
        let grade = if hit { Grade::Suspected } else { Grade::Confirmed };
        assert_eq!((after.ended_by.cause, after.ended_by.grade), (before.ended_by.cause, grade));
        lowered += u64::from(hit);
    }
    let told: u64 = less.evidence_lost.iter().map(|e| e.lowered).sum();
    assert!(lowered >= 1 && told >= lowered, "{lowered} {told}");
    assert!(less.evidence_lost[0].why.contains("ring buffer"));
}

#[test]
fn lines_that_are_missing_are_a_gap_too_and_so_is_a_journal_without_an_end() {
    let zoo = simulate(plain(Scenario::Upgrade, Director::Ipvs));
    let mut inputs = zoo.inputs.clone();
    let lines = &mut inputs.nodes[0].lines;
    let half = lines.len() / 2;
    lines.drain(half..half + 40);
    let less = attribute(&inputs);
    assert_eq!(less.evidence_lost.len(), 1);
    assert_eq!(less.evidence_lost[0].lost, Some(40));
    assert!(less.evidence_lost[0].lowered > 0);
    let mut inputs = zoo.inputs.clone();
    inputs.nodes[0].lines.pop();
    assert!(attribute(&inputs).evidence_lost[0].why.contains("has no end"));
}

#[test]
fn what_an_observer_did_not_see_after_its_early_end_is_lost() {
    let mut inputs = simulate(plain(Scenario::Upgrade, Director::Ipvs)).inputs;
    assert!(attribute(&inputs).evidence_lost.is_empty());
    let lines = &mut inputs.nodes[0].lines;
    let last = lines.len() - 1;
    let ended_ns = (1..last).filter_map(|at| at_ns(&lines[at].1.line)).nth(last / 2).unwrap();
    lines.retain(|(_, l)| at_ns(&l.line).is_none_or(|ns| ns <= ended_ns));
    for (number, (_, line)) in (1..).zip(lines.iter_mut()) {
        line.seq = number;
        if let NodeLine::Footer(footer) = &mut line.line {
            footer.ended_ns = ended_ns;
        }
    }
    let less = attribute(&inputs);
    assert_eq!(less.evidence_lost.len(), 1, "{:?}", less.evidence_lost);
    assert!(less.evidence_lost[0].why.contains("ended before the run"));
}

fn at_ns(line: &NodeLine) -> Option<u64> {
    match line {
        NodeLine::Event(e) => Some(e.at_ns),
        NodeLine::Snapshot(s) => Some(s.at_ns),
        _ => None,
    }
}

#[test]
fn a_pod_that_may_have_gone_on_is_no_sure_black_hole() {
    let setup = Setup { without: Some("drop"), ..plain(Scenario::PodBlackhole, Director::Rules) };
    let mut inputs = simulate(setup).inputs;
    for (_, line) in &mut inputs.cluster.as_mut().unwrap().lines {
        let ClusterLine::Event(seen) = line else { continue };
        let ClusterEvent::Pod(change) = &mut seen.event else { continue };
        if change.phase == PodPhase::Unready {
            change.phase = PodPhase::Stopped;
        }
    }
    let ended = |inputs: &Inputs| -> Vec<(Cause, Grade)> {
        attribute(inputs).verdicts.iter().map(|v| (v.ended_by.cause, v.ended_by.grade)).collect()
    };
    let whole = ended(&inputs);
    assert!(!whole.is_empty() && whole.iter().all(|f| *f == (Cause::Blackhole, Grade::Confirmed)), "{whole:?}");
    // The last end is not told: that connection may have gone on.
    let lines = &mut inputs.run.lines;
    let lost = |(_, l): &(u64, Line)| matches!(l, Line::Closed(c) if c.reason.is_lost());
    lines.remove(lines.iter().rposition(lost).unwrap());
    let less = ended(&inputs);
    assert_eq!(less, vec![(Cause::Blackhole, Grade::Suspected); whole.len() - 1]);
}

#[test]
fn every_hole_of_the_cluster_is_told() {
    let mut inputs = simulate(plain(Scenario::Upgrade, Director::Ipvs)).inputs;
    let lines = &mut inputs.cluster.as_mut().unwrap().lines;
    lines.remove(lines.len() * 2 / 3);
    lines.remove(lines.len() / 3);
    lines.pop();
    let verdict = attribute(&inputs);
    assert!(verdict.notes.iter().any(|n| n.starts_with("cluster.jsonl breaks off")), "{:?}", verdict.notes);
    let lost = verdict.evidence_lost;
    assert_eq!(lost.iter().map(|e| e.lost).collect::<Vec<_>>(), [Some(1), Some(1), None]);
    assert!(lost[0].lowered > 0 && lost[1..].iter().all(|e| e.lowered == 0), "{lost:#?}");
}

#[test]
fn without_nodes_or_without_the_cluster_nothing_is_confirmed() {
    let zoo = simulate(plain(Scenario::Upgrade, Director::Ipvs));
    let mut run_alone = zoo.inputs.clone();
    run_alone.nodes.clear();
    run_alone.cluster = None;
    let mut no_nodes = zoo.inputs.clone();
    no_nodes.nodes.clear();
    let mut no_cluster = zoo.inputs.clone();
    no_cluster.cluster = None;
    let whole = attribute(&zoo.inputs);
    for (inputs, what) in [(run_alone, "run alone"), (no_nodes, "no nodes"), (no_cluster, "no cluster")] {
        let less = attribute(&inputs);
        assert!(less.verdicts.iter().all(|v| v.ended_by.grade != Grade::Confirmed), "{what}");
        // What is suspected is right all the same.
        let right = less.verdicts.iter().filter(|v| v.ended_by.cause == Cause::PodTerminated).count();
        assert_eq!(right, less.verdicts.len(), "{what}");
        assert_eq!(less.totals.perfect, whole.totals.perfect, "{what}");
        assert!(!less.notes.is_empty(), "{what}");
    }
}
