//! What may happen to journals, and whether something is confirmed then that is not so.

use super::confusion::{lies, troubles};
use super::sim::{Random, Zoo};
use tg_attribution::{Inputs, attribute};
use tg_model::journal::Line;

/// What is done to journals.
#[derive(Clone, Copy, Debug)]
pub struct Harm {
    /// So many percent of the lines are lost: of nodes, of the cluster, of the run.
    pub lost: [u64; 3],
    /// So many percent are there twice, and all in another order.
    pub twice: u64,
    /// Journals break off: nodes', the cluster's, the run's.
    pub cut: [bool; 3],
    /// Whole journals are missing: the first node's, the cluster's.
    pub gone: [bool; 2],
    /// Clocks of other machines are wrong by so much, either way.
    pub clocks_ns: u64,
    /// The run's lines are lost before they have numbers: its footer counts them.
    pub uncounted: bool,
}

impl Harm {
    pub const NONE: Harm =
        Harm { lost: [0; 3], twice: 0, cut: [false; 3], gone: [false; 2], clocks_ns: 0, uncounted: false };
}

/// Something that is confirmed and not so. Of what the run's own journal lost there is no verdict.
pub fn lie(zoo: &Zoo) -> Option<String> {
    let run = attribute(&zoo.inputs);
    let lost = run.verdicts.iter().find_map(|v| {
        let truth = zoo.truth[&v.conn];
        let both = [(truth.ended_by, &v.ended_by), (truth.placed_by, &v.placed_by)];
        let (truth, found) = both.into_iter().find(|(truth, found)| lies(*truth, found))?;
        Some(format!("{}: {truth}, found {found:#?}", v.conn))
    });
    lost.or_else(|| {
        let wrong = troubles(zoo, &run).into_iter().find(|(_, truth, found)| lies(*truth, found));
        wrong.map(|(happened, truth, found)| format!("{happened:?}: {truth}, found {found:#?}"))
    })
}

/// Unreadable lines keep their numbers in the file; where nodes' lines are lost, their own numbers tell.
pub fn harmed(inputs: &Inputs, harm: Harm, seed: u64) -> Inputs {
    let (mut inputs, mut random) = (shuffled(inputs, harm.twice, seed), Random::new(seed));
    let [nodes, cluster, run] = harm.lost;
    lose_of_run(&mut inputs.run.lines, harm.uncounted, |_| random.chance(run));
    if harm.cut[2] {
        let last = random.below(inputs.run.lines.len() as u64 + 1);
        inputs.run.lines.truncate(last as usize);
    }
    for node in &mut inputs.nodes {
        node.lines.retain(|_| !random.chance(nodes));
        if harm.cut[0] {
            let last = random.below(node.lines.len() as u64 + 1);
            node.lines.retain(|(_, l)| l.seq < last);
        }
        if node.header.boot_id != inputs.run.header.boot_id {
            node.header.realtime_ns = wrong(node.header.realtime_ns, harm, &mut random);
        }
    }
    if let Some(told) = &mut inputs.cluster {
        told.lines.retain(|_| !random.chance(cluster));
        if harm.cut[1] {
            let last = random.below(told.lines.len() as u64 + 3);
            told.lines.retain(|(number, _)| *number < last);
        }
        if told.header.boot_id != inputs.run.header.boot_id {
            told.header.realtime_ns = wrong(told.header.realtime_ns, harm, &mut random);
        }
    }
    inputs.nodes.drain(..usize::from(harm.gone[0]));
    inputs.cluster = inputs.cluster.filter(|_| !harm.gone[1]);
    inputs
}

fn lose_of_run(lines: &mut Vec<(u64, Line)>, uncounted: bool, mut lost: impl FnMut(&Line) -> bool) {
    let before = lines.len();
    lines.retain(|(_, l)| !lost(l) || uncounted && matches!(l, Line::Footer(_)));
    let now = lines.len();
    for (nth, (number, line)) in lines.iter_mut().enumerate().filter(|_| uncounted) {
        *number = nth as u64 + 2;
        if let Line::Footer(footer) = line {
            footer.records_lost = (before - now) as u64;
        }
    }
}

fn wrong(realtime_ns: u64, harm: Harm, random: &mut Random) -> u64 {
    (realtime_ns + random.below(2 * harm.clocks_ns + 1)).saturating_sub(harm.clocks_ns)
}

/// Loses so many percent of the nodes' lines; their numbers tell of it.
pub fn lossy(inputs: &Inputs, percent: u64, seed: u64) -> Inputs {
    let (mut inputs, mut random) = (inputs.clone(), Random::new(seed));
    inputs.nodes.iter_mut().for_each(|n| n.lines.retain(|_| !random.chance(percent)));
    inputs
}

/// So many percent of the lines twice, all in another order: what a file's numbers say stays.
pub fn shuffled(inputs: &Inputs, percent: u64, seed: u64) -> Inputs {
    fn shuffle<L: Clone>(lines: &mut Vec<(u64, L)>, percent: u64, random: &mut Random) {
        let again: Vec<_> = lines.iter().filter(|_| random.chance(percent)).cloned().collect();
        lines.extend(again);
        for at in (1..lines.len()).rev() {
            lines.swap(at, random.below(at as u64 + 1) as usize);
        }
    }
    let (mut inputs, mut random) = (inputs.clone(), Random::new(seed));
    inputs.nodes.iter_mut().for_each(|n| shuffle(&mut n.lines, percent, &mut random));
    inputs.cluster.iter_mut().for_each(|c| shuffle(&mut c.lines, percent, &mut random));
    inputs
}
