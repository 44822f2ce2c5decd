//! The controller step by step, and its promises under any order of events.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;
use tg_model::lab_plan::{Amount, LabSpec};

const MS: fn(u64) -> Nanos = Nanos::from_millis;

fn plan(change: impl FnOnce(&mut LabSpec)) -> LabPlan {
    let mut spec = LabSpec { min_ready: Duration::ZERO, ..LabSpec::default() };
    change(&mut spec);
    LabPlan::try_from(spec).unwrap()
}

/// A Deployment whose first pods are ready, about to be upgraded, and the cluster that obeys it.
struct Cluster {
    deployment: Deployment,
    /// Of each pod: its set, whether it is ready, and whether it was asked to end.
    pods: BTreeMap<PodId, (ReplicaSet, bool, bool)>,
    nodes: BTreeMap<PodId, u32>,
    deleted: Vec<PodId>,
}

impl Cluster {
    fn new(plan: &LabPlan) -> Cluster {
        let mut c = Cluster {
            deployment: Deployment::new(plan),
            pods: BTreeMap::new(),
            nodes: BTreeMap::new(),
            deleted: Vec::new(),
        };
        c.obey(MS(0));
        for pod in c.starting() {
            c.ready(MS(0), pod);
        }
        assert_eq!(c.deployment.available(MS(10_000)), plan.replicas);
        c.deployment.upgrade();
        c
    }

    fn obey(&mut self, now: Nanos) {
        while let Some(command) = self.deployment.poll(now) {
            match command {
                Command::Create { pod, replica_set, node } => {
                    assert!(self.pods.insert(pod, (replica_set, false, false)).is_none());
                    self.nodes.insert(pod, node);
                }
                Command::Delete { pod } => {
                    let state = self.pods.get_mut(&pod).unwrap();
                    assert!(!state.2, "asked twice");
                    state.2 = true;
                    self.deleted.push(pod);
                }
            }
        }
    }

    fn starting(&self) -> Vec<PodId> {
        self.pods.iter().filter(|(_, s)| !s.1 && !s.2).map(|(p, _)| *p).collect()
    }

    fn terminating(&self) -> Vec<PodId> {
        self.pods.iter().filter(|(_, s)| s.2).map(|(p, _)| *p).collect()
    }

    fn ready(&mut self, now: Nanos, pod: PodId) {
        self.pods.get_mut(&pod).unwrap().1 = true;
        self.deployment.handle(now, pod, PodUpdate::Ready);
        self.obey(now);
    }

    fn gone(&mut self, now: Nanos, pod: PodId) {
        self.pods.remove(&pod);
        self.deployment.handle(now, pod, PodUpdate::Gone);
        self.obey(now);
    }

    /// Pods not asked to end; those of them that are ready; those that terminate.
    fn counts(&self) -> (usize, usize, usize) {
        let active = self.pods.values().filter(|s| !s.2);
        (active.clone().count(), active.filter(|s| s.1).count(), self.terminating().len())
    }

    fn of(&self, set: ReplicaSet) -> usize {
        self.pods.values().filter(|s| s.0 == set && !s.2).count()
    }
}

#[test]
fn with_a_surge_of_one_each_ready_pod_ends_an_old_one_and_the_next_is_made_at_once() {
    let mut c = Cluster::new(&plan(|_| {}));
    c.obey(MS(1000));
    assert_eq!(c.counts(), (9, 8, 0));
    for step in 1..=8 {
        let now = MS(1000 + 1000 * step);
        assert!(!c.deployment.complete(now));
        let new = c.starting();
        assert_eq!(new.len(), 1);
        c.ready(now, new[0]);
        assert_eq!(c.terminating().len() as u64, step, "what terminates does not count");
        assert_eq!(c.starting().len(), usize::from(step < 8));
    }
    assert!(c.deployment.complete(MS(9000)));
    assert_eq!(c.deployment.poll(MS(9000)), None);
    let mut order = c.deleted.clone();
    order.sort_unstable();
    assert_ne!(order, c.deleted, "by UID, not by age");
    assert_eq!(order, (0..8).map(PodId).collect::<Vec<_>>());
}

#[test]
fn strictly_one_after_the_other_the_next_is_made_when_the_last_is_gone() {
    let mut c = Cluster::new(&plan(|s| s.pod_replacement = PodReplacement::TerminationComplete));
    c.obey(MS(1000));
    for step in 1..=8 {
        let new = c.starting();
        assert_eq!((new.len(), c.terminating().len()), (1, 0));
        c.ready(MS(1000 * step), new[0]);
        let old = c.terminating();
        assert_eq!((c.starting().len(), old.len()), (0, 1));
        c.gone(MS(1000 * step + 500), old[0]);
    }
    assert!(c.deployment.complete(MS(9000)));
}

#[test]
fn max_surge_4_makes_four_at_once() {
    let mut c = Cluster::new(&plan(|s| s.max_surge = Amount::Count(4)));
    c.obey(MS(1000));
    assert_eq!(c.counts(), (12, 8, 0));
    for pod in c.starting() {
        c.ready(MS(2000), pod);
    }
    assert_eq!((c.counts(), c.of(ReplicaSet::New)), ((12, 8, 4), 8));
}

#[test]
fn max_unavailable_4_ends_four_at_once() {
    let mut c = Cluster::new(&plan(|s| (s.max_surge, s.max_unavailable) = (Amount::Count(0), Amount::Count(4))));
    c.obey(MS(1000));
    assert_eq!((c.counts(), c.of(ReplicaSet::New)), ((8, 4, 4), 4));
    let new = c.starting();
    c.ready(MS(2000), new[0]);
    assert_eq!((c.counts(), c.of(ReplicaSet::New)), ((8, 4, 5), 5));
}

