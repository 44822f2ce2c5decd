//! What lost evidence costs: a finding in whose time a node lost events is no longer confirmed. Changes when what
//! lowers a finding does.

use crate::nodes::Hole;
use crate::source::Sources;
use crate::world::World;
use tg_model::verdict::{Clock, EvidenceLost, Finding, Grade};

/// The holes of all nodes' journals, and how many findings each lowered.
pub struct Doubts<'a> {
    holes: Vec<(usize, &'a Hole)>,
    lowered: Vec<u64>,
}

impl<'a> Doubts<'a> {
    pub fn new(world: &'a World) -> Doubts<'a> {
        let of_node = |(nth, node): (usize, &'a crate::nodes::Node<'a>)| node.holes.iter().map(move |h| (nth, h));
        let mut holes: Vec<(usize, &Hole)> = world.nodes.all.iter().enumerate().flat_map(of_node).collect();
        holes.sort_by_key(|(_, h)| h.from.earliest());
        let lowered = vec![0; holes.len()];
        Doubts { holes, lowered }
    }

    /// Lowers the finding where one of these nodes lost events in this span. No nodes: every node.
    pub fn lower(&mut self, finding: &mut Finding, nodes: &[usize], span: (i64, i64), sources: &Sources) {
        let begun = self.holes.partition_point(|(_, h)| h.from.earliest() <= span.1);
        for (nth, (node, hole)) in self.holes[..begun].iter().enumerate() {
            let concerns = nodes.is_empty() || nodes.contains(node);
            if !concerns || !hole.touches(span.0, span.1) {
                continue;
            }
            if finding.grade == Grade::Confirmed {
                finding.grade = Grade::Suspected;
            }
            self.lowered[nth] += 1;
            let state = &sources.states[hole.input];
            let program = hole.program.as_ref().map_or(String::new(), |p| format!(" of {p}"));
            finding.missing.push(format!("{} lost events{program} in that time: {}", state.machine, hole.why));
        }
    }

    /// What was lost, and what it cost.
    pub fn told(&self, sources: &Sources) -> Vec<EvidenceLost> {
        let one = |((_, hole), lowered): (&(usize, &Hole), &u64)| EvidenceLost {
            file: sources.states[hole.input].file.clone(),
            program: hole.program.clone(),
            from_ns: hole.from.ns,
            to_ns: hole.to.ns,
            lost: hole.lost,
            why: hole.why.clone(),
            lowered: *lowered,
        };
        self.holes.iter().zip(&self.lowered).map(one).collect()
    }
}

/// What is to be said of a clock that is not exact, in words.
pub fn of_clock(machine: &str, clock: Clock) -> Option<String> {
    match (clock.way, clock.error_ns) {
        (_, Some(0)) => None,
        (_, Some(error)) => Some(format!(
            "{machine}'s clock is known to ± {} against the run's, by {} pairs of events",
            crate::words::span(error),
            clock.pairs
        )),
        (_, None) => Some(format!(
            "{machine}'s clock is not known against the run's: only both machines' real time, which proves nothing"
        )),
    }
}
