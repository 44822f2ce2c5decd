//! What lost evidence costs: a finding in whose time a node lost events, or that rests on what the cluster did not
//! tell of, is no longer confirmed. Changes when what lowers a finding does.

use crate::nodes::Hole;
use crate::source::Sources;
use crate::world::World;
use tg_model::verdict::{Cause, Clock, EvidenceLost, Finding, Grade, InputKind, InputState, Trouble};

/// The holes of all journals, and how many findings each lowered.
pub struct Doubts<'a> {
    /// Nodes', by when they begin; each with its node.
    holes: Vec<(usize, &'a Hole)>,
    /// For each of them: when the last of those up to it ends.
    reach: Vec<i64>,
    lowered: Vec<u64>,
    /// The cluster's, by when they begin. From the first on what it did not tell of may have happened.
    cluster: Vec<&'a Hole>,
    lowered_by_cluster: u64,
}

impl<'a> Doubts<'a> {
    pub fn new(world: &'a World) -> Doubts<'a> {
        let of_node = |(nth, node): (usize, &'a crate::nodes::Node<'a>)| node.holes.iter().map(move |h| (nth, h));
        let mut holes: Vec<(usize, &Hole)> = world.nodes.all.iter().enumerate().flat_map(of_node).collect();
        holes.sort_by_key(|(_, h)| h.from.earliest());
        let mut last = i64::MIN;
        let reach = holes.iter().map(|(_, h)| {
            last = last.max(h.to.latest());
            last
        });
        let reach = reach.collect();
        let mut cluster: Vec<&Hole> = world.cluster.holes.iter().collect();
        cluster.sort_by_key(|h| h.from.earliest());
        let lowered = vec![0; holes.len()];
        Doubts { holes, reach, lowered, cluster, lowered_by_cluster: 0 }
    }

    /// Lowers the finding where one of these nodes, or one that it rests on, lost events in this span (no nodes: every
    /// node), or as [`Doubts::lower_by_cluster`] does.
    pub fn lower(&mut self, finding: &mut Finding, nodes: &[usize], span: (i64, i64), sources: &Sources) {
        let begun = self.holes.partition_point(|(_, h)| h.from.earliest() <= span.1);
        // Of those that have begun none ends in time before this one.
        let first = self.reach[..begun].partition_point(|reach| *reach < span.0);
        for nth in first..begun {
            let (node, hole) = self.holes[nth];
            let rests_on_it = |finding: &Finding| nodes_of(finding, sources).any(|(other, _)| other == node);
            let concerns = |finding| nodes.is_empty() || nodes.contains(&node) || rests_on_it(finding);
            if !hole.touches(span.0, span.1) || !concerns(finding) {
                continue;
            }
            self.lowered[nth] += 1;
            let program = hole.program.as_ref().map_or(String::new(), |p| format!(" of {p}"));
            let machine = &sources.states[hole.input].machine;
            lower(finding, format!("{machine} lost events{program} in that time: {}", hole.why));
        }
        self.lower_by_cluster(finding, span.1);
    }

    /// Lowers what was found of a trouble: from what nodes told first of it on, nothing else of theirs may be lost.
    pub fn lower_trouble(&mut self, trouble: &mut Trouble, sources: &Sources) {
        let (nodes, times): (Vec<usize>, Vec<i64>) = nodes_of(&trouble.finding, sources).unzip();
        let from = times.into_iter().fold(trouble.started_ns, i64::min);
        if nodes.is_empty() {
            return self.lower_by_cluster(&mut trouble.finding, trouble.ended_ns);
        }
        self.lower(&mut trouble.finding, &nodes, (from, trouble.ended_ns), sources);
    }

    /// Lowers the finding where it rests on what the cluster did not tell of up to then, and that is not whole.
    pub fn lower_by_cluster(&mut self, finding: &mut Finding, until_ns: i64) {
        if let Some(hole) = self.cluster.first().filter(|h| h.from.earliest() <= until_ns)
            && rests_on_silence(finding)
        {
            self.lowered_by_cluster += 1;
            lower(finding, format!("the cluster's journal is not whole up to then: {}", hole.why));
        }
    }

    /// What was lost, and what it cost.
    pub fn told(&self, sources: &Sources) -> Vec<EvidenceLost> {
        let one = |(hole, lowered): (&Hole, &u64)| EvidenceLost {
            file: sources.states[hole.input].file.clone(),
            program: hole.program.clone(),
            from_ns: hole.from.ns,
            to_ns: hole.to.ns,
            lost: hole.lost,
            why: hole.why.clone(),
            lowered: *lowered,
        };
        let of_nodes = self.holes.iter().map(|(_, hole)| *hole).zip(&self.lowered);
        // It is the cluster's first that lowers.
        let lowered = [&self.lowered_by_cluster].into_iter().chain(std::iter::repeat(&0));
        of_nodes.chain(self.cluster.iter().copied().zip(lowered)).map(one).collect()
    }
}

/// The nodes that the finding's evidence is of, and when each piece was.
fn nodes_of(finding: &Finding, sources: &Sources) -> impl Iterator<Item = (usize, i64)> {
    finding.evidence.iter().filter_map(|evidence| {
        let is_it = |s: &InputState| s.kind == InputKind::Node && s.file == evidence.file;
        // The run is input 0, and nodes come next.
        let node = sources.states.iter().position(is_it)?.checked_sub(1)?;
        Some((node, evidence.at_ns))
    })
}

fn lower(finding: &mut Finding, missing: String) {
    if finding.grade == Grade::Confirmed {
        finding.grade = Grade::Suspected;
    }
    finding.missing.push(missing);
}

/// Whether something that the cluster did not tell of would make the finding another one. What is told of a pod's end,
/// of packets and of the generator itself stays true.
fn rests_on_silence(finding: &Finding) -> bool {
    let told = [
        Cause::PodTerminated,
        Cause::Blackhole,
        Cause::ServerStalled,
        Cause::GeneratorStarved,
        Cause::LocalError,
        Cause::NameResolution,
    ];
    finding.grade == Grade::Confirmed && !told.contains(&finding.cause)
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
