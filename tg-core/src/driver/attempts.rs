//! Attempts to connect: when one begins, how it ends, and the wait after one that failed.

use super::errno::attempt_failure;
use super::slot::{Attempt, State};
use super::{Command, Destination, Driver, Phase};
use crate::connection::Connection;
use crate::engine::{Closing, Connect, Op, Token};
use std::net::SocketAddr;
use tg_model::id::{ConnId, SlotId};
use tg_model::journal::{AttemptFailed, Established, Line};
use tg_model::outcome::AttemptFailure;
use tg_model::plan::Transport;
use tg_model::time::Nanos;

/// The number of the datagram that asks whether anybody is there.
pub(super) const PROBE: u64 = 0;

impl Driver {
    /// The slot tries for a connection now.
    pub(super) fn begin_attempt(&mut self, slot: u32, now: Nanos) {
        let s = &mut self.slots[slot as usize];
        let token = s.next_token();
        if let Some(gap) = &mut s.gap {
            gap.first_attempt.get_or_insert(now);
        }
        let target = self.share.global(slot) as usize % self.destinations.len();
        self.connecting += 1;
        self.tally(slot, |t| t.attempts += 1);
        match self.destinations[target] {
            Destination::Address(remote) => self.connect(slot, token, remote, now),
            Destination::Name(_) => {
                self.slots[slot as usize].state = State::Resolving { started: now };
                self.commands.push_back(Command::Resolve { token, target });
            }
        }
    }

    fn connect(&mut self, slot: u32, token: Token, remote: SocketAddr, started: Nanos) {
        self.slots[slot as usize].state = State::Connecting(Attempt { started, remote, probing: None });
        self.timers.arm(slot, started + self.plan.connect_timeout.into());
        let local = self.source(slot);
        let user_timeout_ms = self.plan.user_timeout.map(|d| u32::try_from(d.as_millis()).unwrap_or(u32::MAX).max(1));
        self.op(Op::Connect(token, Connect { remote, local, transport: self.transport(), user_timeout_ms }));
    }

    fn source(&self, slot: u32) -> Option<SocketAddr> {
        self.plan.sources.get(self.share.global(slot) as usize).map(|s| s.0)
    }

    /// The slot's sockets all have the same port, which one of them at a time can have.
    pub(super) fn has_fixed_port(&self, slot: u32) -> bool {
        self.source(slot).is_some_and(|local| local.port() != 0)
    }

    /// A name was resolved, or not (then in words why), for the attempt that [`Command::Resolve`] named.
    pub fn resolved(&mut self, token: Token, outcome: Result<SocketAddr, String>, now: Nanos) {
        let slot = token.slot;
        let Some(State::Resolving { started }) =
            self.slots.get(slot as usize).filter(|s| s.token == token).map(|s| &s.state)
        else {
            return;
        };
        let started = *started;
        match outcome {
            Ok(remote) => self.connect(slot, token, remote, started),
            Err(why) => self.attempt_failed(slot, None, Some(why), now),
        }
    }

    pub(super) fn connected(&mut self, slot: u32, local: SocketAddr, at: Nanos) {
        let State::Connecting(attempt) = &mut self.slots[slot as usize].state else { return };
        if (local.ip(), local.port()) == (attempt.remote.ip(), attempt.remote.port()) {
            return self.connected_to_itself(slot, at);
        }
        if self.plan.transport == Transport::Udp {
            attempt.probing = Some(local);
            let token = self.slots[slot as usize].token;
            return self.op(Op::Send(token, self.payload.datagram(PROBE)));
        }
        let attempt = *attempt;
        self.establish(slot, attempt, local, (at, None));
    }

    /// Where a server is down, the kernel may choose its port for an attempt's own end, which then finds
    /// itself: its echoes would be right for ever, and keep the port from the server that comes back.
    fn connected_to_itself(&mut self, slot: u32, at: Nanos) {
        let token = self.slots[slot as usize].token;
        self.op(Op::Close(token, Closing::Reset));
        let detail = "the socket was connected to itself: nobody listens there".to_owned();
        self.fail_attempt(slot, AttemptFailure::Refused, (None, Some(detail)), at);
    }

    /// A datagram came while the slot's probe was out.
    pub(super) fn probe_answered(&mut self, slot: u32, at: Nanos, bytes: &[u8]) {
        let State::Connecting(attempt @ Attempt { probing: Some(local), .. }) = self.slots[slot as usize].state else {
            return;
        };
        // Anything else is no sign of a server: the attempt goes on until its time is up.
        if self.payload.datagram_echo(bytes) != Some(PROBE) {
            return;
        }
        self.establish(slot, attempt, local, (at, Some(bytes)));
    }

