//! Attempts that failed while a node's conntrack had no room. Changes when the evidence for that does.

use super::attempts::{Attempt, BY_NETFILTER, WHOSE};
use super::strays::Found;
use crate::nodes::{Place, Told};
use tg_model::node_event::{ConntrackTable, NodeEvent};
use tg_model::verdict::{Cause, Finding};

/// A dropped packet of it, if one was seen, and a table that was full then.
pub fn table(attempt: &Attempt, dropped: Option<&Found>) -> Option<Finding> {
    let place = dropped.and_then(|found| place_of(found.told));
    let (told, table) = full(attempt, place)?;
    let node = attempt.world.nodes.name(told.node, Some(&table.netns));
    let words = format!(
        "conntrack of {node} had {} of {} entries, and dropped {} packets for want of room",
        table.entries, table.max, table.dropped
    );
    let draft = attempt.draft(Cause::ConntrackFull).proof(told.source, words);
    let seen = dropped.map(|f| (f.told.source, format!("{node} dropped a packet of such an attempt")));
    let draft = draft
        .proof(attempt.own, "nothing answered the attempt")
        .needs(seen, "that a packet of this attempt was dropped was not seen")
        .lacks_if(dropped.is_some_and(|f| f.doubtful), WHOSE)
        .lacks_if(dropped.is_some_and(|f| !by_netfilter(f.told)), "that netfilter dropped it is not told")
        .lacks_if(!nearly_full(table), "the table was not seen to be full");
    Some(draft.finish())
}

/// The first that a node told of a table that dropped packets while the attempt was under way. `place`: only there.
fn full<'a>(attempt: &Attempt<'a>, place: Option<Place>) -> Option<(&'a Told<'a>, &'a ConntrackTable)> {
    let world = attempt.world;
    let first = world.tables.partition_point(|at| world.nodes.told[*at].source.at.latest() < attempt.window.from);
    world.tables[first..].iter().find_map(|at| {
        let told = &world.nodes.told[*at];
        let NodeEvent::ConntrackTable(table) = told.event()? else { return None };
        let since = world.sources.at(told.source.input, table.since_ns);
        let then = since.earliest() <= attempt.window.to && told.source.at.latest() >= attempt.window.from;
        let here = place.is_none_or(|place| place == (told.node, table.netns.inode));
        (then && here && table.dropped > 0).then_some((told, table))
    })
}

/// Where a packet was dropped.
fn place_of(told: &Told) -> Option<Place> {
    match told.event()? {
        NodeEvent::Drop(d) => Some((told.node, d.netns.inode)),
        _ => None,
    }
}

fn by_netfilter(told: &Told) -> bool {
    matches!(told.event(), Some(NodeEvent::Drop(d)) if d.reason == BY_NETFILTER)
}

/// Early drops may make room again by the time that it is looked at.
fn nearly_full(table: &ConntrackTable) -> bool {
    table.entries.saturating_mul(10) >= table.max.saturating_mul(9)
}
