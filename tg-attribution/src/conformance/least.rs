//! Schedulers that take the least loaded. Changes when `ip_vs_lc.c`, `ip_vs_wlc.c`, `ip_vs_sed.c` or `ip_vs_nq.c`
//! does.

use super::{Choice, Judge, Judgement, against, takers};
use std::net::SocketAddr;
use tg_model::node_event::Candidate;

/// `lc`, `wlc`, `sed`, `nq`. Of equals each conforms.
pub struct Least {
    weighted: bool,
    /// One without active connections comes first.
    idle_first: bool,
    load: fn(&Candidate) -> u64,
}

impl Least {
    pub fn new(scheduler: &str) -> Least {
        let overhead: fn(&Candidate) -> u64 = |c| u64::from(c.active) * 256 + u64::from(c.inactive);
        let expected: fn(&Candidate) -> u64 = |c| u64::from(c.active) + 1;
        match scheduler {
            "wlc" => Least { weighted: true, idle_first: false, load: overhead },
            "sed" => Least { weighted: true, idle_first: false, load: expected },
            "nq" => Least { weighted: true, idle_first: true, load: expected },
            _ => Least { weighted: false, idle_first: false, load: overhead },
        }
    }

    /// `a` is loaded less than `b`: by multiplication crosswise, as the kernel does.
    fn less(&self, a: &Candidate, b: &Candidate) -> bool {
        let weight = |c: &Candidate| if self.weighted { u128::from(c.weight.unsigned_abs()) } else { 1 };
        u128::from((self.load)(a)) * weight(b) < u128::from((self.load)(b)) * weight(a)
    }
}

impl Judge for Least {
    fn judge(&mut self, choice: &Choice) -> Judgement {
        let idle: Vec<SocketAddr> =
            takers(choice.candidates).filter(|c| self.idle_first && c.active == 0).map(|c| c.address).collect();
        if !idle.is_empty() {
            return against(choice.chosen, idle);
        }
        let mut least: Vec<&Candidate> = Vec::new();
        for candidate in takers(choice.candidates) {
            match least.first() {
                Some(best) if self.less(best, candidate) => {}
                Some(best) if !self.less(candidate, best) => least.push(candidate),
                _ => least = vec![candidate],
            }
        }
        against(choice.chosen, least.iter().map(|c| c.address).collect())
    }
}
