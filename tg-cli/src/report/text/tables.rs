//! The parts of the report below the hosts, each left out where it has nothing to say. Changes when a
//! figure is shown in another way.

use super::page::{Page, some};
use crate::span::show;
use tg_model::outcome::{AttemptFailure, DropReason, EndReason};
use tg_model::plan::{Transport, lull_ns};
use tg_model::summary::{Spread, Summary};

/// Why connections were lost.
pub fn ends(page: &mut Page, s: &Summary) {
    if s.lost > 0 {
        page.line("\nWhy they were lost");
    }
    for reason in EndReason::ALL.iter().filter(|r| r.is_lost()) {
        row(page, s.ended.by(*reason), reason.name(), end_in_words(*reason));
    }
}

fn end_in_words(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Completed => "alive at the end",
        EndReason::Reset => "the server, or somebody on the way, reset it",
        EndReason::ClosedByPeer => "the server closed it",
        EndReason::ResponseTimeout => "an echo was out longer than --response-timeout",
        EndReason::UserTimeout => "the kernel gave up: nothing was acknowledged",
        EndReason::Unreachable => "the network said that the server is unreachable",
        EndReason::Protocol => "what came back is not what was sent",
        EndReason::LocalError => "this machine refused an operation",
    }
}

/// Attempts that failed, and slots that were left without a connection.
pub fn attempts(page: &mut Page, s: &Summary) {
    if s.failed_attempts.total > 0 {
        let (failed, all) = (s.failed_attempts.total, s.attempts);
        page.line(&format!("\nFailed attempts to connect: {failed} of {all} (they are not lost connections)"));
    }
    for failure in AttemptFailure::ALL {
        row(page, s.failed_attempts.by(*failure), failure.name(), failure_in_words(*failure));
    }
    if s.without_connection > 0 {
        let never = match s.never_connected {
            0 => String::new(),
            n => format!(", {n} of them at any time"),
        };
        let (without, all) = (s.without_connection, s.plan.conns);
        page.line(&format!("\nWithout a connection at the end: {without} of {all} places{never}"));
    }
}

fn failure_in_words(failure: AttemptFailure) -> &'static str {
    match failure {
        AttemptFailure::Refused => "nobody listens there",
        AttemptFailure::Timeout => "no answer within --connect-timeout",
        AttemptFailure::Unreachable => "the network said that the server is unreachable",
        AttemptFailure::Reset => "reset while connecting",
        AttemptFailure::LocalError => "this machine refused, or the name did not resolve",
    }
}

/// A count, what was counted, and what that means.
fn row(page: &mut Page, n: u64, name: &str, words: &str) {
    if n > 0 {
        page.line(&format!("  {name:<16} {n:>10}  {words}"));
    }
}

/// Times without service, in their parts.
pub fn outages(page: &mut Page, s: &Summary) {
    let o = &s.outages;
    if o.count == 0 {
        return;
    }
    let still_out = if o.still_out > 0 { format!(", {} not over at the end", o.still_out) } else { String::new() };
    page.line(&format!("\nTime without service: {} in all, {}{still_out}", show(o.total_ns), some(o.count, "time")));
    page.line(&format!("  {:<34} {:>12} {:>12} {:>12}", "", "median", "longest", "in all"));
    let mut part = |name: &str, p50: u64, max: u64, total: u64| {
        page.line(&format!("  {name:<34} {:>12} {:>12} {:>12}", show(p50), show(max), show(total)));
    };
    part("whole", o.p50_ns, o.max_ns, o.total_ns);
    part("  until the loss was known", o.detection.p50_ns, o.detection.max_ns, o.detection.total_ns);
    part("  until connected again", o.reconnect.p50_ns, o.reconnect.max_ns, o.reconnect.total_ns);
    part("  until the next packet was due", o.wait.p50_ns, o.wait.max_ns, o.wait.total_ns);
}

/// Latency, service time and lateness.
pub fn spreads(page: &mut Page, s: &Summary) {
    if s.latency.count == 0 && s.lateness.count == 0 {
        return;
    }
    page.line("");
    page.line(&format!("{:<16} {:>11} {:>11} {:>11} {:>11} {:>11}", "", "p50", "p90", "p99", "p99.9", "max"));
    spread(page, "Latency", &s.latency);
    spread(page, "Service time", &s.service_time);
    spread(page, "Lateness", &s.lateness);
    page.wrapped(
        "  ",
        "Latency: from when a packet was due to its echo. Service time: from when it was sent. Lateness: from due \
         to sent, this machine's own part.",
    );
    if s.plan.batch_ns > 0 {
        let (batch, lull) = (show(s.plan.batch_ns), show(lull_ns(s.plan.batch_ns)));
        page.wrapped(
            "  ",
            &format!(
                "Batched: packets due within {batch} left together, so up to {batch} of lateness and latency is the \
                 plan's own, and echoes were taken in together, so up to {lull} of latency and service time is."
            ),
        );
    }
}

fn spread(page: &mut Page, name: &str, s: &Spread) {
    if s.count == 0 {
        return;
    }
    let [p50, p90, p99, p999, max] = [s.p50_ns, s.p90_ns, s.p99_ns, s.p999_ns, s.max_ns].map(show);
    page.line(&format!("{name:<16} {p50:>11} {p90:>11} {p99:>11} {p999:>11} {max:>11}"));
    if s.clamped > 0 {
        page.line(&format!("  of these above {}, the largest value told apart: {}", show(s.max_ns), s.clamped));
    }
}

/// Packets, and why some were not sent.
pub fn packets(page: &mut Page, s: &Summary) {
    let p = &s.packets;
    page.line("");
    page.line(&format!("Packets due        {:>10} = {} sent + {} dropped", p.intended, p.sent, p.dropped.total));
    let out = p.sent.saturating_sub(p.received.saturating_add(p.lost_in_flight));
    let out = if out > 0 { format!(" + {out} out") } else { String::new() };
    page.line(&format!(
        "Packets sent       {:>10} = {} echoed + {} lost in flight{out}",
        p.sent, p.received, p.lost_in_flight
    ));
    if p.dropped.total > 0 {
        page.line("\nWhy packets were dropped");
    }
    for reason in DropReason::ALL {
        row(page, p.dropped.by.by(*reason), reason.name(), drop_in_words(*reason));
    }
    if s.plan.transport == Transport::Udp {
        let (late, duplicate, reordered, other) = (p.late, p.duplicate, p.reordered, p.other_host);
        page.line(&format!(
            "Echoes: {late} late, {duplicate} duplicate, {reordered} reordered, {other} from another host"
        ));
    } else if s.retransmits > 0 {
        page.line(&format!("TCP segments retransmitted: {}", s.retransmits));
    }
}

fn drop_in_words(reason: DropReason) -> &'static str {
    match reason {
        DropReason::NoConnection => "there was no connection",
        DropReason::InFlightLimit => "as many echoes were out as --in-flight allows",
        DropReason::BufferFull => "the kernel's send buffer was full",
        DropReason::Late => "this machine was more than one period late",
        DropReason::SendFailed => "the kernel refused it",
    }
}
