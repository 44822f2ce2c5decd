//! Lines for people. Changes when their words do.

use crate::report::Page;
use std::net::SocketAddr;
use tg_model::node_event::{
    Candidate, Conntrack, ConntrackTable, Gap, IpvsDecision, IpvsDest, IpvsService, Netns, NodeEvent, NodeLine,
    ProgramStatus, Reset, StateChange, TcpState, Tuple,
};

/// One for each program: how it is attached, or why it is not and what that costs.
pub fn status(programs: &[ProgramStatus]) -> Vec<String> {
    let line = |p: &ProgramStatus| {
        let head = format!("{:<15} ", p.program);
        let cost = p.cost.as_ref().map(|c| format!("; {c}")).unwrap_or_default();
        let said = match &p.way {
            Some(way) if p.refused.is_empty() => format!("{way}{cost}"),
            Some(way) => format!("{way} (not by {}){cost}", p.refused.join(", ")),
            None => format!("off: {}{cost}", p.refused.join(", ")),
        };
        let mut page = Page::default();
        page.hanging(&head, head.len(), &said);
        page.finish().trim_end().to_owned()
    };
    programs.iter().map(line).collect()
}

/// What is worth telling, after the seconds since the start: a line for each. `wrap`: broken into as many as fit a
/// terminal, which a pipe to `grep` must not be.
pub fn told(line: &NodeLine, wrap: bool) -> Option<String> {
    let text = self::line(line)?;
    let at_ns = match line {
        NodeLine::Event(e) => e.at_ns,
        NodeLine::Watched(w) => w.at_ns,
        NodeLine::Gap(g) => g.to_ns,
        _ => 0,
    };
    let lead = format!("{:>9.3}  ", at_ns as f64 / 1e9);
    let mut page = Page::default();
    match wrap {
        true => page.hanging(&lead, lead.len() + 2, &text),
        false => page.line(&format!("{lead}{text}")),
    }
    Some(page.finish())
}

/// What is worth a line on stdout: what ends connections, who is behind a service, what was lost.
fn line(line: &NodeLine) -> Option<String> {
    match line {
        NodeLine::Event(observed) => event(&observed.event),
        NodeLine::Watched(w) => w.backend_of.map(|service| format!("behind {}: {}", named(service), w.address)),
        NodeLine::Gap(g) => Some(gap(g)),
        _ => None,
    }
}

/// Port 0 stands for every port.
fn named(service: SocketAddr) -> String {
    if service.port() == 0 { service.ip().to_string() } else { service.to_string() }
}

fn event(event: &NodeEvent) -> Option<String> {
    match event {
        NodeEvent::ResetSent(r) => Some(reset("sent by", r)),
        NodeEvent::ResetReceived(r) => Some(reset("received by", r)),
        NodeEvent::TcpState(s) => gave_up(s),
        NodeEvent::Drop(d) => {
            Some(format!("dropped in {}: {}, {}{}", d.netns, d.tuple, d.reason, client(d.client, d.tuple)))
        }
        NodeEvent::Conntrack(c) => bound(c),
        NodeEvent::IpvsDecision(d) => Some(decision(d)),
        NodeEvent::IpvsDest(d) => Some(destination(d)),
        NodeEvent::ConntrackTable(t) => Some(table(t)),
        // A connection that IPVS made was decided on just before; its end is the client's or the pod's.
        NodeEvent::Segments(_) | NodeEvent::IpvsConn(_) => None,
        NodeEvent::ProxyDecision(_) | NodeEvent::ProxyConn(_) => None,
    }
}

fn table(t: &ConntrackTable) -> String {
    format!(
        "conntrack of {}: {} of {} entries, {} packets dropped, {} not inserted, {} given up",
        place(&t.netns),
        t.entries,
        t.max,
        t.dropped,
        t.insert_failed,
        t.early_dropped
    )
}

fn reset(how: &str, r: &Reset) -> String {
    let reason = r.reason.as_ref().map(|r| format!(", {r}")).unwrap_or_default();
    format!("reset {how} {}: {}{reason}{}", r.netns, r.tuple, client(r.client, r.tuple))
}

/// Established one moment, closed the next: by a reset, or by a time-out, of which nothing else tells.
fn gave_up(s: &StateChange) -> Option<String> {
    let closed = s.from == TcpState::Established && s.to == TcpState::Close;
    closed.then(|| format!("closed at once in {}: {}{}", s.netns, s.tuple, client(s.client, s.tuple)))
}

fn bound(c: &Conntrack) -> Option<String> {
    let seen = c.phase == tg_model::node_event::ConntrackPhase::Seen && c.reply != c.original.reversed();
    seen.then(|| format!("bound in {}: {} to {}", place(&c.netns), c.original, c.reply.src))
}

