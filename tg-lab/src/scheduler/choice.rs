//! Which scheduler chooses, and those without state. Changes when a scheduler is added.

use super::Backend;
use super::hash::Buckets;
use super::least::Least;
use super::turns::{RoundRobin, WeightedRoundRobin};
use std::net::SocketAddr;
use tg_core::random::Random;
use tg_model::lab_plan::{DirectorKind, SchedulerKind};

/// A scheduler with its state.
#[derive(Clone, Debug)]
pub(super) enum Choice {
    Rr(RoundRobin),
    Wrr(WeightedRoundRobin),
    Least(Least),
    Fo,
    Ovf,
    Sh(Box<Buckets>),
    Random { random: Random, eligible: Vec<usize> },
    Numgen { next: usize, eligible: Vec<usize> },
}

impl Choice {
    /// `None`: only the kernel has it.
    pub(super) fn new(director: DirectorKind, kind: SchedulerKind, seed: u64) -> Option<Choice> {
        Some(match kind {
            SchedulerKind::Rr if director == DirectorKind::Nft => Choice::Numgen { next: 0, eligible: Vec::new() },
            SchedulerKind::Rr => Choice::Rr(RoundRobin::default()),
            SchedulerKind::Wrr => Choice::Wrr(WeightedRoundRobin::default()),
            SchedulerKind::Lc => Choice::Least(Least::lc()),
            SchedulerKind::Wlc => Choice::Least(Least::wlc()),
            SchedulerKind::Sed => Choice::Least(Least::sed()),
            SchedulerKind::Nq => Choice::Least(Least::nq()),
            SchedulerKind::Fo => Choice::Fo,
            SchedulerKind::Ovf => Choice::Ovf,
            SchedulerKind::Sh => Choice::Sh(Box::default()),
            SchedulerKind::Random => Choice::Random { random: Random::new(seed), eligible: Vec::new() },
            SchedulerKind::Dh
            | SchedulerKind::Mh
            | SchedulerKind::Lblc
            | SchedulerKind::Lblcr
            | SchedulerKind::Twos => return None,
        })
    }

    /// A destination came, at the list's head.
    pub(super) fn added(&mut self, backends: &[Backend]) {
        match self {
            Choice::Rr(turns) => turns.added(),
            Choice::Least(least) => least.added(backends),
            _ => {}
        }
        self.changed(backends);
    }

    /// The destination that was at `at` is gone.
    pub(super) fn removed(&mut self, at: usize, backends: &[Backend]) {
        match self {
            Choice::Rr(turns) => turns.removed(at),
            Choice::Least(least) => least.removed(at),
            // The map had no such element: the rule stays as it is, and so does its turn.
            Choice::Numgen { eligible, .. } if !eligible.contains(&at) => return list(eligible, backends),
            _ => {}
        }
        self.changed(backends);
    }

    /// The destination at `at` has another weight.
    pub(super) fn weighed(&mut self, at: usize, backends: &[Backend]) {
        self.counted(at, backends);
        self.changed(backends);
    }

    /// The destination at `at` has other counts.
    pub(super) fn counted(&mut self, at: usize, backends: &[Backend]) {
        if let Choice::Least(least) = self {
            least.counted(at, backends);
        }
    }

    /// The list, or a weight in it, is another one.
    fn changed(&mut self, backends: &[Backend]) {
        match self {
            Choice::Wrr(turns) => turns.changed(backends),
            Choice::Least(least) => least.changed(backends),
            Choice::Sh(buckets) => buckets.assign(backends),
            Choice::Random { eligible, .. } => list(eligible, backends),
            // kube-proxy writes the rule anew, and a new `numgen inc` begins at 0 (nft_numgen.c).
            Choice::Numgen { next, eligible } => {
                *next = 0;
                list(eligible, backends);
            }
            _ => {}
        }
    }

    pub(super) fn choose(&mut self, backends: &[Backend], client: SocketAddr) -> Option<usize> {
        match self {
            Choice::Rr(turns) => turns.choose(backends),
            Choice::Wrr(turns) => turns.choose(backends),
            Choice::Least(least) => least.choose(backends),
            Choice::Fo => heaviest(backends, |_| true),
            Choice::Ovf => heaviest(backends, |b| b.active <= b.weight),
            Choice::Sh(buckets) => buckets.choose(backends, client),
            Choice::Random { random, eligible } => eligible.get(random.below(eligible.len() as u64) as usize).copied(),
            Choice::Numgen { next, eligible } => {
                let chosen = eligible.get(*next).copied()?;
                *next = (*next + 1) % eligible.len();
                Some(chosen)
            }
        }
    }
}

/// A map's elements: what takes connections, the oldest first.
fn list(eligible: &mut Vec<usize>, backends: &[Backend]) {
    eligible.clear();
    eligible.extend((0..backends.len()).rev().filter(|i| backends[*i].weight > 0));
}

/// ip_vs_fo.c and ip_vs_ovf.c: the first of the highest weight that has room.
fn heaviest(backends: &[Backend], has_room: impl Fn(&Backend) -> bool) -> Option<usize> {
    let mut best: Option<(usize, u32)> = None;
    for (i, b) in backends.iter().enumerate().filter(|(_, b)| b.weight > 0 && has_room(b)) {
        if best.is_none_or(|(_, weight)| b.weight > weight) {
            best = Some((i, b.weight));
        }
    }
    best.map(|(i, _)| i)
}
