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

/// Something that is confirmed and not so. Of what the run's own journal lost there is no verdict.
fn lie(zoo: &Zoo) -> Option<String> {
    let run = attribute(&zoo.inputs);
    let lost = run.verdicts.iter().find_map(|v| {
        let truth = zoo.truth[&v.conn];
        let both = [(truth.ended_by, &v.ended_by), (truth.placed_by, &v.placed_by)];
        let (truth, found) = both.into_iter().find(|(truth, found)| lies(*truth, found))?;
        Some(format!("{}: {truth}, found {found:#?}", v.conn))
    });
    lost.or_else(|| {
        let wrong = troubles(zoo, &run).into_iter().find(|(_, truth, found)| lies(*truth, found));
        wrong.map(|(happened, truth, found)| format!("{happened:?}: {truth}, found {found:#?}"))
    })
}

/// What is done to journals.
#[derive(Clone, Copy, Debug)]
struct Harm {
    /// So many percent of the lines are lost: of nodes, of the cluster, of the run.
    lost: [u64; 3],
    /// So many percent are there twice, and all in another order.
    twice: u64,
    /// Journals break off: nodes', the cluster's.
    cut: [bool; 2],
    /// Whole journals are missing: the first node's, the cluster's.
    gone: [bool; 2],
    /// Clocks of other machines are wrong by so much, either way.
    clocks_ns: u64,
}

fn harms() -> impl Strategy<Value = Harm> {
    let percent = || prop_oneof![3 => Just(0u64), 1 => 1u64..8, 1 => 8u64..60];
    let rarely = || prop::bool::weighted(0.15);
    let lost = [percent(), percent(), percent()];
    let all = (lost, percent(), [rarely(), rarely()], [rarely(), rarely()], 0u64..7_000_000_000_000);
    all.prop_map(|(lost, twice, cut, gone, clocks_ns)| Harm { lost, twice, cut, gone, clocks_ns })
}

/// Unreadable lines keep their numbers in the file; where nodes' lines are lost, their own numbers tell.
fn harmed(inputs: &Inputs, harm: Harm, seed: u64) -> Inputs {
    let (mut inputs, mut random) = (shuffled(inputs, harm.twice, seed), Random::new(seed));
    let [nodes, cluster, run] = harm.lost;
    inputs.run.lines.retain(|_| !random.chance(run));
    for node in &mut inputs.nodes {
        node.lines.retain(|_| !random.chance(nodes));
        if harm.cut[0] {
            let last = random.below(node.lines.len() as u64 + 1);
            node.lines.retain(|(_, l)| l.seq < last);
        }
        if node.header.boot_id != inputs.run.header.boot_id {
            node.header.realtime_ns = wrong(node.header.realtime_ns, harm, &mut random);
        }
    }
    if let Some(told) = &mut inputs.cluster {
        told.lines.retain(|_| !random.chance(cluster));
        if harm.cut[1] {
            let last = random.below(told.lines.len() as u64 + 3);
            told.lines.retain(|(number, _)| *number < last);
        }
        if told.header.boot_id != inputs.run.header.boot_id {
            told.header.realtime_ns = wrong(told.header.realtime_ns, harm, &mut random);
        }
    }
    inputs.nodes.drain(..usize::from(harm.gone[0]));
    inputs.cluster = inputs.cluster.filter(|_| !harm.gone[1]);
    inputs
}

fn wrong(realtime_ns: u64, harm: Harm, random: &mut Random) -> u64 {
    (realtime_ns + random.below(2 * harm.clocks_ns + 1)).saturating_sub(harm.clocks_ns)
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

/// So many percent of the lines twice, all in another order: what a file's numbers say stays.
fn shuffled(inputs: &Inputs, percent: u64, seed: u64) -> Inputs {
    fn shuffle<L: Clone>(lines: &mut Vec<(u64, L)>, percent: u64, random: &mut Random) {
        let again: Vec<_> = lines.iter().filter(|_| random.chance(percent)).cloned().collect();
        lines.extend(again);
        for at in (1..lines.len()).rev() {
            lines.swap(at, random.below(at as u64 + 1) as usize);
        }
    }
    let (mut inputs, mut random) = (inputs.clone(), Random::new(seed));
    inputs.nodes.iter_mut().for_each(|n| shuffle(&mut n.lines, percent, &mut random));
    inputs.cluster.iter_mut().for_each(|c| shuffle(&mut c.lines, percent, &mut random));
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
        let other = harmed(&zoo.inputs, Harm { lost: [0; 3], twice: 0, cut: [false; 2], gone: [false; 2], ..harm }, seed);
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
