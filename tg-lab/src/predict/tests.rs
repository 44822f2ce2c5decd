//! The prediction against what the virtual machine measured, against the formula, and its promises.

use super::*;
use proptest::prelude::*;
use std::time::Duration;
use tg_model::lab_plan::{Amount, DirectorKind, Fault, LabFamily, LabSpec, PodReplacement, SchedulerKind};

fn plan(change: impl FnOnce(&mut LabSpec)) -> LabPlan {
    let mut spec = LabSpec { director: DirectorKind::Ipvs, ..LabSpec::default() };
    change(&mut spec);
    LabPlan::try_from(spec).unwrap()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn means(spreads: &[Spread]) -> Vec<f64> {
    spreads.iter().map(|s| s.mean).collect()
}

/// The virtual machine's rolls waited 0.5 s from a pod's being ready to the next deletion, and its commands took 0.1 to
/// 0.2 s more: about the plan's own min_ready.
#[test]
fn rr_follows_timing_as_the_virtual_machine_did() {
    for (ready, measured) in [(500, 105.0), (1000, 110.0), (2000, 118.0)] {
        for min_ready in [600, 750] {
            let e = expected(&plan(|s| (s.ready, s.min_ready) = (ms(ready), ms(min_ready))), 100).unwrap();
            assert!((e.lost.mean - measured).abs() <= 3.0, "ready in {ready} ms: {:?}, measured {measured}", e.lost);
            assert!(e.lost.max - e.lost.min <= 5, "{:?}", e.lost);
        }
    }
    // Pod by pod, as it was measured in the run with 118.
    let e = expected(&plan(|_| {}), 100).unwrap();
    for (mean, measured) in means(&e.lost_by_old_pod).iter().zip([10.0, 11.0, 12.0, 13.0, 15.0, 17.0, 19.0, 21.0]) {
        assert!((mean - measured).abs() <= 1.0, "{mean}, measured {measured}");
    }
}

#[test]
fn strictly_one_after_the_other_rr_loses_124_or_125() {
    let e = expected(&plan(|s| s.pod_replacement = PodReplacement::TerminationComplete), 100).unwrap();
    assert!((124.0..=125.5).contains(&e.lost.mean), "{:?}", e.lost);
    for (mean, measured) in means(&e.lost_by_old_pod).iter().zip([10.0, 11.0, 12.0, 14.0, 16.0, 18.0, 20.0, 23.0]) {
        assert!((mean - measured).abs() <= 1.0, "{mean}, measured {measured}");
    }
}

#[test]
fn lc_of_one_node_loses_each_connection_once_whatever_the_timing() {
    for ready in [500, 1000, 1500, 2000] {
        for pod_replacement in [PodReplacement::TerminationStarted, PodReplacement::TerminationComplete] {
            let change = |s: &mut LabSpec| {
                (s.scheduler, s.ready, s.pod_replacement) = (SchedulerKind::Lc, ms(ready), pod_replacement);
            };
            let e = expected(&plan(change), 50).unwrap();
            let exactly = |n| Spread { mean: n as f64, p5: n, p95: n, min: n, max: n };
            assert_eq!((e.lost, e.avoidable, e.to_doomed), (exactly(80), exactly(0), exactly(0)));
            assert_eq!((e.lost_by_old_pod, e.lasting_by_new_pod), (vec![exactly(10); 8], vec![exactly(10); 8]));
        }
    }
}

#[test]
fn lc_of_several_nodes_is_least_connections_of_each_alone() {
    let e = expected(&plan(|s| (s.scheduler, s.nodes, s.ecmp) = (SchedulerKind::Lc, 4, true)), 200).unwrap();
    assert!(e.lost.min >= 80 && e.lost.max > 80, "{:?}", e.lost);
    assert!(e.lasting_by_new_pod.iter().any(|s| s.max > 10), "{:?}", e.lasting_by_new_pod);
    // All nodes but the traffic to one of them: as one node.
    let e = expected(&plan(|s| (s.scheduler, s.nodes) = (SchedulerKind::Lc, 4)), 20).unwrap();
    assert_eq!((e.lost.min, e.lost.max), (80, 80));
}

#[test]
fn several_pods_at_a_time() {
    let lost = |surge, unavailable| {
        let change = |s: &mut LabSpec| {
            (s.max_surge, s.max_unavailable) = (Amount::Count(surge), Amount::Count(unavailable));
        };
        expected(&plan(change), 50).unwrap().lost
    };
    // Four old pods end at once, and by then four new ones are ready: half of 40 lands on the other old ones.
    assert_eq!(lost(0, 4).mean.round(), 100.0);
    // Four end when eight new ones are ready: a third of 40.
    assert!((92.0..=94.0).contains(&lost(4, 0).mean), "{:?}", lost(4, 0));
    // All new ones are there before an old one ends.
    assert_eq!(lost(8, 0), Spread { mean: 80.0, p5: 80, p95: 80, min: 80, max: 80 });
}

/// The lab waits until the last old pod is gone, and then settles. A prediction that ends before counts too few.
#[test]
fn what_the_last_old_pods_lose_counts_however_long_their_hooks_take() {
    let lost = |prestop, settle, change: fn(&mut LabSpec)| {
        let change = |s: &mut LabSpec| {
            change(s);
            (s.prestop, s.settle) = (ms(prestop), ms(settle));
        };
        let e = expected(&plan(change), 20).unwrap();
        assert!(e.lost.min >= e.perfect && e.avoidable.max <= e.to_doomed.max, "{e:?}");
        assert!((e.lost.mean - e.to_doomed.mean - e.perfect as f64).abs() < 1e-6, "{e:?}");
        assert!(e.upgrade_ns.min >= ms(prestop).min(plan(change).grace).as_nanos() as u64);
        e.lost
    };
    let by_a_quarter: fn(&mut LabSpec) = |s| {
        (s.replicas, s.conns, s.ready) = (20, 400, ms(20_000));
        (s.max_surge, s.max_unavailable) = (Amount::Percent(25), Amount::Percent(25));
    };
    let one_pod: fn(&mut LabSpec) = |s| (s.replicas, s.conns, s.grace) = (1, 2, ms(1000));
    let by_default: fn(&mut LabSpec) = |_| {};
    for (prestop, change) in [(8000, by_default), (15_000, by_a_quarter), (2000, one_pod)] {
        assert_eq!(lost(prestop, 1000, change), lost(prestop, 60_000, change));
    }
}

#[test]
fn of_one_director_for_another() {
    let of =
        |director, scheduler| expected(&plan(|s| (s.director, s.scheduler) = (director, scheduler)), 200).unwrap().lost;
    let random = of(DirectorKind::Nft, SchedulerKind::Random);
    assert!((random.mean - 119.1).abs() < 2.0 && random.max - random.min > 15, "as rr on average: {random:?}");
    // Each change of the endpoints begins a new round, with the oldest pods.
    assert!(of(DirectorKind::Nft, SchedulerKind::Rr).mean > of(DirectorKind::Ipvs, SchedulerKind::Rr).mean + 3.0);
    let mh = expected(&plan(|s| s.scheduler = SchedulerKind::Mh), 1);
    assert_eq!(mh, Err(NotSimulated(SchedulerKind::Mh)));
}

#[test]
fn where_all_pods_end_at_once_kube_proxy_sends_to_those_that_end() {
    let all_at_once = |director| {
        let change = |s: &mut LabSpec| {
            (s.director, s.prestop) = (director, Duration::ZERO);
            (s.max_surge, s.max_unavailable) = (Amount::Count(0), Amount::Percent(100));
        };
        expected(&plan(change), 50).unwrap()
    };
    let (ipvs, userspace) = (all_at_once(DirectorKind::Ipvs), all_at_once(DirectorKind::Userspace));
    assert!(ipvs.lost.min > 80, "{:?}", ipvs.lost);
    assert_eq!((userspace.lost.min, userspace.lost.max), (80, 80));
    assert!(userspace.failed_attempts.min > 80, "nobody takes them for a second and a half");
    assert_eq!((ipvs.without_connection.max, userspace.without_connection.max), (0, 0));
}

#[test]
fn each_ip_version_has_a_balancer_of_its_own() {
    let most = |family| {
        let e = expected(&plan(|s| (s.scheduler, s.conns, s.family) = (SchedulerKind::Lc, 84, family)), 20).unwrap();
        e.lost_by_old_pod.iter().map(|s| s.max).max().unwrap()
    };
    // 84 are 10 a pod, and 11 on four of them; 42 are 5 a pod, and 6 on the same two of each version.
    assert_eq!((most(LabFamily::Ipv6), most(LabFamily::Both)), (11, 12));
}

#[test]
fn faults_cost_what_they_hit() {
    let with = |kind, lasting, at, change: fn(&mut LabSpec)| {
        let faults = vec![Fault { kind, lasting, at: Some(at) }];
        expected(
            &plan(|s| {
                s.faults = faults;
                change(s)
            }),
            40,
        )
        .unwrap()
    };
    let lc: fn(&mut LabSpec) = |s| s.scheduler = SchedulerKind::Lc;
    // Before the upgrade: ten connections of one pod, which come to old pods again.
    for kind in [FaultKind::PodKill, FaultKind::ResetStorm] {
        let e = with(kind, None, ms(1000), lc);
        assert!((90..=94).contains(&e.lost.min) && e.lost.max <= 100, "{kind}: {e:?}");
        assert_eq!(e.not_simulated, []);
    }
    // While the last old pods are there: one of them, as the lab has it, and no new one.
    for kind in [FaultKind::PodKill, FaultKind::ResetStorm] {
        let e = with(kind, None, ms(18_000), |_| {});
        assert_eq!(e.lost_by_new_pods.max, 0, "{kind}: {e:?}");
        let e = with(kind, None, ms(60_000), |s| s.settle = ms(30_000));
        assert!(e.lost_by_new_pods.min > 0, "{kind}: {e:?}");
    }
    // Nodes that hear of a deletion after the pod's end send to a pod that is not there.
    let late: fn(&mut LabSpec) = |s| s.prestop = Duration::ZERO;
    let e = with(FaultKind::EndpointLag, Some(ms(500)), ms(0), late);
    assert!(e.failed_attempts.min > 0, "{e:?}");
    assert_eq!(expected(&plan(late), 40).unwrap().failed_attempts.max, 0);
    let e = with(FaultKind::NodeLoss, None, ms(0), |s| s.nodes = 2);
    assert_eq!(e.not_simulated, [FaultKind::NodeLoss]);
}

#[test]
fn equal_seeds_give_equal_predictions() {
    let p = plan(|s| (s.nodes, s.ecmp) = (3, true));
    assert_eq!(expected(&p, 20), expected(&p, 20));
    let other = plan(|s| (s.nodes, s.ecmp, s.seed) = (3, true, 1000));
    assert_ne!(expected(&p, 20).unwrap().lost_by_old_pod, expected(&other, 20).unwrap().lost_by_old_pod);
}

#[test]
fn there_are_fewer_runs_of_more() {
    assert_eq!(runs_for(&plan(|_| {})), 1000);
    let big = plan(|s| (s.conns, s.replicas, s.nodes, s.ecmp) = (1_000_000, 1000, 50, true));
    assert_eq!(runs_for(&big), 3);
}

fn plans() -> impl Strategy<Value = LabPlan> {
    use SchedulerKind::*;
    let amounts = ((0..4u32, 0..4u32), (1..12u32, 1..150u32));
    // A hook may take longer than the grace period, and the last ones longer than the traffic settles.
    let times = (0..3000u64, 0..1000u64, (0..12_000u64, 1..12_000u64), 0..6000u64);
    let balancing = (prop::sample::select(vec![Rr, Lc, Wrr, Wlc, Sed, Nq]), 1..4u32, any::<bool>(), 0..3usize);
    (amounts, times, balancing, any::<bool>(), any::<u64>()).prop_filter_map(
        "contradicts itself",
        |(a, t, b, strict, seed)| {
            let spec = LabSpec {
                director: DirectorKind::Ipvs,
                scheduler: b.0,
                nodes: b.1,
                ecmp: b.2 && b.1 > 1,
                family: LabFamily::ALL[b.3],
                max_surge: Amount::Count(a.0.0),
                max_unavailable: Amount::Count(a.0.1),
                replicas: a.1.0,
                conns: a.1.1,
                ready: ms(t.0),
                min_ready: ms(t.1),
                prestop: ms(t.2.0),
                grace: ms(t.2.1),
                settle: ms(t.3),
                pod_replacement: PodReplacement::ALL[usize::from(strict)],
                seed,
                ..LabSpec::default()
            };
            LabPlan::try_from(spec).ok()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every connection that was made is lost or lasts, every slot has one or none, and whoever came to an old pod is
    /// lost once more, for all of them end.
    #[test]
    fn connections_are_conserved(plan in plans()) {
        let o = simulate(&plan, &Timing::default(), plan.seed).unwrap();
        let (conns, lasting) = (u64::from(plan.conns), o.lasting_by_new_pod.iter().sum::<u64>());
        prop_assert_eq!(o.placed, o.lost + lasting + o.lasting_on_old_pods);
        prop_assert_eq!(lasting + o.lasting_on_old_pods + o.without_connection, conns);
        prop_assert_eq!(o.lost_by_old_pod.iter().sum::<u64>() + o.lost_by_new_pods, o.lost);
        prop_assert_eq!(o.lost_by_old_pod.len(), plan.replicas as usize);
        prop_assert_eq!(o.lasting_by_new_pod.len(), plan.replicas as usize);
        // However short the settling.
        prop_assert_eq!((o.lasting_on_old_pods, o.lost_by_new_pods), (0, 0));
        prop_assert!(o.lost >= conns);
        prop_assert_eq!(o.lost, conns + o.to_doomed);
        prop_assert!(o.avoidable <= o.to_doomed);
    }

    /// The same under faults, and with whatever director, where slots may be without a connection for a time.
    #[test]
    fn connections_are_conserved_under_faults(
        plan in plans(),
        director in 0..3usize,
        faults in prop::collection::vec((0..3usize, 0..12_000u64, 1..3000u64), 0..5),
    ) {
        let kinds = [FaultKind::PodKill, FaultKind::ResetStorm, FaultKind::EndpointLag];
        let mut spec = LabSpec::from(plan);
        spec.director = DirectorKind::ALL[director];
        let has = spec.director.schedulers();
        spec.scheduler = if has.contains(&spec.scheduler) { spec.scheduler } else { SchedulerKind::Random };
        let fault = |(kind, at, lag): (usize, u64, u64)| {
            let kind = kinds[kind];
            Fault { kind, at: Some(ms(at)), lasting: kind.may_last().then(|| ms(lag)) }
        };
        spec.faults = faults.into_iter().map(fault).collect();
        let plan = LabPlan::try_from(spec).unwrap();
        let o = simulate(&plan, &Timing::default(), plan.seed).unwrap();
        let lasting = o.lasting_by_new_pod.iter().sum::<u64>() + o.lasting_on_old_pods;
        prop_assert_eq!(o.placed, o.lost + lasting);
        prop_assert_eq!(lasting + o.without_connection, u64::from(plan.conns));
        prop_assert_eq!(o.lost_by_old_pod.iter().sum::<u64>() + o.lost_by_new_pods, o.lost);
        prop_assert!(o.avoidable <= o.to_doomed && o.to_doomed <= o.placed);
    }

    /// With a surge and as many available as before, lc of one balancer loses each connection once.
    #[test]
    fn lc_of_one_balancer_is_perfect_where_pods_have_equal_shares(
        (replicas, each, surge) in (1..12u32, 1..12u32, 1..4u32), (ready, min_ready, prestop) in (0..3000u64, 0..1000u64, 0..3000u64),
    ) {
        let change = |s: &mut LabSpec| {
            (s.scheduler, s.replicas, s.conns, s.max_surge) = (SchedulerKind::Lc, replicas, replicas * each, Amount::Count(surge));
            (s.ready, s.min_ready, s.prestop) = (ms(ready), ms(min_ready), ms(prestop));
        };
        let plan = plan(change);
        let o = simulate(&plan, &Timing::default(), plan.seed).unwrap();
        prop_assert_eq!((o.lost, o.to_doomed), (u64::from(replicas * each), 0));
    }

    /// The simulation is the formula of the module's documentation, wherever no two events nearly coincide.
    #[test]
    fn rr_is_as_the_formula_has_it(
        (replicas, strict) in (2..14u32, any::<bool>()), (ready, min_ready, prestop) in (600..4000u64, 0..1500u64, 0..5000u64),
    ) {
        let near = |span: u64, step: u64| span % step < 250 || step - span % step < 250;
        let step = ready + min_ready;
        prop_assume!(strict || (!near(prestop, step) && !near(prestop + min_ready, step)));
        let change = |s: &mut LabSpec| {
            (s.replicas, s.conns) = (replicas, replicas * 300);
            (s.ready, s.min_ready, s.prestop) = (ms(ready), ms(min_ready), ms(prestop));
            s.pod_replacement = PodReplacement::ALL[usize::from(strict)];
        };
        let plan = plan(change);
        let Some(steps) = Steps::of(&plan) else { return Ok(()) };
        let e = expected(&plan, 2).unwrap();
        for (k, (mean, formula)) in means(&e.lost_by_old_pod).iter().zip(steps.lost_in_turns()).enumerate() {
            prop_assert!((mean - formula).abs() <= formula * 0.02 + 3.0, "pod {k}: {mean}, by the formula {formula} ({steps:?})");
        }
    }
}
