//! Rows of the zoo one by one: what each is found as where the evidence is whole, where a piece of it is missing, and
//! where something else only looks like it.

use super::confusion::{lies, pairs, troubles};
use super::sim::{Clocks, Director, PROGRAMS, Scenario, Setup, Zoo, simulate};
use super::{every_setup, plain};
use std::collections::BTreeMap;
use tg_attribution::attribute;
use tg_model::journal::Line;
use tg_model::node_event::{Conntrack, ConntrackPhase, NodeEvent, NodeLine};
use tg_model::verdict::{Cause, Finding, Grade, InputKind, Trouble, TroubleKind};

/// What was found of everything with that truth, each once.
fn found(zoo: &Zoo, truth: Cause) -> Vec<(Cause, Grade)> {
    let run = attribute(&zoo.inputs);
    let mut all = BTreeMap::new();
    let mut count = |t: Cause, f: &Finding| {
        if t == truth {
            all.insert((f.cause.name(), f.grade as u8), (f.cause, f.grade));
        }
    };
    for (_, t, v) in pairs(zoo, &run) {
        count(t.ended_by, &v.ended_by);
        count(t.placed_by, &v.placed_by);
    }
    troubles(zoo, &run).iter().for_each(|(_, t, f)| count(*t, f));
    all.into_values().collect()
}

fn setup(scenario: Scenario, director: Director) -> Setup {
    Setup { nodes: 3, slots: 60, replicas: 6, ..plain(scenario, director) }
}

#[track_caller]
fn is(scenario: Scenario, director: Director, truth: Cause, wanted: &[(Cause, Grade)]) {
    let zoo = simulate(setup(scenario, director));
    assert_eq!(found(&zoo, truth), wanted, "{scenario:?} {director:?}");
}

/// The same without a program.
#[track_caller]
fn without(program: &'static str, scenario: Scenario, director: Director, truth: Cause, wanted: &[(Cause, Grade)]) {
    let zoo = simulate(Setup { without: Some(program), ..setup(scenario, director) });
    assert_eq!(found(&zoo, truth), wanted, "{scenario:?} {director:?} without {program}");
}

const SURE: Grade = Grade::Confirmed;
const MAYBE: Grade = Grade::Suspected;
const NOTHING: (Cause, Grade) = (Cause::Unattributed, Grade::Unattributed);

#[test]
fn a_port_that_meets_an_old_entry() {
    let stale = Cause::IpvsPortReuseStale;
    is(Scenario::PortReuse, Director::Ipvs, stale, &[(stale, SURE)]);
    without("ipvs-dest", Scenario::PortReuse, Director::Ipvs, stale, &[(Cause::EndpointLag, MAYBE)]);
    for scheduled in found(&simulate(setup(Scenario::PortReuseUnseen, Director::Ipvs)), Cause::Scheduled) {
        assert!(scheduled.0 != stale, "{scheduled:?}");
    }
}

#[test]
fn a_syn_that_ipvs_dropped_is_never_sure() {
    let drop = Cause::IpvsReuseSynDrop;
    is(Scenario::SynDrop, Director::Ipvs, drop, &[(drop, MAYBE)]);
    is(Scenario::SynLost, Director::Ipvs, Cause::Unattributed, &[NOTHING]);
}

#[test]
fn ipvs_with_nowhere_to_lead_to() {
    let none = Cause::IpvsNoDestination;
    is(Scenario::NoDestination, Director::Ipvs, none, &[(none, SURE)]);
    without("ipvs-decision", Scenario::NoDestination, Director::Ipvs, none, &[NOTHING]);
}

#[test]
fn a_balancer_that_is_seconds_late() {
    let stall = Cause::ProxyStall;
    is(Scenario::Stall, Director::Ipvs, stall, &[(stall, SURE)]);
    // What tells when it followed is missing: so late it still led there, that is left.
    without("ipvs-dest", Scenario::Stall, Director::Ipvs, stall, &[(stall, SURE)]);
    is(Scenario::Stall, Director::Rules, stall, &[(stall, SURE)]);
    is(Scenario::Lag, Director::Ipvs, Cause::EndpointLag, &[(Cause::EndpointLag, SURE)]);
    // Those that end and still serve are no lag where no other is ready.
    is(Scenario::ScaleDown, Director::Ipvs, Cause::RescheduledToDoomed, &[(Cause::RescheduledToDoomed, SURE)]);
}