fn decision(d: &IpvsDecision) -> String {
    let client = d.client.map_or("a client".into(), |c| c.to_string());
    let chosen = d.chosen.map_or("nothing".into(), |c| c.to_string());
    let of: Vec<String> = d.candidates.iter().map(candidate).collect();
    let more = (d.candidates_total as usize).saturating_sub(of.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let (place, scheduler, service) = (&d.netns, &d.service.scheduler, service(&d.service));
    format!("decided in {place}: {client} > {service} to {chosen} by {scheduler}, of {}{more}", of.join(", "))
}

fn destination(d: &IpvsDest) -> String {
    format!("destination {} in {}: {} of {}", d.change, d.netns, candidate(&d.destination), service(&d.service))
}

fn candidate(c: &Candidate) -> String {
    format!("{} (weight {}, active {}, inactive {})", c.address, c.weight, c.active, c.inactive)
}

fn service(s: &IpvsService) -> String {
    s.address.map_or_else(|| format!("mark {}", s.fwmark), |address| address.to_string())
}

fn place(netns: &Netns) -> String {
    netns.to_string()
}

/// The client's connection, where it is not the tuple itself.
fn client(client: Option<Tuple>, tuple: Tuple) -> String {
    match client {
        Some(client) if client != tuple && client != tuple.reversed() => format!("; client's connection {client}"),
        _ => String::new(),
    }
}

fn gap(g: &Gap) -> String {
    let lost = g.lost.map_or("events".into(), |n| format!("{n} events"));
    format!("lost {lost} of {}: {}", g.program, g.cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tg_model::node_event::{Observed, TimeSource};

    fn tuple(src: &str, dst: &str) -> Tuple {
        Tuple { src: src.parse().unwrap(), dst: dst.parse().unwrap() }
    }

    #[test]
    fn a_reset_with_the_pod_that_sent_it_and_the_client_s_connection() {
        let event = NodeEvent::ResetSent(Reset {
            tuple: tuple("10.0.0.2:8080", "10.0.0.1:3333"),
            netns: Netns { inode: 1, cookie: 2, name: Some("pod-1".into()) },
            reason: Some("NO_SOCKET".into()),
            socket: false,
            client: Some(tuple("198.51.100.1:4711", "192.0.2.1:80")),
        });
        let event = NodeLine::Event(Box::new(Observed { at_ns: 12_345_600_000, program: "send-reset".into(), event }));
        let said = line(&event);
        let want = "reset sent by pod-1: 10.0.0.2:8080 > 10.0.0.1:3333, NO_SOCKET; client's connection \
                    198.51.100.1:4711 > 192.0.2.1:80";
        assert_eq!(said.as_deref(), Some(want));
        assert_eq!(told(&event, false), Some(format!("   12.346  {want}\n")));
        let wrapped = "   12.346  reset sent by pod-1: 10.0.0.2:8080 > 10.0.0.1:3333, NO_SOCKET;\n             \
                       client's connection 198.51.100.1:4711 > 192.0.2.1:80\n";
        assert_eq!(told(&event, true).as_deref(), Some(wrapped));
    }

    #[test]
    fn a_decision_with_what_there_was_to_choose_from() {
        let candidate = |n: u8, active| Candidate {
            address: format!("10.0.0.{n}:8080").parse().unwrap(),
            weight: 1,
            active,
            inactive: 4,
        };
        let address = Some("192.0.2.1:80".parse().unwrap());
        let service = IpvsService { protocol: 6, address, fwmark: 0, scheduler: "lc".into() };
        let netns = Netns { inode: 1, cookie: 2, name: Some("node-1".into()) };
        let event = NodeEvent::IpvsDecision(IpvsDecision {
            netns: netns.clone(),
            service: service.clone(),
            client: Some("198.51.100.1:4711".parse().unwrap()),
            chosen: Some("10.0.0.3:8080".parse().unwrap()),
            candidates: vec![candidate(2, 1), candidate(3, 0)],
            candidates_total: 3,
        });
        let of =
            |event| line(&NodeLine::Event(Box::new(Observed { at_ns: 1, program: "ipvs-decision".into(), event })));
        let want = "decided in node-1: 198.51.100.1:4711 > 192.0.2.1:80 to 10.0.0.3:8080 by lc, of 10.0.0.2:8080 \
                    (weight 1, active 1, inactive 4), 10.0.0.3:8080 (weight 1, active 0, inactive 4) and 1 more";
        assert_eq!(of(event).as_deref(), Some(want));
        let (change, destination) = (tg_model::node_event::IpvsDestChange::Edited, candidate(2, 1));
        let event = NodeEvent::IpvsDest(IpvsDest { change, netns, service, destination });
        let want = "destination edited in node-1: 10.0.0.2:8080 (weight 1, active 1, inactive 4) of 192.0.2.1:80";
        assert_eq!(of(event).as_deref(), Some(want));
    }

    #[test]
    fn a_program_that_is_off_says_why_and_what_that_costs() {
        let mut program = ProgramStatus {
            program: "drop".into(),
            way: None,
            refused: vec!["BTF tracepoint kfree_skb: EPERM".into()],
            cost: Some("no drops".into()),
            times: TimeSource::Kernel,
        };
        let said = status(std::slice::from_ref(&program));
        assert_eq!(said, ["drop            off: BTF tracepoint kfree_skb: EPERM; no drops"]);
        program = ProgramStatus { way: Some("here".into()), refused: Vec::new(), cost: None, ..program };
        assert_eq!(status(&[program]), ["drop            here"]);
    }
}
