//! Deadlines: of waits, attempts and echoes. Changes when something else may take too long.

use super::slot::State;
use super::{Driver, Phase};
use crate::connection::Shared;
use tg_model::counts::Counts;
use tg_model::outcome::EndReason;
use tg_model::plan::Transport;
use tg_model::time::Nanos;

/// An echo's deadline that is further away is left as it is: it is looked at once it has nearly come.
const SOON: Nanos = Nanos::from_millis(100);

impl Driver {
    /// When the first deadline is of which something may come, if that is before `limit`. Those of echoes that
    /// have come meanwhile are moved on without a wake-up for each.
    pub(super) fn next_deadline(&mut self, now: Nanos, limit: Nanos) -> Nanos {
        while let Some((at, slot)) = self.timers.next().filter(|(at, _)| *at < limit) {
            match self.echo_deadline(slot) {
                Some(moved) if moved > at && at < now + SOON => self.timers.postpone(moved),
                _ => return at,
            }
        }
        limit
    }

    /// This process stood still (SIGSTOP, a paused machine) from about `from` to `now`. What it waits for
    /// may have stood still with it, as a server in the same process does: a stop that is long enough to
    /// use a time-out up by itself makes time-outs begin anew. Shorter ones are left to the time-outs: a
    /// host where they are frequent would never find anything overdue.
    pub fn stood_still(&mut self, from: Nanos, now: Nanos) {
        let shortest = Nanos::from(self.plan.response_timeout.min(self.plan.connect_timeout));
        if now.since(from).0 >= shortest.0 / 2 {
            self.awake_since = now;
        }
    }

    /// A deadline of the slot may have come: its wait is over, its attempt or its echo took too long.
    pub(super) fn slot_deadline(&mut self, slot: u32, now: Nanos) {
        match &self.slots[slot as usize].state {
            State::Waiting { until } if *until <= now => self.begin_attempt(slot, now),
            State::Waiting { until } => self.timers.arm(slot, *until),
            State::Connecting(attempt) => {
                let deadline = attempt.started.max(self.awake_since) + self.plan.connect_timeout.into();
                if deadline <= now { self.attempt_timed_out(slot, now) } else { self.timers.arm(slot, deadline) }
            }
            State::Up(_) => self.check_response(slot, now),
            State::Resolving { .. } | State::Idle => {}
        }
    }

    /// Until when the oldest echo out on the slot's connection may come; `None` where there is none out.
    fn echo_deadline(&mut self, slot: u32) -> Option<Nanos> {
        let timeout = Nanos::from(self.plan.response_timeout);
        let awake_since = self.awake_since;
        let (s, shared) = self.shared(slot);
        let oldest = s.connection()?.oldest(&shared)?;
        Some(oldest.sent.max(awake_since) + timeout)
    }

    /// Whether an echo is overdue.
    fn check_response(&mut self, slot: u32, now: Nanos) {
        let timeout = Nanos::from(self.plan.response_timeout);
        let transport = self.plan.transport;
        let awake_since = self.awake_since;
        let Driver { slots, payload, outstanding, .. } = self;
        let mut shared = Shared { payload, outstanding, slot };
        let State::Up(connection) = &mut slots[slot as usize].state else { return };
        let Some(oldest) = connection.oldest(&shared) else { return self.send_after_echo(slot, now) };
        let overdue = oldest.sent.max(awake_since) + timeout;
        if overdue > now {
            return self.timers.arm(slot, overdue);
        }
        let draining = self.phase == Phase::Draining;
        match transport {
            // It was alive at the plan's end, and its echoes have been waited for long enough.
            Transport::Tcp if draining => return self.end_connection(slot, EndReason::Completed, None, None, now),
            Transport::Udp if draining || connection.last_received + timeout > now => {}
            _ => return self.end_connection(slot, EndReason::ResponseTimeout, None, None, now),
        }
        // Datagrams were lost while others came, or may still come.
        let limit = now - timeout;
        let mut expired = 0;
        while connection.expire_oldest(&mut shared, limit) {
            expired += 1;
        }
        let next = connection.oldest(&shared).map(|p| p.sent + timeout);
        (0..expired).for_each(|_| self.count(slot, Counts::count_lost_in_flight));
        if let Some(at) = next {
            self.timers.arm(slot, at);
        }
        self.send_after_echo(slot, now);
        self.complete_if_quiet(slot, now);
    }
}