#[test]
fn conntrack_without_room() {
    let full = Cause::ConntrackFull;
    is(Scenario::ConntrackFull, Director::Rules, full, &[(full, SURE)]);
    without("drop", Scenario::ConntrackFull, Director::Rules, full, &[(full, MAYBE)]);
    without("conntrack-table", Scenario::ConntrackFull, Director::Rules, full, &[NOTHING]);
    is(Scenario::Firewall, Director::Rules, Cause::Unattributed, &[NOTHING]);
    is(Scenario::FirewallThenFull, Director::Rules, Cause::Unattributed, &[NOTHING]);
    is(Scenario::DrainedWhileFull, Director::Rules, Cause::DrainLocal, &[(full, MAYBE)]);
}

#[test]
fn a_node_without_endpoints_of_its_own() {
    let drained = Cause::DrainLocal;
    is(Scenario::DrainLocal, Director::Rules, drained, &[(drained, SURE)]);
    is(Scenario::DrainUntold, Director::Rules, drained, &[(drained, MAYBE)]);
    without("drop", Scenario::DrainLocal, Director::Rules, drained, &[NOTHING]);
}

#[test]
fn a_lost_node_swallows_what_it_led_to_others_too() {
    for director in [Director::Rules, Director::Ipvs] {
        is(Scenario::NodeLoss, director, Cause::Blackhole, &[(Cause::Blackhole, SURE)]);
    }
}

#[test]
fn attempts_side_by_side_whose_packets_were_dropped_for_different_reasons() {
    let zoo = simulate(setup(Scenario::FullAndDrained, Director::Rules));
    for truth in [Cause::ConntrackFull, Cause::DrainLocal] {
        let found = found(&zoo, truth);
        assert!(found.contains(&(Cause::DrainLocal, MAYBE)), "{truth} {found:?}");
        assert!(found.iter().all(|(cause, grade)| *grade == MAYBE || *cause == truth), "{truth} {found:?}");
    }
}

/// The zoo's events, to be made others.
fn events(zoo: &mut Zoo) -> impl Iterator<Item = &mut NodeEvent> {
    let lines = zoo.inputs.nodes.iter_mut().flat_map(|n| &mut n.lines);
    lines.filter_map(|(_, l)| if let NodeLine::Event(e) = &mut l.line { Some(&mut e.event) } else { None })
}

#[test]
fn a_packet_of_another_protocol_is_no_attempt_s() {
    let full = Cause::ConntrackFull;
    let mut zoo = simulate(setup(Scenario::ConntrackFull, Director::Rules));
    for event in events(&mut zoo) {
        if let NodeEvent::Drop(drop) = event {
            drop.protocol = 17;
        }
    }
    assert_eq!(found(&zoo, full), [(full, MAYBE)]);
}

/// How sure it is why attempts were refused.
fn refused(zoo: &Zoo) -> Vec<Grade> {
    let of = |t: &Trouble| (t.kind == TroubleKind::FailedAttempt).then_some(t.finding.grade);
    let mut grades: Vec<Grade> = attribute(&zoo.inputs).troubles.iter().filter_map(of).collect();
    grades.sort();
    grades.dedup();
    grades
}

#[test]
fn a_reset_to_somebody_else_refuses_no_attempt_for_sure() {
    for masquerade in [false, true] {
        let mut zoo = simulate(Setup { masquerade, ..setup(Scenario::Stall, Director::Rules) });
        assert_eq!(refused(&zoo), [SURE], "masquerade {masquerade}");
        for event in events(&mut zoo) {
            if let NodeEvent::ResetSent(reset) = event {
                reset.tuple.dst = "10.255.9.9:40000".parse().unwrap();
            }
        }
        assert_eq!(refused(&zoo), [MAYBE], "masquerade {masquerade}");
    }
}

#[test]
fn a_reset_may_be_for_an_attempt_to_another_address() {
    let mut zoo = simulate(setup(Scenario::Stall, Director::Rules));
    // No entry tells which address it was to.
    for event in events(&mut zoo) {
        if let NodeEvent::Conntrack(entry) = event {
            entry.protocol = 17;
        }
    }
    assert_eq!(refused(&zoo), [SURE]);
    let lines = &mut zoo.inputs.run.lines;
    let mut others: Vec<(u64, Line)> =
        lines.iter().filter(|(_, l)| matches!(l, Line::AttemptFailed(_))).cloned().collect();
    for (number, line) in &mut others {
        *number += 1_000_000;
        let Line::AttemptFailed(attempt) = line else { continue };
        attempt.remote = Some("[2001:db8::1]:5003".parse().unwrap());
    }
    lines.extend(others);
    assert!(!refused(&zoo).contains(&SURE), "{:?}", refused(&zoo));
}

