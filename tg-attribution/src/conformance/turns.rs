//! Schedulers that go round. Changes when `ip_vs_rr.c` or `ip_vs_wrr.c` does.

use super::{Choice, Judge, Judgement, against};
use std::net::SocketAddr;

/// `rr`: the next in the list after the last chosen that takes connections. Where the last chosen is gone, the one
/// before it takes its place (`ip_vs_rr_del_dest`).
#[derive(Default)]
pub struct RoundRobin {
    /// The list then, and what was chosen.
    last: Option<(Vec<SocketAddr>, usize)>,
}

impl Judge for RoundRobin {
    fn judge(&mut self, choice: &Choice) -> Judgement {
        let list: Vec<SocketAddr> = choice.candidates.iter().map(|c| c.address).collect();
        let last = self.last.take().filter(|_| !choice.after_loss);
        let judgement = match &last {
            None => Judgement::Unknown,
            Some((before, chosen)) => against(choice.chosen, expected(before, *chosen, &list, choice)),
        };
        // A decision for nobody leaves the scheduler where it was.
        self.last = match choice.chosen.and_then(|c| list.iter().position(|a| *a == c)) {
            Some(chosen) => Some((list, chosen)),
            None => last,
        };
        judgement
    }
}

fn expected(before: &[SocketAddr], chosen: usize, list: &[SocketAddr], choice: &Choice) -> Vec<SocketAddr> {
    // One that was deleted and added again is another one.
    let stayed = before[..=chosen].iter().rev().filter(|a| !choice.deleted.contains(a));
    let anchor = stayed.filter_map(|a| list.iter().position(|l| l == a)).next();
    let after = anchor.map_or(0, |at| at + 1);
    let (head, tail) = choice.candidates.split_at(after);
    let next = tail.iter().chain(head).find(|c| c.weight > 0);
    next.map(|c| c.address).into_iter().collect()
}

/// So many states of a scheduler are told apart at most.
const STATES_MAX: usize = 4096;

/// `wrr`: each as often as its weight says. Where the scheduler stands is not told: it is followed from every place
/// where it may stand, until only one is left. A change of the list puts it to the list's head (`ip_vs_wrr_dest_changed`).
/// Destinations that are overloaded are not told: with thresholds, which kube-proxy does not set, it seems to deviate.
#[derive(Default)]
pub struct Weighted {
    list: Vec<(SocketAddr, i64)>,
    /// Where it may stand; `None`: anywhere.
    states: Option<Vec<State>>,
}

/// Where it stands: the last chosen (`None`: the head), and the weight that is wanted now.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    last: Option<usize>,
    wanted: i64,
}

/// The weights, as the scheduler sums them up.
struct Weights<'a> {
    list: &'a [(SocketAddr, i64)],
    step: i64,
    highest: i64,
}

impl<'a> Weights<'a> {
    fn new(list: &'a [(SocketAddr, i64)]) -> Weights<'a> {
        let weights = || list.iter().map(|(_, w)| *w).filter(|w| *w > 0);
        let step = weights().fold(0, gcd).max(1);
        Weights { list, step, highest: weights().max().unwrap_or(0) - (step - 1) }
    }

    /// Every weight that may be wanted.
    fn wanted(&self) -> impl Iterator<Item = i64> + use<> {
        let step = usize::try_from(self.step).unwrap_or(usize::MAX);
        (1..=self.highest).step_by(step)
    }

    /// `ip_vs_wrr_schedule`, where somebody takes connections.
    fn next(&self, mut state: State) -> State {
        let mut from = state.last.map_or(0, |last| last + 1);
        // The heaviest is found in the second turn at the latest.
        for _ in 0..=2 * (self.highest / self.step + 1) {
            let found = (from..self.list.len()).find(|at| self.list[*at].1 >= state.wanted);
            if found.is_some() {
                state.last = found;
                return state;
            }
            from = 0;
            state.wanted -= self.step;
            if state.wanted <= 0 {
                state.wanted = self.highest;
            }
        }
        state
    }

    /// All states with these places; `None`: too many.
    fn states(&self, places: &[Option<usize>]) -> Option<Vec<State>> {
        let weights = self.wanted().take(STATES_MAX + 1).count();
        (weights.saturating_mul(places.len()) <= STATES_MAX)
            .then(|| places.iter().flat_map(|last| self.wanted().map(|wanted| State { last: *last, wanted })).collect())
    }
}

impl Judge for Weighted {
    fn judge(&mut self, choice: &Choice) -> Judgement {
        let list: Vec<(SocketAddr, i64)> = choice.candidates.iter().map(|c| (c.address, c.weight.into())).collect();
        let weights = Weights::new(&list);
        if weights.highest <= 0 {
            // Nobody takes connections: there is nothing to choose.
            (self.list, self.states) = (Vec::new(), None);
            return against(choice.chosen, Vec::new());
        }
        let changed = list != self.list || choice.changed;
        let known = self.states.take().filter(|_| !choice.after_loss && !changed);
        let anywhere = || (0..list.len()).map(Some).chain([None]).collect::<Vec<_>>();
        let places = if changed && !self.list.is_empty() && !choice.after_loss { vec![None] } else { anywhere() };
        let Some(states) = known.or_else(|| weights.states(&places)) else {
            self.list = list;
            return Judgement::Unknown;
        };
        let mut next: Vec<State> = states.into_iter().map(|s| weights.next(s)).collect();
        let mut expected: Vec<usize> = next.iter().filter_map(|s| s.last).collect();
        expected.sort_unstable();
        expected.dedup();
        let chosen = choice.chosen.and_then(|c| list.iter().position(|(a, _)| *a == c));
        next.retain(|s| s.last == chosen);
        next.sort_unstable_by_key(|s| s.wanted);
        next.dedup();
        let judgement = match (next.is_empty(), expected.len()) {
            (true, _) => Judgement::Deviates(expected.iter().map(|at| list[*at].0).collect()),
            (false, 1) => Judgement::Conforms,
            (false, _) => Judgement::Unknown,
        };
        // After a choice of its own it goes on from there.
        self.states = if next.is_empty() { weights.states(&[chosen]) } else { Some(next) };
        self.list = list;
        judgement
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