    /// The attempt succeeded at `at`; UDP: by this echo of its probe.
    fn establish(&mut self, slot: u32, attempt: Attempt, local: SocketAddr, (at, probe): (Nanos, Option<&[u8]>)) {
        let id = SlotId(self.share.global(slot));
        let (attempt_ns, established_ns) = (self.rel(attempt.started), self.rel(at));
        let origin = self.origin;
        let s = &mut self.slots[slot as usize];
        let conn = ConnId { slot: id, nth: s.connections };
        s.connections += 1;
        s.failed_in_a_row = 0;
        let gap = s.gap.as_mut();
        let (first_attempt, failed_attempts) = gap.map_or((attempt.started, 0), |gap| {
            gap.replacement = Some((conn, at));
            (gap.first_attempt.unwrap_or(attempt.started), gap.failed_attempts)
        });
        let established = Established {
            conn,
            first_attempt_ns: first_attempt.since(origin).0,
            attempt_ns,
            established_ns,
            failed_attempts,
            local,
            remote: attempt.remote,
        };
        self.lines.push_back(Line::Established(established.clone()));
        let mut connection = Box::new(Connection::new(established, at));
        if let Some(echo) = probe {
            connection.establish_flow(&self.payload, echo);
        }
        s.state = State::Up(connection);
        self.connecting -= 1;
        self.active += 1;
        self.tally(slot, |t| t.established += 1);
        self.first_attempt_is_over(slot);
        if probe.is_some() {
            self.record_identity(slot, at);
        }
        if let Phase::Running { end } = self.phase
            && self.is_unlimited()
            && at < end
        {
            self.send_unlimited(slot, at);
        }
    }

    pub(super) fn attempt_timed_out(&mut self, slot: u32, now: Nanos) {
        let token = self.slots[slot as usize].token;
        self.op(Op::Close(token, Closing::Orderly));
        self.fail_attempt(slot, AttemptFailure::Timeout, (None, None), now);
    }

    /// The attempt failed with an error number, or for a reason in words.
    pub(super) fn attempt_failed(&mut self, slot: u32, errno: Option<i32>, detail: Option<String>, now: Nanos) {
        let failure = errno.map_or(AttemptFailure::LocalError, attempt_failure);
        self.fail_attempt(slot, failure, (errno, detail), now);
    }

    fn fail_attempt(
        &mut self,
        slot: u32,
        failure: AttemptFailure,
        (errno, detail): (Option<i32>, Option<String>),
        now: Nanos,
    ) {
        let (started, remote) = match &self.slots[slot as usize].state {
            State::Connecting(attempt) => (attempt.started, Some(attempt.remote)),
            State::Resolving { started } => (*started, None),
            State::Waiting { .. } | State::Up(_) | State::Idle => return,
        };
        self.lines.push_back(Line::AttemptFailed(AttemptFailed {
            slot: SlotId(self.share.global(slot)),
            started_ns: self.rel(started),
            ended_ns: self.rel(now),
            failure,
            errno,
            detail,
            remote,
        }));
        self.connecting -= 1;
        self.tally(slot, |t| t.failed_attempts += 1);
        self.first_attempt_is_over(slot);
        let until = now + self.backoff(slot);
        let s = &mut self.slots[slot as usize];
        s.failed_in_a_row = s.failed_in_a_row.saturating_add(1);
        if let Some(gap) = &mut s.gap {
            gap.failed_attempts += 1;
        }
        s.state = State::Waiting { until };
        self.timers.arm(slot, until);
    }

    /// The shortest wait, doubled for each failure before, up to the longest; the last tenth of it is
    /// drawn by the seed, so that slots that failed together do not try again together.
    fn backoff(&mut self, slot: u32) -> Nanos {
        let doublings = self.slots[slot as usize].failed_in_a_row.min(40);
        let min = Nanos::from(self.plan.backoff.min).0;
        let max = Nanos::from(self.plan.backoff.max).0;
        let full = min.saturating_mul(1 << doublings).min(max);
        Nanos(full - self.random.below(full / 10))
    }

    fn first_attempt_is_over(&mut self, slot: u32) {
        let s = &mut self.slots[slot as usize];
        if !s.first_attempt_over {
            s.first_attempt_over = true;
            self.first_attempts_left -= 1;
        }
    }
}
