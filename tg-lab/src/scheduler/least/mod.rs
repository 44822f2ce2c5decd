//! Schedulers that take the least: `lc`, `wlc`, `sed` and `nq`. Changes when the kernel's ip_vs_lc.c, ip_vs_wlc.c,
//! ip_vs_sed.c or ip_vs_nq.c does.

mod loads;

use super::Backend;
use loads::Loads;

#[derive(Clone, Debug)]
pub(super) struct Least {
    cost: fn(&Backend) -> u64,
    /// The cost is divided by the weight.
    by_weight: bool,
    /// One without connections is taken whatever its weight.
    idle_first: bool,
    /// All that take connections have the same weight: then the least for its weight is the least.
    equal: bool,
    loads: Loads,
}

impl Least {
    pub(super) fn lc() -> Least {
        Least { cost: overhead, by_weight: false, idle_first: false, equal: true, loads: Loads::default() }
    }

    pub(super) fn wlc() -> Least {
        Least { by_weight: true, ..Least::lc() }
    }

    pub(super) fn sed() -> Least {
        Least { cost: |b| u64::from(b.active) + 1, ..Least::wlc() }
    }

    pub(super) fn nq() -> Least {
        Least { idle_first: true, ..Least::sed() }
    }

    fn load(&self, backend: &Backend) -> Option<u64> {
        (backend.weight > 0).then(|| (self.cost)(backend))
    }

    /// One came at the head.
    pub(super) fn added(&mut self, backends: &[Backend]) {
        self.loads.insert_first(backends.first().and_then(|b| self.load(b)));
    }

    pub(super) fn removed(&mut self, at: usize) {
        self.loads.remove(at);
    }

    /// One has another weight, or other counts.
    pub(super) fn counted(&mut self, at: usize, backends: &[Backend]) {
        self.loads.set(at, self.load(&backends[at]));
    }

    /// The list, or a weight in it, is another one.
    pub(super) fn changed(&mut self, backends: &[Backend]) {
        let mut weights = backends.iter().map(|b| b.weight).filter(|w| *w > 0);
        let first = weights.next();
        self.equal = weights.all(|w| Some(w) == first);
    }

    pub(super) fn choose(&self, backends: &[Backend]) -> Option<usize> {
        if self.equal || !self.by_weight {
            return self.loads.first_least();
        }
        let idle = || backends.iter().position(|b| b.weight > 0 && b.active == 0);
        idle().filter(|_| self.idle_first).or_else(|| cheapest(backends, self.cost))
    }
}

/// `ip_vs_dest_conn_overhead`.
fn overhead(backend: &Backend) -> u64 {
    u64::from(backend.active) * 256 + u64::from(backend.inactive)
}

/// The first with the least cost for its weight, by multiplication crosswise.
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
