//! Packets that are due: sent, deferred (closed loop) or dropped with the reason.

use super::errno::end_reason;
use super::slot::State;
use super::{Driver, Phase};
use crate::engine::{Op, Token};
use crate::schedule::Due;
use tg_model::counts::Counts;
use tg_model::id::SlotId;
use tg_model::journal::{Line, Outage};
use tg_model::outcome::DropReason;
use tg_model::plan::Transport;
use tg_model::time::Nanos;

/// Closed loop: after a packet that the kernel did not take.
const RETRY: Nanos = Nanos::from_millis(1);

impl Driver {
    /// Every packet that is due by `now` and before the plan's `end`.
    pub(super) fn send_due(&mut self, now: Nanos, end: Nanos) {
        while let Some(schedule) = &mut self.schedule {
            let due = schedule.peek();
            if schedule.leaves(due.at).min(end) > now || due.at >= end {
                return;
            }
            let next = due.at + schedule.period();
            let next_leaves = if next < end { schedule.leaves(next).min(end) } else { schedule.leaves(next) };
            schedule.advance();
            // Its slot's next packet leaves, too: only that one is sent.
            self.packet_due(due, next_leaves <= now);
        }
    }

    /// Brings into the processor's cache what the next packet that is due will touch, and names its socket. (The
    /// slot's last one was a long time ago.) Changes nothing.
    pub fn warm_next(&self) -> Option<Token> {
        let slot = self.schedule.as_ref()?.peek().slot;
        let s = &self.slots[slot as usize];
        let State::Up(connection) = &s.state else { return None };
        std::hint::black_box((connection.warm(&self.outstanding, slot), s.gap.is_some()));
        Some(s.token)
    }

    fn packet_due(&mut self, due: Due, is_late: bool) {
        let slot = due.slot;
        self.count(slot, Counts::count_intended);
        let (limit, places) = (self.plan.in_flight, self.places);
        let closed_loop = self.is_closed_loop();
        let Some(connection) = self.slots[slot as usize].connection() else {
            return self.drop_packet(slot, DropReason::NoConnection);
        };
        if closed_loop {
            if connection.deferred.is_some() {
                return self.drop_packet(slot, DropReason::InFlightLimit);
            }
            if connection.in_flight() > 0 {
                connection.deferred = Some(due.at);
                return;
            }
        }
        if is_late {
            self.drop_packet(slot, DropReason::Late);
        } else if connection.in_flight() >= limit || connection.places() >= places {
            self.drop_packet(slot, DropReason::InFlightLimit);
        } else if connection.is_sending() {
            self.drop_packet(slot, DropReason::BufferFull);
        } else {
            self.send(slot, due.at);
        }
    }

    fn drop_packet(&mut self, slot: u32, reason: DropReason) {
        self.count(slot, |c| c.count_dropped(reason));
    }

    fn send(&mut self, slot: u32, intended: Nanos) {
        let transport = self.plan.transport;
        let token = self.slots[slot as usize].token;
        let (s, shared) = self.shared(slot);
        let State::Up(connection) = &mut s.state else { return };
        let message = match transport {
            Transport::Tcp => connection.next_stream_message(shared.payload, intended),
            Transport::Udp => connection.next_datagram(shared.payload, intended),
        };
        self.op(Op::Send(token, message));
    }

    /// Unlimited rate: the next packet is intended now.
    pub(super) fn send_unlimited(&mut self, slot: u32, now: Nanos) {
        let Some(connection) = self.slots[slot as usize].connection() else { return };
        if connection.in_flight() == 0 && !connection.is_sending() {
            self.count(slot, Counts::count_intended);
            self.send(slot, now);
        }
    }

    /// Closed loop: the echo that the next packet waited for is there.
    pub(super) fn send_after_echo(&mut self, slot: u32, now: Nanos) {
        let Phase::Running { end } = self.phase else { return };
        if self.is_unlimited() {
            if now < end {
                self.send_unlimited(slot, now);
            }
            return;
        }
        let Some(connection) = self.slots[slot as usize].connection() else { return };
        if connection.in_flight() > 0 || connection.is_sending() {
            return;
        }
        if let Some(intended) = connection.deferred.take() {
            self.send(slot, intended);
        }
    }

    /// A packet that waited for an echo will not be sent.
    pub(super) fn drop_deferred(&mut self, slot: u32) {
        let deferred = self.slots[slot as usize].connection().and_then(|c| c.deferred.take());
        if deferred.is_some() {
            self.drop_packet(slot, DropReason::InFlightLimit);
        }
    }

    pub(super) fn sent(&mut self, slot: u32, whole: bool, at: Nanos) {
        let step = if self.plan.transport == Transport::Udp { 1 } else { u64::from(self.plan.size) };
        let response_timeout = Nanos::from(self.plan.response_timeout);
        let (s, mut shared) = self.shared(slot);
        // A probe is no packet of the plan: the slot has no connection yet.
        let State::Up(connection) = &mut s.state else { return };
        let Some(packet) = connection.sent(&mut shared, at, whole, step) else { return };
        self.count(slot, Counts::count_sent);
        self.metrics.record_sent(at.since(packet.intended));
        self.timers.arm(slot, at + response_timeout);
        if self.slots[slot as usize].gap.is_some() {
            self.service_is_back(slot, at);
        }
    }

    pub(super) fn sent_rest(&mut self, slot: u32, at: Nanos) {
        let Some(connection) = self.slots[slot as usize].connection() else { return };
        connection.sent_rest();
        if self.is_closed_loop() {
            // Its echo may have come before the engine said so.
            self.send_after_echo(slot, at);
        }
        self.complete_if_quiet(slot, at);
    }

    /// The kernel took no byte: full, or an error.
    pub(super) fn unsent(&mut self, slot: u32, errno: Option<i32>, at: Nanos) {
        let reason = if errno.is_some() { DropReason::SendFailed } else { DropReason::BufferFull };
        if let Some(connection) = self.slots[slot as usize].connection() {
            if connection.unsent() {
                self.drop_packet(slot, reason);
            }
        } else if let Some(errno) = errno {
            // The probe of a datagram flow.
            return self.failed(slot, errno, at);
        }
        if let Some(reason) = errno.and_then(|errno| end_reason(self.transport(), errno)) {
            return self.end_connection(slot, reason, errno, None, at);
        }
        if self.is_closed_loop() {
            // No echo will come to go on from.
            self.timers.arm(slot, at + RETRY);
        }
        self.complete_if_quiet(slot, at);
    }

    /// The first packet on a replacement, or on the slot's first connection, was sent.
    fn service_is_back(&mut self, slot: u32, at: Nanos) {
        let Some(gap) = self.slots[slot as usize].gap.take() else { return };
        if gap.lost.is_some() {
            self.record_outage(slot, &gap, at, true);
        }
    }

    /// Records a time without service that ended, or was still going on, at `at`.
    pub(super) fn record_outage(&mut self, slot: u32, gap: &super::slot::Gap, at: Nanos, over: bool) {
        let established = gap.replacement.map_or(at, |(_, established)| established);
        self.lines.push_back(Line::Outage(Outage {
            slot: SlotId(self.share.global(slot)),
            lost: gap.lost,
            replacement: gap.replacement.map(|(conn, _)| conn),
            since_ns: self.rel(gap.since),
            first_attempt_ns: gap.first_attempt.map(|at| self.rel(at)),
            detection_ns: gap.known.since(gap.since).0,
            reconnect_ns: established.since(gap.known).0,
            wait_ns: at.since(established).0,
            failed_attempts: gap.failed_attempts,
            over,
        }));
    }
}