#[test]
fn a_quarter_of_ten_is_three_above_and_two_below() {
    let mut c = Cluster::new(&plan(|s| {
        (s.replicas, s.max_surge, s.max_unavailable) = (10, Amount::Percent(25), Amount::Percent(25));
    }));
    c.obey(MS(1000));
    // First the surge, then two old ones, whose room two more new ones take.
    assert_eq!((c.counts(), c.of(ReplicaSet::New)), ((13, 8, 2), 5));
}

#[test]
fn a_ready_pod_counts_once_it_was_ready_for_long_enough() {
    let mut c = Cluster::new(&plan(|s| s.min_ready = Duration::from_millis(500)));
    c.obey(MS(5000));
    let new = c.starting();
    c.ready(MS(6000), new[0]);
    assert_eq!((c.terminating().len(), c.deployment.wake_at(MS(6000))), (0, Some(MS(6500))));
    c.obey(MS(6499));
    assert_eq!(c.terminating().len(), 0);
    c.obey(MS(6500));
    assert_eq!((c.terminating().len(), c.deployment.wake_at(MS(6500))), (1, None));
}

#[test]
fn what_is_not_ready_goes_first_and_a_lost_pod_is_made_again() {
    let mut c = Cluster::new(&plan(|_| {}));
    c.deployment.handle(MS(500), PodId(5), PodUpdate::Unready);
    c.obey(MS(1000));
    assert_eq!(c.deleted, [], "no new one is there yet, and too few are available");
    let new = c.starting();
    c.ready(MS(2000), new[0]);
    assert_eq!(c.deleted, [PodId(5)]);
    c.gone(MS(2500), PodId(0));
    assert_eq!(c.counts().0, 9, "the old ReplicaSet makes another");
    c.deployment.handle(MS(1), PodId(99), PodUpdate::Ready);
}

#[test]
fn no_pod_comes_to_a_node_that_is_lost_while_there_is_another() {
    let mut c = Cluster::new(&plan(|s| (s.nodes, s.replicas, s.max_surge) = (2, 4, Amount::Count(4))));
    c.deployment.set_schedulable(1, false);
    c.obey(MS(10_000));
    assert_eq!(c.starting().iter().map(|pod| c.nodes[pod]).collect::<Vec<_>>(), [0; 4]);
    let mut c = Cluster::new(&plan(|_| {}));
    c.deployment.set_schedulable(0, false);
    c.deployment.set_schedulable(9, false);
    c.obey(MS(10_000));
    assert_eq!(c.starting().iter().map(|pod| c.nodes[pod]).collect::<Vec<_>>(), [0], "there is no other");
}

#[test]
fn pods_are_spread_over_nodes_and_go_from_the_crowded_ones() {
    let c = Cluster::new(&plan(|s| s.nodes = 3));
    let on = |n| c.nodes.values().filter(|v| **v == n).count();
    assert_eq!((on(0), on(1), on(2)), (3, 3, 2));
    let mut c = c;
    c.obey(MS(1000));
    let new = c.starting()[0];
    assert_eq!(c.nodes[&new], 2);
    c.ready(MS(2000), new);
    c.gone(MS(3000), c.deleted[0]);
    assert_eq!(c.deployment.poll(MS(3000)), None);
}

fn amount() -> impl Strategy<Value = Amount> {
    prop_oneof![(0..6u32).prop_map(Amount::Count), (0..=100u32).prop_map(Amount::Percent)]
}

proptest! {
    /// Whatever the order of events: never more than `replicas + surge` pods that were not asked to end, never fewer
    /// ready ones than `replicas - unavailable`, and it comes to its end.
    #[test]
    fn it_keeps_within_surge_and_unavailable(
        (replicas, surge, unavailable) in (1..24u32, amount(), amount()),
        (nodes, complete, min_ready) in (1..5u32, any::<bool>(), 0..3u64),
        picks in prop::collection::vec(any::<(u16, bool)>(), 1..200),
    ) {
        let spec = LabSpec {
            replicas, max_surge: surge, max_unavailable: unavailable, nodes,
            min_ready: Duration::from_millis(min_ready),
            pod_replacement: if complete { PodReplacement::TerminationComplete } else { PodReplacement::TerminationStarted },
            ..LabSpec::default()
        };
        let Ok(plan) = LabPlan::try_from(spec) else { return Ok(()) };
        let most = (plan.replicas + plan.surge()) as usize;
        let least = (plan.replicas - plan.unavailable()) as usize;
        let mut c = Cluster::new(&plan);
        let mut now = MS(10_000);
        c.obey(now);
        for (pick, start) in picks.into_iter().cycle().take(4000) {
            now = now + MS(1);
            let (starting, ending) = (c.starting(), c.terminating());
            let of = |pods: &[PodId]| pods[usize::from(pick) % pods.len()];
            match (starting.is_empty(), ending.is_empty()) {
                (true, true) if c.deployment.complete(now) => break,
                (true, true) => {}
                (false, true) => c.ready(now, of(&starting)),
                (true, false) => c.gone(now, of(&ending)),
                (false, false) if start => c.ready(now, of(&starting)),
                (false, false) => c.gone(now, of(&ending)),
            }
            c.obey(now);
            let (active, ready, terminating) = c.counts();
            prop_assert!(active <= most, "{active} pods, at most {most}");
            prop_assert!(ready >= least, "{ready} ready, at least {least}");
            prop_assert!(!complete || active + terminating <= most.max(plan.replicas as usize), "{active} + {terminating}");
        }
        prop_assert!(c.deployment.complete(now + MS(1)));
        prop_assert_eq!(c.of(ReplicaSet::New), plan.replicas as usize);
        prop_assert_eq!(c.of(ReplicaSet::Old), 0);
    }
}
