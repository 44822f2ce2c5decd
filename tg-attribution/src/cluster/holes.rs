//! Where a cluster's journal does not tell what happened. Changes when there is another way to see that.

use crate::input::Journal;
use crate::nodes::{Hole, NEVER};
use crate::source::Sources;
use tg_model::cluster_event::ClusterLine;

/// Lines that cannot be read, by the numbers that are missing, and what came after a journal that breaks off.
pub fn of(input: usize, journal: &Journal<ClusterLine>, sources: &Sources) -> Vec<Hole> {
    let mut lines: Vec<(u64, Option<u64>)> = journal.lines.iter().map(|(number, l)| (*number, time_of(l))).collect();
    lines.sort_unstable_by_key(|(number, _)| *number);
    let ended = journal.lines.iter().any(|(_, l)| matches!(l, ClusterLine::Footer(_)));
    let hole = |from, to, lost, why: &str| Hole { input, program: None, from, to, lost, why: why.to_owned() };
    let mut holes = Vec::new();
    // The header is line 1, and its time is the journal's origin.
    let (mut before, mut before_ns) = (1, 0);
    for (number, ns) in lines {
        let missing = number.saturating_sub(before).saturating_sub(1);
        let ns = ns.unwrap_or(before_ns);
        if missing > 0 {
            let (from, to) = (sources.at(input, before_ns.min(ns)), sources.at(input, before_ns.max(ns)));
            holes.push(hole(from, to, Some(missing), "lines of the journal cannot be read"));
        }
        (before, before_ns) = (number, ns);
    }
    if !ended {
        let from = sources.at(input, before_ns);
        holes.push(hole(from, NEVER, None, "the journal has no end: its writer was killed, or still writes"));
    }
    holes
}

fn time_of(line: &ClusterLine) -> Option<u64> {
    match line {
        ClusterLine::Header(_) => Some(0),
        ClusterLine::Event(e) => Some(e.at_ns),
        ClusterLine::Footer(f) => Some(f.ended_ns),
    }
}
