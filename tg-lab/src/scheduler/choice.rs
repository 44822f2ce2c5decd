//! Which scheduler chooses, and those without state. Changes when a scheduler is added.

use super::Backend;
use super::hash::Buckets;
use super::loads::Loads;
use super::turns::{RoundRobin, WeightedRoundRobin};
use std::net::SocketAddr;
use tg_core::random::Random;
use tg_model::lab_plan::{DirectorKind, SchedulerKind};

/// A scheduler with its state.
#[derive(Clone, Debug)]
pub(super) enum Choice {
    Rr(RoundRobin),
    Wrr(WeightedRoundRobin),
    Lc,
    Wlc {
        /// All that take connections have the same weight.
        equal: bool,
    },
    Sed,
    Nq,
    Fo,
    Ovf,
    Sh(Box<Buckets>),
    Random {
        random: Random,
        eligible: Vec<usize>,
    },
    Numgen {
        next: usize,
        eligible: Vec<usize>,
    },
}

impl Choice {
    /// `None`: only the kernel has it.
    pub(super) fn new(director: DirectorKind, kind: SchedulerKind, seed: u64) -> Option<Choice> {
        Some(match kind {
            SchedulerKind::Rr if director == DirectorKind::Nft => Choice::Numgen { next: 0, eligible: Vec::new() },
            SchedulerKind::Rr => Choice::Rr(RoundRobin::default()),
            SchedulerKind::Wrr => Choice::Wrr(WeightedRoundRobin::default()),
            SchedulerKind::Lc => Choice::Lc,
            SchedulerKind::Wlc => Choice::Wlc { equal: true },
            SchedulerKind::Sed => Choice::Sed,
            SchedulerKind::Nq => Choice::Nq,
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
        if let Choice::Rr(turns) = self {
            turns.added();
        }
        self.changed(backends);
    }

    /// The destination that was at `at` is gone.
    pub(super) fn removed(&mut self, at: usize, backends: &[Backend]) {
        if let Choice::Rr(turns) = self {
            turns.removed(at);
        }
        self.changed(backends);
    }

    /// The list, or a weight in it, is another one.
    pub(super) fn changed(&mut self, backends: &[Backend]) {
        match self {
            Choice::Wrr(turns) => turns.changed(backends),
            Choice::Wlc { equal } => {
                let mut weights = backends.iter().map(|b| b.weight).filter(|w| *w > 0);
                let first = weights.next();
                *equal = weights.all(|w| Some(w) == first);
            }
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

    pub(super) fn choose(&mut self, backends: &[Backend], loads: &Loads, client: SocketAddr) -> Option<usize> {
        match self {
            Choice::Rr(turns) => turns.choose(backends),
            Choice::Wrr(turns) => turns.choose(backends),
            Choice::Lc => loads.first_least(),
            // Of equal weights the least for its weight is the least.
            Choice::Wlc { equal: true } => loads.first_least(),
            Choice::Wlc { equal: false } => cheapest(backends, Backend::overhead),
            Choice::Sed => cheapest(backends, |b| u64::from(b.active) + 1),
            Choice::Nq => backends
                .iter()
                .position(|b| b.weight > 0 && b.active == 0)
                .or_else(|| cheapest(backends, |b| u64::from(b.active) + 1)),
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

/// ip_vs_wlc.c and ip_vs_sed.c: the first with the least cost for its weight, by multiplication crosswise.
fn cheapest(backends: &[Backend], cost: impl Fn(&Backend) -> u64) -> Option<usize> {
    let mut best: Option<(usize, u64, u64)> = None;
    for (i, b) in backends.iter().enumerate().filter(|(_, b)| b.weight > 0) {
        let (cost, weight) = (cost(b), u64::from(b.weight));
        let better = best
            .is_none_or(|(_, least, of)| u128::from(least) * u128::from(weight) > u128::from(cost) * u128::from(of));
        if better {
            best = Some((i, cost, weight));
        }
    }
    best.map(|(i, ..)| i)
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