#[test]
fn causes_that_need_dropped_packets_are_not_covered_without_them() {
    for (less, open) in [(None, false), (Some("drop"), true)] {
        let zoo = simulate(Setup { without: less, ..setup(Scenario::DrainLocal, Director::Rules) });
        let run = attribute(&zoo.inputs);
        for cause in [Cause::ConntrackFull, Cause::DrainLocal] {
            assert_eq!(run.not_covered.iter().any(|n| n.cause == cause), open, "{cause} without {less:?}");
        }
    }
}

#[test]
fn a_name_that_does_not_resolve_and_a_machine_that_refuses() {
    is(Scenario::NoName, Director::Rules, Cause::NameResolution, &[(Cause::NameResolution, SURE)]);
    is(Scenario::NoName, Director::Rules, Cause::LocalError, &[(Cause::LocalError, SURE)]);
}

/// The pod itself may get what comes by the new entry, from a port that it knows nothing of: its reset is no end of the
/// connection that it has.
#[test]
fn an_entry_that_is_flushed() {
    let lost = Cause::ConntrackEntryLost;
    is(Scenario::ConntrackFlush, Director::Rules, lost, &[(lost, SURE)]);
    let masquerade = Setup { masquerade: true, ..setup(Scenario::ConntrackFlush, Director::Rules) };
    assert_eq!(found(&simulate(masquerade), lost), [(lost, SURE)]);
    // Nor is it where nothing tells that the entry was destroyed.
    let mut zoo = simulate(masquerade);
    for event in events(&mut zoo) {
        if let NodeEvent::Conntrack(Conntrack { phase: ConntrackPhase::Destroyed, protocol, .. }) = event {
            *protocol = 17;
        }
    }
    let found = found(&zoo, lost);
    assert!(found.iter().all(|(cause, grade)| *cause != Cause::ServerClosed && *grade != SURE), "{found:?}");
}

/// Connections of the process that was started anew are no sign that the one before went on, nor are they its own.
#[test]
fn a_pod_that_is_started_anew() {
    for director in [Director::Ipvs, Director::Rules, Director::Proxy] {
        for truth in [Cause::PodTerminated, Cause::ServerClosed] {
            is(Scenario::PodRestart, director, truth, &[(truth, SURE)]);
        }
        is(Scenario::PodRestart, director, Cause::Scheduled, &[(Cause::Scheduled, SURE)]);
    }
    // Nor do they make the cluster's clock wrong.
    let zoo = simulate(Setup { clocks: Clocks::AllApart, ..setup(Scenario::PodRestart, Director::Rules) });
    let cluster = attribute(&zoo.inputs).inputs.into_iter().find(|i| i.kind == InputKind::Cluster).unwrap();
    assert!(cluster.clock.error_ns.is_some(), "{cluster:?}");
}

#[test]
fn flows_of_udp() {
    let (stale, moved, ended) = (Cause::UdpStaleEntry, Cause::UdpMoved, Cause::PodTerminated);
    for (director, entries) in [(Director::Ipvs, "ipvs-conn"), (Director::Rules, "conntrack")] {
        is(Scenario::UdpUpgrade, director, ended, &[(ended, SURE)]);
        is(Scenario::UdpStale, director, stale, &[(stale, SURE)]);
        is(Scenario::UdpStaleUntold, director, stale, &[(stale, MAYBE)]);
        is(Scenario::UdpSilent, director, Cause::Unattributed, &[NOTHING]);
        is(Scenario::UdpMoved, director, moved, &[(moved, SURE)]);
        is(Scenario::UdpFlushed, director, Cause::Unattributed, &[(moved, MAYBE)]);
        is(Scenario::UdpDrained, director, ended, &[(ended, SURE)]);
        without(entries, Scenario::UdpMoved, director, moved, &[(moved, MAYBE)]);
    }
}

/// Whatever program could not be attached: what is confirmed is true. The other way round a whole record confirms more.
#[test]
fn a_program_less_confirms_nothing_that_is_wrong() {
    for setup in every_setup(1) {
        for (program, _) in PROGRAMS {
            let setup = Setup { without: Some(program), slots: 12, ..setup };
            let zoo = simulate(setup);
            let run = attribute(&zoo.inputs);
            for (conn, truth, v) in pairs(&zoo, &run) {
                assert!(!lies(truth.ended_by, &v.ended_by), "{setup:?} {conn} {truth:?} {:#?}", v.ended_by);
                let lag = truth.placed_by == Cause::ProxyStall && v.placed_by.cause == Cause::EndpointLag;
                assert!(lag || !lies(truth.placed_by, &v.placed_by), "{setup:?} {conn} {truth:?} {:#?}", v.placed_by);
            }
            for (happened, truth, finding) in troubles(&zoo, &run) {
                assert!(!lies(truth, &finding), "{setup:?} {happened:?} {truth:?} {finding:#?}");
            }
        }
    }
}
