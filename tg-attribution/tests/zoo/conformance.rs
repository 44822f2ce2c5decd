//! Whether schedulers do what their names say, on each node: those that do, while destinations come, go and change their
//! weights, and one that does not.

use super::plain;
use super::sim::{Director, Scenario, Scheduler, Setup, simulate};
use tg_attribution::attribute;
use tg_model::node_event::{NodeEvent, NodeLine};
use tg_model::verdict::Conformance;

/// Of each node, with and without userspace proxies, through an upgrade.
fn of(scheduler: Scheduler, director: Director, seed: u64) -> Vec<Conformance> {
    let setup = Setup { scheduler, seed, slots: 90, replicas: 5, nodes: 3, ..plain(Scenario::Mixed, director) };
    attribute(&simulate(setup).inputs).conformance
}

#[test]
fn every_scheduler_with_a_rule_conforms_on_every_node() {
    let all = [Scheduler::Rr, Scheduler::Lc, Scheduler::Wrr, Scheduler::Wlc, Scheduler::Sh, Scheduler::Mh];
    for scheduler in all {
        for (director, seed) in [(Director::Ipvs, 1), (Director::Ipvs, 2), (Director::Proxy, 3)] {
            let nodes = of(scheduler, director, seed);
            assert_eq!(nodes.len(), 3, "{scheduler:?}");
            for c in nodes {
                assert_eq!((c.scheduler.as_str(), c.conform), (scheduler.name(), c.judged), "{director:?} {c:#?}");
                // What comes after a change is not known at once; with least connections it always is.
                assert!(c.judged * 2 > c.decisions, "{director:?} {c:#?}");
            }
        }
    }
}

#[test]
fn one_that_only_says_so_is_found_out_and_one_at_random_is_not_judged() {
    for c in of(Scheduler::Liar, Director::Ipvs, 1) {
        assert!(c.conform < c.judged, "{c:#?}");
        let deviation = c.first_deviation.unwrap();
        assert!(!deviation.expected.contains(&deviation.chosen.unwrap()), "{deviation:#?}");
    }
    for c in of(Scheduler::Random, Director::Ipvs, 1) {
        assert_eq!((c.judged, c.conform, c.first_deviation), (0, 0, None));
        assert!(c.not_judged.unwrap().contains("at random"));
    }
}

#[test]
fn decisions_after_a_loss_are_not_held_against_what_was_before() {
    for scheduler in [Scheduler::Rr, Scheduler::Lc, Scheduler::Wrr, Scheduler::Wlc, Scheduler::Sh, Scheduler::Mh] {
        let setup = Setup { scheduler, slots: 90, replicas: 5, ..plain(Scenario::Mixed, Director::Ipvs) };
        let mut inputs = simulate(setup).inputs;
        let whole = attribute(&inputs).conformance.remove(0);
        let mut nth = 0;
        inputs.nodes[0].lines.retain(|(_, l)| {
            nth += u32::from(matches!(l.line, NodeLine::Event(_)));
            nth % 40 < 36
        });
        let less = attribute(&inputs).conformance.remove(0);
        assert!(less.conform == less.judged && less.judged < whole.judged, "{less:#?}");
    }
}

#[test]
fn decisions_after_one_with_too_many_candidates_are_not_held_against_what_was_before_it() {
    for scheduler in [Scheduler::Rr, Scheduler::Wrr, Scheduler::Sh] {
        let setup = Setup { scheduler, slots: 90, replicas: 5, ..plain(Scenario::Mixed, Director::Ipvs) };
        let mut inputs = simulate(setup).inputs;
        let whole = attribute(&inputs).conformance.remove(0);
        let decisions = inputs.nodes[0].lines.iter_mut().filter_map(|(_, l)| match &mut l.line {
            NodeLine::Event(e) => Some(&mut e.event),
            _ => None,
        });
        let decisions = decisions.filter_map(|e| if let NodeEvent::IpvsDecision(d) = e { Some(d) } else { None });
        decisions.skip(9).step_by(10).for_each(|d| d.candidates_total += 60);
        let less = attribute(&inputs).conformance.remove(0);
        assert!(less.conform == less.judged && less.judged < whole.judged, "{less:#?}");
        assert!(less.judged * 2 > less.decisions, "{less:#?}");
    }
}
