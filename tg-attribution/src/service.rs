//! Time without service: of single slots, and of the service. Changes when what counts as out does.

use crate::moment::signed;
use crate::run::Run;
use std::collections::HashMap;
use tg_model::verdict::ServiceTime;

/// From the run's own lines.
pub fn of(run: &Run) -> ServiceTime {
    let spans = spans(run);
    let mut lengths: Vec<u64> = spans.iter().map(|(from, to)| to.abs_diff(*from)).collect();
    lengths.sort_unstable();
    let (slots_out_max, out) = together(&spans, u64::from(run.slots));
    ServiceTime {
        outages: lengths.len() as u64,
        total_ns: lengths.iter().fold(0, |sum: u64, ns| sum.saturating_add(*ns)),
        p50_ns: lengths.get(lengths.len().saturating_sub(1) / 2).copied().unwrap_or(0),
        max_ns: lengths.last().copied().unwrap_or(0),
        slots_out_max,
        slots: run.slots.into(),
        service_out_ns: out.iter().fold(0, |sum: u64, ns| sum.saturating_add(*ns)),
        service_out_max_ns: out.iter().copied().max().unwrap_or(0),
    }
}

/// Each slot's times without service; those that follow one another without a pause are one.
fn spans(run: &Run) -> Vec<(i64, i64)> {
    let mut by_slot: HashMap<u32, Vec<(i64, i64)>> = HashMap::new();
    for o in &run.outages {
        // A slot's time to its first connection is no time without service.
        if o.lost.is_none() && o.replacement.is_some() {
            continue;
        }
        let length = o.detection_ns.saturating_add(o.reconnect_ns).saturating_add(o.wait_ns);
        let from = signed(o.since_ns);
        by_slot.entry(o.slot.0).or_default().push((from, from.saturating_add_unsigned(length)));
    }
    let mut all = Vec::new();
    for mut spans in by_slot.into_values() {
        spans.sort_unstable();
        let mut last: Option<(i64, i64)> = None;
        for (from, to) in spans {
            last = match last {
                Some((start, end)) if from <= end => Some((start, end.max(to))),
                Some(done) => {
                    all.push(done);
                    Some((from, to))
                }
                None => Some((from, to)),
            };
        }
        all.extend(last);
    }
    all
}

/// How many were out at once at most, and the lengths of the times in which all slots were.
fn together(spans: &[(i64, i64)], slots: u64) -> (u64, Vec<u64>) {
    // An end comes before a begin at the same time.
    let mut edges: Vec<(i64, bool)> = spans.iter().flat_map(|(from, to)| [(*from, true), (*to, false)]).collect();
    edges.sort_unstable();
    let (mut out, mut most, mut since, mut lengths) = (0u64, 0, None, Vec::new());
    for (at, begins) in edges {
        if begins {
            out += 1;
            most = most.max(out);
            if out == slots {
                since = Some(at);
            }
        } else {
            if let (true, Some(from)) = (out == slots, since.take()) {
                lengths.push(at.abs_diff(from));
            }
            out = out.saturating_sub(1);
        }
    }
    lengths.retain(|ns| *ns > 0);
    (most, lengths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_out_where_every_slot_is() {
        assert_eq!(together(&[(0, 10), (4, 12)], 2), (2, vec![6]));
        assert_eq!(together(&[(0, 10), (10, 12)], 2), (1, vec![]));
        assert_eq!(together(&[(0, 10), (2, 3), (5, 20)], 2), (2, vec![1, 5]));
        assert_eq!(together(&[(0, 10)], 1), (1, vec![10]));
        assert_eq!(together(&[], 3), (0, vec![]));
    }
}
