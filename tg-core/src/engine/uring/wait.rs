//! Waiting: asleep in the kernel, then awake, and the time stamps of what goes in and comes out. Changes
//! when how a deadline is met does.
//!
//! When the kernel takes a message shows only by the clock before and after the call that hands it over: such a call
//! never waits.

use super::UringEngine;
use super::key::Kind;
use super::ring::Stay;
use super::sockets::Sending;
use crate::engine::first_byte_taken;
use crate::sys::clock;
use std::io;
use tg_model::time::Nanos;

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
            let timeout = asleep_until.since(now);
            let at_once = hands_over || timeout == Nanos::ZERO;
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
        let now = if self.queued.is_empty() { now } else { self.enter(now, Stay::No) };
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
        let part = Nanos(self.came.since(before).0 / count);
        for (nth, key) in (0u64..).zip(&self.taken[first..]) {
            if let Sending::Message { at, .. } = &mut self.sockets.at(key.index).sending {
                *at = (before + Nanos(part.0 * nth) + first_byte_taken(part)).min(self.came);
            }
        }
        self.came
    }
}
