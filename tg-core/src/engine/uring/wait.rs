//! Waiting: asleep in the kernel, then awake, and the time stamps of what goes in and comes out. Changes
//! when how a deadline is met does.
//!
//! When the kernel takes a message shows only by the clock before and after the call that hands it over. One
//! that also waits, which saves a call a packet, does not show it: of those every 16th is made as two, and
//! the time that messages take in these is taken for the others. As messages that are sent whole have no
//! completion, such a wait is short: what was sent is to be told, whether or not its echo comes.

use super::UringEngine;
use super::key::Kind;
use super::ring::Stay;
use super::sockets::Sending;
use crate::engine::first_byte_taken;
use crate::sys::clock;
use std::io;
use tg_model::time::Nanos;

/// How long a wait may keep back what it handed over itself: most echoes of a near server come before.
const TOLD_WITHIN: Nanos = Nanos::from_millis(1);

impl UringEngine {
    /// [`crate::engine::Engine::wait`].
    pub(super) fn wait_for_completion(&mut self, until: Nanos, spin: Nanos) -> io::Result<()> {
        if self.has_completion() {
            if self.ring.has_queued() {
                self.flush();
            }
        } else if !self.sleep(until, until - spin) {
            self.spin(until);
        }
        self.broken.take().map_or(Ok(()), Err)
    }

    /// Hands over what is queued and sleeps. False where there is no completion, and `until` is still
    /// to come.
    fn sleep(&mut self, until: Nanos, asleep_until: Nanos) -> bool {
        let mut now = clock::monotonic();
        while self.ring.has_queued() || now < asleep_until {
            let hands_over = !self.queued.is_empty();
            let timeout = asleep_until.since(now).min(if hands_over { TOLD_WITHIN } else { Nanos::MAX });
            let at_once = timeout == Nanos::ZERO || (hands_over && self.handover.wants_measuring());
            now = self.enter(now, if at_once { Stay::No } else { Stay::Until(timeout) });
            if self.has_completion() || self.broken.is_some() || now >= until {
                return true;
            }
        }
        false
    }

    /// [`crate::engine::Engine::linger`]. Completions that come meanwhile are in the ring afterwards.
    pub(super) fn sleep_through(&mut self, until: Nanos) {
        let now = clock::monotonic();
        let hands_over = !self.queued.is_empty() && self.handover.wants_measuring();
        let now = if hands_over { self.enter(now, Stay::No) } else { now };
        if now < until && self.broken.is_none() {
            self.enter(now, Stay::Through(until.since(now)));
        }
    }

    /// Watches for a completion, awake. The ring is entered only where there is something to post.
    fn spin(&mut self, until: Nanos) {
        loop {
            if self.ring.has_work() {
                self.flush();
                if self.has_completion() || self.broken.is_some() {
                    return;
                }
            }
            if clock::monotonic() >= until {
                return;
            }
            std::hint::spin_loop();
        }
    }

    fn has_completion(&mut self) -> bool {
        if !self.ready.is_empty() || self.has_staged() {
            return true;
        }
        self.drain();
        self.has_staged()
    }

    /// Hands over what is queued, has waiting completions posted, and does not sleep.
    pub(super) fn flush(&mut self) {
        self.enter(clock::monotonic(), Stay::No);
    }

    /// Enters the ring at `before`, which is now; gives the time after. Completions that are still in
    /// the ring from an earlier time get the later one too: a batch has one.
    fn enter(&mut self, before: Nanos, stay: Stay) -> Nanos {
        if let Err(error) = self.ring.enter(stay) {
            self.broken.get_or_insert(error);
        }
        self.came = clock::monotonic();
        let taken = self.ring.taken();
        let first = self.taken.len();
        while let Some(&(place, index)) = self.queued.front()
            && place <= taken
        {
            self.queued.pop_front();
            self.taken.push(self.sockets.key(Kind::Send, index));
        }
        let count = (self.taken.len() - first) as u64;
        if count == 0 {
            return self.came;
        }
        // The kernel took them one after the other: each has an equal part of the call.
        let part = match stay {
            Stay::No => self.handover.measured(Nanos(self.came.since(before).0 / count)),
            Stay::Until(_) | Stay::Through(_) => self.handover.usual(),
        };
        for (nth, key) in (0u64..).zip(&self.taken[first..]) {
            if let Sending::Message { at, .. } = &mut self.sockets.at(key.index).sending {
                *at = (before + Nanos(part.0 * nth) + first_byte_taken(part)).min(self.came);
            }
        }
        self.came
    }
}

/// How long the kernel takes to take a message: the latest measurements.
#[derive(Debug, Default)]
pub(super) struct Handover {
    latest: [Nanos; MEASUREMENTS],
    count: usize,
    /// Calls since the last measurement.
    since: u32,
}

/// Of which the median is taken: a call in which the thread lost its processor is no usual one.
const MEASUREMENTS: usize = 9;
const MEASURED_EVERY: u32 = 16;

impl Handover {
    /// The next call that hands a message over is to be measured, and must not wait.
    fn wants_measuring(&self) -> bool {
        self.count < MEASUREMENTS || self.since >= MEASURED_EVERY
    }

    fn measured(&mut self, part: Nanos) -> Nanos {
        self.latest[self.count % MEASUREMENTS] = part;
        self.count += 1;
        self.since = 0;
        part
    }

    fn usual(&mut self) -> Nanos {
        self.since += 1;
        let mut sorted = self.latest;
        sorted.sort_unstable();
        sorted[MEASUREMENTS / 2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_time_is_the_median_of_the_latest() {
        let mut handover = Handover::default();
        for ns in [9, 1, 8, 2, 7, 3, 6, 4] {
            handover.measured(Nanos(ns));
            assert!(handover.wants_measuring(), "too few");
        }
        handover.measured(Nanos(1_000_000));
        assert_eq!(handover.usual(), Nanos(6));
        // The one of 9, the oldest, is forgotten.
        handover.measured(Nanos(1));
        assert_eq!(handover.usual(), Nanos(4));
    }

    #[test]
    fn every_sixteenth_call_is_measured() {
        let mut handover = Handover::default();
        for _ in 0..MEASUREMENTS {
            handover.measured(Nanos(5));
        }
        for _ in 0..3 {
            let mut calls = 0;
            while !handover.wants_measuring() {
                handover.usual();
                calls += 1;
            }
            assert_eq!(calls, 16);
            handover.measured(Nanos(5));
        }
    }
}
