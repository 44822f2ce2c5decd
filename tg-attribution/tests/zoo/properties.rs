//! Whatever is done to the journals, the join tells no lie: NAT, ports used again, clocks apart, lines lost, twice or
//! in another order.

use super::confusion::pairs;
use super::harm::{Harm, harmed, lie, lossy, shuffled};
use super::sim::{Clocks, Director, Scenario, Setup, simulate};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tg_attribution::attribute;
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

fn harms() -> impl Strategy<Value = Harm> {
    let percent = || prop_oneof![3 => Just(0u64), 1 => 1u64..8, 1 => 8u64..60];
    let rarely = || prop::bool::weighted(0.15);
    let lost = [percent(), percent(), percent()];
    let cut = [rarely(), rarely(), rarely()];
    let all = (lost, percent(), cut, [rarely(), rarely()], 0u64..7_000_000_000_000, rarely());
    all.prop_map(|(lost, twice, cut, gone, clocks_ns, uncounted)| Harm { lost, twice, cut, gone, clocks_ns, uncounted })
}

/// A case is two whole runs: there are fewer than usual, and the same each time, so that what fails is what was changed.
/// Who asks for a number or a seed (`PROPTEST_CASES`, `PROPTEST_RNG_SEED`) gets others: what those find is a row of
/// `found.rs` from then on.
pub fn config() -> ProptestConfig {
    let asked = ["PROPTEST_CASES", "PROPTEST_RNG_SEED"].iter().any(|name| std::env::var_os(name).is_some());
    // A third of all setups cannot be, however many are asked for.
    let config = ProptestConfig { failure_persistence: None, max_local_rejects: u32::MAX, ..ProptestConfig::default() };
    if asked { config } else { ProptestConfig { cases: 60, rng_seed: RngSeed::Fixed(1), ..config } }
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
    fn whatever_is_done_to_journals_makes_nothing_confirmed_that_is_wrong(setup in setups(), harm in harms(), seed: u64) {
        let mut zoo = simulate(setup);
        zoo.inputs = harmed(&zoo.inputs, harm, seed);
        let lie = lie(&zoo);
        prop_assert!(lie.is_none(), "{}", lie.unwrap());
    }

    /// Nothing is known better where real time is wrong: it proves nothing.
    #[test]
    fn real_time_changes_nothing_where_events_tell_the_clock(setup in setups(), harm in harms(), seed: u64) {
        let zoo = simulate(Setup { clocks: Clocks::NodesApart, ..setup });
        let other = harmed(&zoo.inputs, Harm { clocks_ns: harm.clocks_ns, ..Harm::NONE }, seed);
        let (run, other) = (attribute(&zoo.inputs), attribute(&other));
        let known = |run: &RunVerdict| run.inputs.iter().all(|i| i.clock.error_ns.is_some());
        prop_assert_eq!(known(&run), known(&other));
        prop_assert!(!known(&run) || form_free(&run) == form_free(&other));
    }

    #[test]
    fn lines_twice_and_in_another_order_change_nothing(setup in setups(), seed: u64) {
        let zoo = simulate(setup);
        let run = attribute(&zoo.inputs);
        let other = attribute(&shuffled(&zoo.inputs, 20, seed));
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
