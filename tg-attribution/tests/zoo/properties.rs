//! Whatever is done to the journals, the join tells no lie: NAT, ports used again, clocks apart, lines lost, twice or
//! in another order.

use super::confusion::{lies, pairs, troubles};
use super::sim::{Clocks, Director, Random, Scenario, Setup, Zoo, simulate};
use proptest::prelude::*;
use tg_attribution::{Inputs, attribute};
use tg_model::verdict::{Finding, Grade, RunVerdict};

fn setups() -> impl Strategy<Value = Setup> {
    let director = prop_oneof![Just(Director::Ipvs), Just(Director::Rules), Just(Director::Proxy)];
    let scheduler = prop::sample::select(&super::SCHEDULERS[..]);
    let clocks = prop_oneof![Just(Clocks::One), Just(Clocks::NodesApart), Just(Clocks::AllApart)];
    let scenario = prop::sample::select(&Scenario::ALL[..]);
    let sizes = (1u32..25, 1u32..6, 1u32..4, 1u16..6);
    let all = (any::<u64>(), director, scheduler, clocks, scenario, sizes, any::<bool>());
    let all =
        all.prop_map(|(seed, director, scheduler, clocks, scenario, (slots, replicas, nodes, ports), masquerade)| {
            let masquerade = masquerade && director != Director::Proxy;
            Setup {
                seed,
                director,
                scheduler,
                slots,
                replicas,
                nodes,
                masquerade,
                ports,
                clocks,
                scenario,
                without: None,
            }
        });
    all.prop_filter("can be", |s| s.scenario.can_be(s.director, s.nodes, s.masquerade))
}

/// What of a verdict must not depend on the form of the journals.
fn form_free(run: &RunVerdict) -> Vec<String> {
    let finding = |f: &Finding| format!("{} {} {:?}", f.cause, f.grade, f.missing);
    let verdicts = run.verdicts.iter().map(|v| {
        format!("{} {} {} {:?} {:?}", v.conn, finding(&v.ended_by), finding(&v.placed_by), v.pod, v.avoidable)
    });
    verdicts.chain([format!("{:?}", run.totals)]).chain(run.sentences.clone()).collect()
}

/// Something that is confirmed and not so.
fn lie(zoo: &Zoo) -> Option<String> {
    let run = attribute(&zoo.inputs);
    let lost = pairs(zoo, &run).into_iter().find_map(|(conn, truth, v)| {
        let wrong =
            [(truth.ended_by, &v.ended_by), (truth.placed_by, &v.placed_by)].into_iter().find(|(t, f)| lies(*t, f));
        wrong.map(|(truth, found)| format!("{conn}: {truth}, found {found:#?}"))
    });
    lost.or_else(|| {
        let wrong = troubles(zoo, &run).into_iter().find(|(_, truth, found)| lies(*truth, found));
        wrong.map(|(happened, truth, found)| format!("{happened:?}: {truth}, found {found:#?}"))
    })
}

/// Loses so many percent of the nodes' lines; their numbers tell of it.
fn lossy(inputs: &Inputs, percent: u64, seed: u64) -> Inputs {
    let (mut inputs, mut random) = (inputs.clone(), Random::new(seed));
    inputs.nodes.iter_mut().for_each(|n| n.lines.retain(|_| !random.chance(percent)));
    inputs
}

/// A case is two whole runs: fewer than usual, where nobody asks for a number.
pub fn config() -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    if asked { ProptestConfig::default() } else { ProptestConfig::with_cases(60) }
}

/// Some lines twice, all in another order.
fn shuffled(inputs: &Inputs, seed: u64) -> Inputs {
    let (mut inputs, mut random) = (inputs.clone(), Random::new(seed));
    for node in &mut inputs.nodes {
        let again: Vec<_> = node.lines.iter().filter(|_| random.chance(20)).cloned().collect();
        node.lines.extend(again);
        for at in (1..node.lines.len()).rev() {
            node.lines.swap(at, random.below(at as u64 + 1) as usize);
        }
    }
    inputs
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_confirmed_is_true(setup in setups(), percent in prop_oneof![Just(0u64), 1u64..60], seed: u64) {
        let mut zoo = simulate(setup);
        zoo.inputs = lossy(&zoo.inputs, percent, seed);
        let lie = lie(&zoo);
        prop_assert!(lie.is_none(), "{}", lie.unwrap());
    }

    #[test]
    fn lines_twice_and_in_another_order_change_nothing(setup in setups(), seed: u64) {
        let zoo = simulate(setup);
        let run = attribute(&zoo.inputs);
        let other = attribute(&shuffled(&zoo.inputs, seed));
        prop_assert!(form_free(&run) == form_free(&other));
        prop_assert!(attribute(&zoo.inputs) == run, "the same journals give the same verdict");
    }

    #[test]
    fn numbers_add_up(setup in setups(), percent in 0u64..60, seed: u64) {
        let zoo = simulate(setup);
        let run = attribute(&lossy(&zoo.inputs, percent, seed));
        let t = run.totals;
        prop_assert_eq!(t.lost, zoo.truth.len() as u64);
        prop_assert_eq!(t.confirmed + t.suspected + t.unattributed, t.lost);
        prop_assert_eq!(run.ended_by.iter().map(|t| t.total()).sum::<u64>(), t.lost);
        prop_assert_eq!(run.placed_by.iter().map(|t| t.total()).sum::<u64>(), t.lost);
        if let (Some(perfect), Some(more)) = (t.perfect, t.more) {
            prop_assert_eq!(perfect + more, t.lost);
            prop_assert_eq!(t.avoidable + t.unavoidable + t.not_known, more);
        }
        for c in &run.conformance {
            prop_assert!(c.conform <= c.judged && c.judged <= c.decisions);
            prop_assert_eq!(c.conform == c.judged, c.first_deviation.is_none());
        }
        for v in &run.verdicts {
            for f in [&v.ended_by, &v.placed_by] {
                prop_assert_eq!(f.grade == Grade::Confirmed, f.missing.is_empty());
                prop_assert!(f.grade != Grade::Confirmed || !f.evidence.is_empty());
                prop_assert!(f.evidence.is_sorted_by_key(|e| e.at_ns));
            }
        }
    }

    /// With one clock, a whole journal and ports that are not used again at once: nearly everything is confirmed,
    /// through whatever NAT.
    #[test]
    fn nat_is_undone(seed: u64, rules: bool, masquerade: bool, nodes in 1u32..4, ports in 3u16..9) {
        let director = if rules { Director::Rules } else { Director::Ipvs };
        let plain = super::plain(Scenario::Upgrade, director);
        let zoo = simulate(Setup { seed, masquerade, nodes, ports, slots: 20, ..plain });
        let run = attribute(&zoo.inputs);
        prop_assert_eq!(run.totals.confirmed, run.totals.lost);
        for (_, truth, v) in pairs(&zoo, &run) {
            prop_assert_eq!(v.placed_by.cause, truth.placed_by);
            prop_assert_eq!(v.avoidable, Some(truth.avoidable));
        }
    }
}
