//! Schedulers that fill one destination after the other. Changes when `ip_vs_fo.c` or `ip_vs_ovf.c` does.

use super::{Choice, Judge, Judgement, against, takers};
use tg_model::node_event::Candidate;

/// `fo`: the first of the highest weight; `ovf`: of those that have no more active connections than they weigh.
pub struct Heaviest {
    pub has_room: fn(&Candidate) -> bool,
}

impl Judge for Heaviest {
    fn judge(&mut self, choice: &Choice) -> Judgement {
        let mut heaviest: Option<&Candidate> = None;
        for candidate in takers(choice.candidates).filter(|c| (self.has_room)(c)) {
            if heaviest.is_none_or(|h| candidate.weight > h.weight) {
                heaviest = Some(candidate);
            }
        }
        against(choice.chosen, heaviest.map(|h| h.address).into_iter().collect())
    }
}

/// For `ovf`.
pub fn overflows(candidate: &Candidate) -> bool {
    u64::from(candidate.active) <= u64::from(candidate.weight.unsigned_abs())
}
