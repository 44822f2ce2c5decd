//! The pods of a Deployment: their state, the node that a new one goes to, and which ones go first. Changes when
//! Kubernetes' `ActivePodsWithRanks` (`pkg/controller/controller_utils.go`) does, or its default spread over nodes.

use std::cmp::Reverse;
use tg_core::random::Random;
use tg_model::time::Nanos;

/// A pod's number, from 0 in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodId(pub u32);

/// What a pod belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplicaSet {
    /// The one before the upgrade: its pods are doomed.
    Old,
    /// The one that the upgrade makes.
    New,
}

/// What became of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodUpdate {
    /// It is ready for traffic.
    Ready,
    /// It is ready no longer.
    Unready,
    /// It is no longer there: it terminated, or was lost.
    Gone,
}

#[derive(Clone, Debug)]
pub(super) struct Pod {
    id: PodId,
    set: ReplicaSet,
    node: u32,
    created: Nanos,
    ready_since: Option<Nanos>,
    terminating: bool,
    /// Stands for the UID, by which equal ones are told apart.
    uid: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Pods {
    /// By number; `None` once it is gone.
    pods: Vec<Option<Pod>>,
    /// Of each node: new pods come to it.
    nodes: Vec<bool>,
    min_ready: Nanos,
    random: Random,
}

impl Pods {
    pub(super) fn new(nodes: u32, min_ready: Nanos, random: Random) -> Pods {
        Pods { pods: Vec::new(), nodes: vec![true; nodes as usize], min_ready, random }
    }

    fn there(&self) -> impl Iterator<Item = &Pod> {
        self.pods.iter().flatten()
    }

    fn of(&self, set: ReplicaSet) -> impl Iterator<Item = &Pod> {
        self.there().filter(move |p| p.set == set && !p.terminating)
    }

    /// Pods of the set that were not asked to end.
    pub(super) fn active(&self, set: ReplicaSet) -> u32 {
        self.of(set).count() as u32
    }

    /// Those of them that were ready for long enough.
    pub(super) fn available(&self, now: Nanos, set: ReplicaSet) -> u32 {
        let long_enough = |p: &Pod| p.ready_since.is_some_and(|since| since + self.min_ready <= now);
        self.of(set).filter(|p| long_enough(p)).count() as u32
    }

    pub(super) fn terminating(&self) -> u32 {
        self.there().filter(|p| p.terminating).count() as u32
    }

    pub(super) fn next_available(&self, now: Nanos) -> Option<Nanos> {
        let ready = self.there().filter(|p| !p.terminating).filter_map(|p| p.ready_since);
        ready.map(|since| since + self.min_ready).filter(|at| *at > now).min()
    }

    pub(super) fn update(&mut self, now: Nanos, id: PodId, update: PodUpdate) {
        let Some(place) = self.pods.get_mut(id.0 as usize) else { return };
        let Some(pod) = place else { return };
        match update {
            PodUpdate::Ready => pod.ready_since = pod.ready_since.or(Some(now)),
            PodUpdate::Unready => pod.ready_since = None,
            PodUpdate::Gone => *place = None,
        }
    }

    pub(super) fn set_schedulable(&mut self, node: u32, schedulable: bool) {
        if let Some(place) = self.nodes.get_mut(node as usize) {
            *place = schedulable;
        }
    }

    /// A new pod, and the node with the fewest that were not asked to end.
    pub(super) fn create(&mut self, now: Nanos, set: ReplicaSet) -> (PodId, u32) {
        let on_nodes = self.on_nodes();
        let nodes = (0..).zip(&self.nodes);
        let node = nodes.min_by_key(|(n, ok)| (!**ok, on_nodes[*n as usize])).map_or(0, |(n, _)| n);
        let id = PodId(self.pods.len() as u32);
        let uid = self.random.bits();
        self.pods.push(Some(Pod { id, set, node, created: now, ready_since: None, terminating: false, uid }));
        (id, node)
    }

    fn on_nodes(&self) -> Vec<u32> {
        let mut on = vec![0; self.nodes.len()];
        self.there().filter(|p| !p.terminating).for_each(|p| on[p.node as usize] += 1);
        on
    }

    /// Asks so many of the set to end: first what is not ready, then from nodes with many of the Deployment's pods,
    /// then what is ready for a shorter time and what is younger, by powers of 2, then by UID.
    pub(super) fn delete(&mut self, now: Nanos, set: ReplicaSet, count: u32) -> Vec<PodId> {
        if count == 0 {
            return Vec::new();
        }
        let on_nodes = self.on_nodes();
        let age = |since: Nanos| now.since(since).0.checked_ilog2();
        let mut ranked: Vec<_> = self
            .of(set)
            .map(|p| {
                let crowd = Reverse(on_nodes[p.node as usize]);
                (p.ready_since.is_some(), crowd, p.ready_since.and_then(age), age(p.created), p.uid, p.id)
            })
            .collect();
        ranked.sort_unstable();
        let first: Vec<PodId> = ranked.into_iter().take(count as usize).map(|(.., id)| id).collect();
        for id in &first {
            if let Some(pod) = &mut self.pods[id.0 as usize] {
                pod.terminating = true;
            }
        }
        first
    }
}
