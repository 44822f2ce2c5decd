//! Attempts that failed while a node's conntrack had no room. Changes when the evidence for that does.

use super::attempts::{Attempt, BY_NETFILTER, WHOSE};
use super::local;
use super::strays::Found;
use crate::moment::Moment;
use crate::nodes::Told;
use crate::world::World;
use tg_model::node_event::{ConntrackTable, NodeEvent};
use tg_model::verdict::{Cause, Finding};

/// A dropped packet of it, if one was seen, and a table that was full then.
pub fn table(attempt: &Attempt, dropped: Option<&Found>) -> Option<Finding> {
    let Full { told, table, border } = match dropped {
        Some(found) => full_at(attempt.world, found.told)?,
        None => full_during(attempt)?,
    };
    let node = attempt.world.nodes.name(told.node, Some(&table.netns));
    let words = format!(
        "conntrack of {node} had {} of {} entries, and dropped {} packets for want of room",
        table.entries, table.max, table.dropped
    );
    let draft = attempt.draft(Cause::ConntrackFull).proof(told.source, words);
    let seen = dropped.map(|f| (f.told.source, format!("{node} dropped a packet of such an attempt")));
    let by_rule = dropped.is_some_and(|f| local::perhaps_drained(attempt, f));
    let draft = draft
        .proof(attempt.own, "nothing answered the attempt")
        .needs(seen, "that a packet of this attempt was dropped was not seen")
        .lacks_if(dropped.is_some_and(|f| f.doubtful), WHOSE)
        .lacks_if(dropped.is_some_and(|f| !by_netfilter(f.told)), "that netfilter dropped it is not told")
        .lacks_if(by_rule, "a rule may have dropped it: that the node was to lead it on is not told")
        .lacks_if(border, "whether the table had room at that moment is not told")
        .lacks_if(!nearly_full(table), "the table was not seen to be full");
    Some(draft.finish())
}

/// A table that dropped packets.
struct Full<'a> {
    told: &'a Told<'a>,
    table: &'a ConntrackTable,
    /// It may have been a little before that, or after.
    border: bool,
}

/// The first that a node told of a table that dropped packets while the attempt was under way.
fn full_during<'a>(attempt: &Attempt<'a>) -> Option<Full<'a>> {
    let (from, to) = (attempt.window.from, attempt.window.to);
    let then = |since: Moment| since.earliest() <= to;
    let (told, _, table) = tables(attempt.world, from).find(|(_, since, table)| then(*since) && table.dropped > 0)?;
    Some(Full { told, table, border: false })
}

/// The table where a packet was dropped, where others were dropped by it then.
fn full_at<'a>(world: &'a World<'a>, dropped: &Told) -> Option<Full<'a>> {
    let NodeEvent::Drop(drop) = dropped.event()? else { return None };
    let place = (dropped.node, drop.netns.inode);
    // One clock tells both: it is wrong for both alike.
    let own = |at: Moment| Moment { error_ns: 0, ..at };
    let at = own(dropped.source.at);
    let begun = |since: Moment| own(since).perhaps_by(at);
    let here = tables(world, dropped.source.at.earliest())
        .filter(|(told, _, table)| (told.node, table.netns.inode) == place)
        .take_while(|(_, since, _)| begun(*since));
    let then: Vec<_> = here.filter(|(told, ..)| at.perhaps_by(own(told.source.at))).collect();
    let (told, _, table) = *then.iter().find(|(.., table)| table.dropped > 0)?;
    Some(Full { told, table, border: then.iter().any(|(.., table)| table.dropped == 0) })
}

/// What was told of tables from then on, with when each was looked at before.
fn tables<'a>(world: &'a World<'a>, from: i64) -> impl Iterator<Item = (&'a Told<'a>, Moment, &'a ConntrackTable)> {
    let first = world.tables.partition_point(|at| world.nodes.told[*at].source.at.latest() < from);
    world.tables[first..].iter().filter_map(|at| {
        let told = &world.nodes.told[*at];
        let NodeEvent::ConntrackTable(table) = told.event()? else { return None };
        // It was looked at by the same reader.
        let since = Moment { late_ns: told.source.at.late_ns, ..world.sources.at(told.source.input, table.since_ns) };
        Some((told, since, table))
    })
}

fn by_netfilter(told: &Told) -> bool {
    matches!(told.event(), Some(NodeEvent::Drop(d)) if d.reason == BY_NETFILTER)
}

/// Early drops may make room again by the time that it is looked at.
fn nearly_full(table: &ConntrackTable) -> bool {
    table.entries.saturating_mul(10) >= table.max.saturating_mul(9)
}
