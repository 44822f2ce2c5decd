//! Causes that lie with conntrack. Changes when the evidence for one does.

use crate::case::Case;
use crate::join::plain;
use crate::nodes::Told;
use crate::run::canonical;
use crate::words::after;
use tg_model::node_event::{Conntrack, ConntrackPhase, NodeEvent, Tuple};
use tg_model::verdict::{Cause, Finding};

/// A packet of the pod was left untranslated: the client's side knows no such connection and answers with a reset.
pub fn invalid(case: &Case) -> Option<Finding> {
    if !case.pod_was_well() {
        return None;
    }
    let ended = case.ended();
    let (told, netns) = case.events().find_map(|(told, event)| match event {
        NodeEvent::ResetSent(r)
            if !r.socket
                && case.is_destination(r.tuple.dst)
                && canonical(r.tuple.src) == case.conn.local
                && told.source.at.perhaps_by(ended) =>
        {
            Some((told, &r.netns))
        }
        _ => None,
    })?;
    let place = case.world.nodes.name(told.node, Some(netns));
    let words = format!(
        "{place} got a packet of {} untranslated, knew no such connection and sent a reset",
        case.destination.map_or_else(String::new, |d| d.to_string())
    );
    let mut draft = case.draft(Cause::ConntrackInvalid).proof(told.source, words);
    if let Some(life) = case.life {
        draft = draft.proof(life.seen, format!("{} was well", case.pod_name()));
    }
    Some(draft.finish())
}

/// The entry was destroyed while the connection was alive, and a reset followed.
pub fn entry_lost(case: &Case) -> Option<Finding> {
    if case.is_udp() || !case.pod_was_well() {
        return None;
    }
    let (told, entry) = destroyed_alive(case)?;
    let reset = case.events().find_map(|(t, event)| match event {
        NodeEvent::ResetSent(r)
            if (!r.socket || led_anew(case, r.tuple))
                && told.source.at.perhaps_by(t.source.at)
                && t.source.at.perhaps_by(case.ended()) =>
        {
            let place = case.world.nodes.name(t.node, Some(&r.netns));
            Some((t.source, format!("{place} knew no such connection and sent a reset")))
        }
        _ => None,
    });
    let place = case.world.nodes.name(told.node, Some(&entry.netns));
    let surely = told.source.at.surely_by(case.ended());
    let words = format!("conntrack of {place} destroyed its entry {}", after(case.end.ns, told.source.at.ns));
    let mut draft = case
        .draft(Cause::ConntrackEntryLost)
        .proof(told.source, words)
        .needs(reset, "the reset that followed was not seen")
        .lacks_if(!surely, "clocks are too far apart to tell that this was before its end")
        .lacks_if(super::proxy::restarted_about(case), "its node's proxy was started or stopped about then");
    if let Some(life) = case.life {
        draft = draft.proof(life.seen, format!("{} was well", case.pod_name()));
    }
    Some(draft.finish())
}

/// Whether this goes back by another entry than its own: what the client sent was taken for a new connection, and went
/// to a listener, which knows of none.
fn led_anew(case: &Case, reset: Tuple) -> bool {
    let goes_by = |e: &Conntrack| plain(e.reply) == plain(reset);
    case.is_surely_not_its(reset) && case.told.iter().filter_map(|t| t.entry()).any(goes_by)
}

/// The end of the entry that translates the connection, before anything else ended it.
fn destroyed_alive<'a>(case: &Case<'a>) -> Option<(&'a Told<'a>, &'a Conntrack)> {
    for (told, event) in case.events() {
        match event {
            NodeEvent::Conntrack(e)
                if e.phase == ConntrackPhase::Destroyed
                    && crate::case::led_to(told) == case.destination
                    && !case.is_surely_not_its(e.reply) =>
            {
                let alive = told.source.at.earliest() > case.conn.established_ns;
                return (alive && told.source.at.perhaps_by(case.ended())).then_some((told, e));
            }
            // A reset before that has another cause.
            NodeEvent::ResetSent(_) | NodeEvent::ResetReceived(_) => return None,
            _ => {}
        }
    }
    None
}
