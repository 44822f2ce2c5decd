//! Schedulers that go round. Changes when `ip_vs_rr.c` or `ip_vs_wrr.c` does.

use super::{Choice, Judge, Judgement, against, takers};
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
    let anchor = before[..=chosen].iter().rev().find_map(|a| list.iter().position(|l| l == a));
    let after = anchor.map_or(0, |at| at + 1);
    let (head, tail) = choice.candidates.split_at(after);
    let next = tail.iter().chain(head).find(|c| c.weight > 0);
    next.map(|c| c.address).into_iter().collect()
}

/// `wrr`: while the list stays as it is, the choices come round after as many as the weights are together.
#[derive(Default)]
pub struct Weighted {
    list: Vec<(SocketAddr, i32)>,
    chosen: Vec<Option<SocketAddr>>,
}

impl Judge for Weighted {
    fn judge(&mut self, choice: &Choice) -> Judgement {
        let list: Vec<(SocketAddr, i32)> = takers(choice.candidates).map(|c| (c.address, c.weight)).collect();
        if choice.after_loss || list != self.list {
            self.chosen.clear();
            self.list = list;
        }
        let step = self.list.iter().map(|(_, weight)| weight.unsigned_abs()).fold(0, gcd).max(1);
        let round: u64 = self.list.iter().map(|(_, weight)| u64::from(weight.unsigned_abs() / step)).sum();
        if round == 0 {
            // Nobody takes connections: there is nothing to choose.
            return against(choice.chosen, Vec::new());
        }
        let judgement = match usize::try_from(round).ok().and_then(|round| self.chosen.len().checked_sub(round)) {
            Some(before) => against(choice.chosen, self.chosen[before].into_iter().collect()),
            None => Judgement::Unknown,
        };
        self.chosen.push(choice.chosen);
        judgement
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
