//! Deadlines of slots: at most one live entry a slot, moved only when it comes up. A connection's
//! response deadline moves with every echo; looking at it once a time-out is enough.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use tg_model::time::Nanos;

/// The deadlines of a shard's slots.
#[derive(Debug)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(Nanos, u32)>>,
    /// The entry of each slot that counts; others of it are stale.
    live: Vec<Nanos>,
}

impl Timers {
    /// For `slots` slots, none of them with a deadline.
    pub fn new(slots: u32) -> Timers {
        Timers { heap: BinaryHeap::with_capacity(slots as usize * 2), live: vec![Nanos::MAX; slots as usize] }
    }

    /// Makes sure that `slot` comes up at `at` or before.
    pub fn arm(&mut self, slot: u32, at: Nanos) {
        if at < self.live[slot as usize] {
            self.live[slot as usize] = at;
            self.heap.push(Reverse((at, slot)));
        }
    }

    /// When the next slot comes up, and which.
    pub fn next(&mut self) -> Option<(Nanos, u32)> {
        while let Some(Reverse((at, slot))) = self.heap.peek().copied() {
            if self.live[slot as usize] == at {
                return Some((at, slot));
            }
            self.heap.pop();
        }
        None
    }

    /// The slot that [`Timers::next`] named comes up at `at`, which is later, instead.
    pub fn postpone(&mut self, at: Nanos) {
        if let Some(mut next) = self.heap.peek_mut() {
            let Reverse((_, slot)) = *next;
            *next = Reverse((at, slot));
            self.live[slot as usize] = at;
        }
    }

    /// A slot that came up by `now`. Its owner looks what is due, if anything, and arms it again.
    pub fn expired(&mut self, now: Nanos) -> Option<u32> {
        let (_, slot) = self.next().filter(|(at, _)| *at <= now)?;
        self.heap.pop();
        self.live[slot as usize] = Nanos::MAX;
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_comes_up_once_at_its_earliest_deadline() {
        let mut t = Timers::new(2);
        t.arm(0, Nanos(50));
        t.arm(0, Nanos(20));
        t.arm(0, Nanos(90));
        t.arm(1, Nanos(30));
        assert_eq!(t.next(), Some((Nanos(20), 0)));
        assert_eq!(t.expired(Nanos(19)), None);
        assert_eq!((t.expired(Nanos(99)), t.expired(Nanos(99)), t.expired(Nanos(99))), (Some(0), Some(1), None));
        assert_eq!(t.next(), None);
    }

    #[test]
    fn a_slot_that_is_postponed_comes_up_once_later() {
        let mut t = Timers::new(2);
        t.arm(0, Nanos(20));
        t.arm(1, Nanos(30));
        assert_eq!(t.next(), Some((Nanos(20), 0)));
        t.postpone(Nanos(40));
        assert_eq!(t.next(), Some((Nanos(30), 1)));
        t.arm(0, Nanos(35));
        assert_eq!((t.expired(Nanos(99)), t.expired(Nanos(99)), t.expired(Nanos(99))), (Some(1), Some(0), None));
    }

    #[test]
    fn the_same_deadline_again_takes_no_room() {
        let mut t = Timers::new(1);
        (0..9).for_each(|_| t.arm(0, Nanos(50)));
        assert_eq!(t.heap.len(), 1);
    }
}
