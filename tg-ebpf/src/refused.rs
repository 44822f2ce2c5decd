//! Namespaces whose conntrack could not be asked: why, and when each is asked again. Pure. Changes when those waits do.

use std::collections::BTreeMap;

/// What is refused for want of a descriptor or a module may go well soon; each further wait is twice as long, since
/// who asks waits for the answer.
const FIRST_WAIT_NS: u64 = 500_000_000;
const LONGEST_WAIT_NS: u64 = 30_000_000_000;

#[derive(Debug)]
struct Refusal {
    why: String,
    wait_ns: u64,
    again_ns: u64,
}

/// By the namespaces' inodes.
#[derive(Debug, Default)]
pub struct Refused(BTreeMap<u32, Refusal>);

impl Refused {
    /// Whether it may be asked now.
    pub fn is_due(&self, inode: u32, now_ns: u64) -> bool {
        self.0.get(&inode).is_none_or(|r| now_ns >= r.again_ns)
    }

    /// What came of asking it.
    pub fn asked(&mut self, inode: u32, answer: Result<(), String>, now_ns: u64) {
        match answer {
            Ok(()) => self.leave(inode),
            Err(why) => {
                let before = self.0.get(&inode);
                let wait_ns = before.map_or(FIRST_WAIT_NS, |r| (r.wait_ns * 2).min(LONGEST_WAIT_NS));
                self.0.insert(inode, Refusal { why, wait_ns, again_ns: now_ns.saturating_add(wait_ns) });
            }
        }
    }

    /// It is gone.
    pub fn leave(&mut self, inode: u32) {
        self.0.remove(&inode);
    }

    /// Each reason once, with a namespace that it is of, and of how many others: there may be hundreds.
    pub fn reasons(&self) -> Vec<(&str, u32, usize)> {
        let mut reasons: Vec<(&str, u32, usize)> = Vec::new();
        for (inode, refusal) in &self.0 {
            match reasons.iter_mut().find(|(why, ..)| *why == refusal.why) {
                Some((.., others)) => *others += 1,
                None => reasons.push((&refusal.why, *inode, 0)),
            }
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a look each tenth of a second asks, until an answer comes at `well_ns`.
    fn looks(refused: &mut Refused, well_ns: u64, until_ns: u64) -> Vec<u64> {
        let due = (0..until_ns).step_by(100_000_000).filter(|now| {
            let due = refused.is_due(1, *now);
            if due {
                let answer = if *now >= well_ns { Ok(()) } else { Err("EMFILE".into()) };
                refused.asked(1, answer, *now);
            }
            due
        });
        due.map(|now| now / 100_000_000).collect()
    }

    #[test]
    fn it_is_asked_again_ever_more_seldom_but_for_ever() {
        let mut refused = Refused::default();
        let asked = looks(&mut refused, u64::MAX, 200_000_000_000);
        assert_eq!(asked, [0, 5, 15, 35, 75, 155, 315, 615, 915, 1215, 1515, 1815]);
        assert!(refused.is_due(2, 0), "one that was never asked");
    }

    #[test]
    fn the_reason_is_told_until_an_answer_comes_or_it_is_gone() {
        let mut refused = Refused::default();
        looks(&mut refused, 1_000_000_000, 1_000_000_000);
        assert_eq!(refused.reasons(), [("EMFILE", 1, 0)]);
        refused.asked(1, Ok(()), 1_500_000_000);
        assert_eq!(refused.reasons(), []);
        assert!(refused.is_due(1, 1_500_000_001));
        // Its number may be another's next.
        refused.asked(1, Err("EMFILE".into()), 2_000_000_000);
        refused.leave(1);
        assert!(refused.is_due(1, 2_000_000_000) && refused.reasons().is_empty());
    }

    #[test]
    fn many_of_one_reason_are_told_together() {
        let mut refused = Refused::default();
        for (inode, why) in [(3, "EINVAL"), (1, "EMFILE"), (4, "EMFILE"), (2, "EMFILE")] {
            refused.asked(inode, Err(why.into()), 0);
        }
        assert_eq!(refused.reasons(), [("EMFILE", 1, 2), ("EINVAL", 3, 0)]);
    }
}
