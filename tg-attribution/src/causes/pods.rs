//! Causes that lie with the pod: it ended, or its server closed the connection. Changes when the evidence for one
//! does.

use crate::case::{ASKED_LATE_NS, Case, WATCH_LATE_NS};
use crate::draft::Draft;
use crate::source::Source;
use crate::words::after;
use tg_model::outcome::EndReason;
use tg_model::verdict::{Cause, Finding};

/// What the end of a process lacks to be sure that nobody had asked for it, and that the process had the connection.
pub fn with_doubts<'a>(draft: Draft<'a>, case: &Case, ended: Source) -> Draft<'a> {
    let before = ended.at.earliest() < case.conn.established_ns;
    draft
        .lacks_if(case.pod_went_on().is_none(), "the run's journal has no end of another connection of its pod")
        .lacks_if(case.pod_took_more_before(ended), "its pod took connections after this and before its end was told")
        .lacks_if(before, "clocks are too far apart to tell whether its pod had ended before it was established")
        .lacks_if(!case.unasked_is_told(), "the cluster's journal does not tell whether its pod had been asked to end")
}

/// The peer ended it, by the client's own record.
fn by_peer(case: &Case) -> bool {
    matches!(case.end.reason, EndReason::Reset | EndReason::ClosedByPeer)
}

/// What the pod's end lacks where nobody saw the FIN or the RST.
fn unseen(case: &Case) -> &'static str {
    if case.told.is_empty() {
        "no node's journal tells of this connection: whether its pod sent a FIN or a RST is not known"
    } else {
        "no FIN or RST was seen that its pod's side sent"
    }
}

/// The pod was asked to end, or its process ended, and its side sent a FIN or a RST.
pub fn terminated(case: &Case) -> Option<Finding> {
    let life = case.life?;
    if case.is_udp() || !by_peer(case) {
        return None;
    }
    let (draft, _) = end_of_pod(case, life.terminating)?;
    Some(draft.needs(case.pod_side_end(), unseen(case)).finish())
}

/// That the pod was asked to end before the connection ended; else, that its process ended about then. With when.
pub fn end_of_pod<'a>(case: &Case<'a>, terminating: Option<Source>) -> Option<(Draft<'a>, Source)> {
    let draft = case.draft(Cause::PodTerminated);
    let name = case.pod_name();
    let asked = terminating.filter(|s| s.at.perhaps_by(case.ended()));
    if let Some(asked) = asked {
        let doubtful = !asked.at.surely_by(case.ended());
        let draft = draft
            .proof(asked, format!("{name} was asked to end, {}", after(case.end.ns, asked.at.ns)))
            .lacks_if(doubtful, "clocks are too far apart to tell that this was before the connection's end");
        return Some((draft, asked));
    }
    let ended = case.process_end()?;
    let doubtful = ended.at.latest() > case.end.ns.saturating_add(WATCH_LATE_NS);
    let draft = with_doubts(draft, case, ended)
        .proof(ended, format!("{name} ended without being asked to"))
        .lacks_if(doubtful, "clocks are too far apart to tell that this was about then");
    Some((draft, ended))
}

/// The pod's side ended it, and the pod was well.
pub fn server_closed(case: &Case) -> Option<Finding> {
    let life = case.life?;
    let pod_side = case.pod_side_end()?;
    if case.is_udp() || !by_peer(case) || !case.pod_was_well() {
        return None;
    }
    // Who watches may hear late of a pod that was asked to end, or is unwell.
    let within =
        |s: &Source, late: i64| s.at.latest() >= case.end.ns && s.at.earliest() <= case.end.ns.saturating_add(late);
    let in_doubt = life.terminating.iter().any(|s| within(s, ASKED_LATE_NS))
        || life.unready.iter().any(|s| within(s, WATCH_LATE_NS))
        || left_unasked(case).any(|s| within(&s, WATCH_LATE_NS));
    let draft = case
        .draft(Cause::ServerClosed)
        .proof(pod_side.0, pod_side.1)
        .proof(life.seen, format!("{} lived on", case.pod_name()))
        .lacks_if(case.pod_knew_it_no_more(), "the pod knew no such connection any more: why is not told")
        .lacks_if(case.may_be_led_anew(), "whom its pod had it with is not told: it may have known no such connection")
        .lacks_if(in_doubt, "its pod was in trouble right after: its server may have ended");
    Some(draft.finish())
}

/// Each time that its pod's endpoint was not ready, though nobody had asked its pod to end.
fn left_unasked(case: &Case) -> impl Iterator<Item = Source> {
    let history = case.destination.map_or(&[][..], |address| case.world.cluster.endpoints.history(address));
    let left = history.iter().filter(|s| s.endpoint.is_some_and(|e| !e.ready && !e.terminating));
    left.map(|s| s.source)
}

/// Without word of the pod's end: its host lost every connection and was never met again.
pub fn went_by_host_names(case: &Case) -> Option<Finding> {
    let host = case.conn.host.as_deref()?;
    if case.world.cluster.watched && case.life.is_some() {
        return None;
    }
    let went = case.world.hosts.went(host)?;
    let draft = case
        .draft(Cause::PodTerminated)
        .proof(case.own_line(), format!("{host} lost every connection, the last {}", after(went, case.end.ns)))
        .lacks("no cluster's journal tells of its pod's end");
    let draft = match case.pod_side_end() {
        Some((source, words)) => draft.proof(source, words),
        None => draft.lacks(unseen(case)),
    };
    Some(draft.finish())
}

/// The pod's side ended it; what became of the pod nobody told.
pub fn closed_by_somebody(case: &Case) -> Option<Finding> {
    if case.life.is_some() {
        return None;
    }
    let (source, words) = case.pod_side_end()?;
    let draft = case.draft(Cause::ServerClosed).proof(source, words);
    Some(draft.lacks("no cluster's journal tells whether its pod lived on").finish())
}
