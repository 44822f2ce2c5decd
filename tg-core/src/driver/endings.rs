//! How a connection ends, and how the run does.

use super::slot::{Gap, State};
use super::{Command, Driver, Phase};
use crate::connection::Connection;
use crate::engine::{Closing, Op, Token};
use tg_model::counts::Counts;
use tg_model::journal::{Closed, Line};
use tg_model::outcome::{DropReason, EndReason};
use tg_model::tcp_info::TcpInfo;
use tg_model::time::Nanos;

impl Driver {
    /// The slot's connection ends; a lost one is replaced at once.
    pub(super) fn end_connection(
        &mut self,
        slot: u32,
        reason: EndReason,
        errno: Option<i32>,
        detail: Option<String>,
        at: Nanos,
    ) {
        let (s, shared) = self.shared(slot);
        let State::Up(connection) = &s.state else { return };
        let since = connection.oldest(&shared).map_or(at, |oldest| oldest.sent.min(at));
        let conn = connection.established.conn;
        self.give_up_packets(slot);
        let s = &mut self.slots[slot as usize];
        let State::Up(connection) = std::mem::replace(&mut s.state, State::Idle) else { return };
        let token = s.token;
        s.totals.counts.add(&connection.counts);
        self.active -= 1;
        let detection = at.since(since);
        let closed = self.closed_record(*connection, reason, errno, detail, (at, detection));
        self.closing.push_back((token, closed));
        let close = Op::Close(token, Closing::Orderly);
        if !reason.is_lost() {
            self.op(close);
            return self.finish_if_quiet();
        }
        self.tally(slot, |t| t.lost += 1);
        let s = &mut self.slots[slot as usize];
        if let Some(unserved) = s.gap.take().filter(|gap| gap.lost.is_some()) {
            // The replacement was lost before it carried a packet.
            self.record_outage(slot, &unserved, at, false);
        }
        let gap =
            Gap { lost: Some(conn), since, known: at, first_attempt: None, failed_attempts: 0, replacement: None };
        self.slots[slot as usize].gap = Some(gap);
        let goes_on = matches!(self.phase, Phase::Starting | Phase::Running { .. });
        if goes_on && self.plan.reconnect && !self.has_fixed_port(slot) {
            // The replacement first: what the peer does with the end of the old one would delay it.
            self.begin_attempt(slot, at);
            return self.op(close);
        }
        self.op(close);
        if goes_on && self.plan.reconnect {
            self.begin_attempt(slot, at);
        } else if goes_on {
            // Packets of this slot are dropped from now on; the gap is told at the end.
        } else {
            self.end_gap(slot, at);
            self.finish_if_quiet();
        }
    }

    /// Whatever of the slot's packets is neither answered nor dropped is so no more.
    fn give_up_packets(&mut self, slot: u32) {
        self.drop_deferred(slot);
        let (s, mut shared) = self.shared(slot);
        let State::Up(connection) = &mut s.state else { return };
        let unsent = connection.unsent();
        let mut lost = 0u32;
        while connection.oldest(&shared).is_some() {
            lost += u32::from(connection.give_up_oldest(&mut shared));
        }
        if unsent {
            // Closed loop: what the engine does not have yet had waited for an echo, or for the connection.
            let withdrawn = self.withdraw_send(slot);
            let reason = if withdrawn { DropReason::InFlightLimit } else { DropReason::SendFailed };
            self.count(slot, |c| c.count_dropped(reason));
        }
        (0..lost).for_each(|_| self.count(slot, Counts::count_lost_in_flight));
    }

    /// A message that the engine does not have yet is not to be handed over. True where there was one.
    fn withdraw_send(&mut self, slot: u32) -> bool {
        let token = self.slots[slot as usize].token;
        let token_of = |c: &Command| if let Command::Engine(Op::Send(of, _)) = c { Some(*of) } else { None };
        // Sends are before what there is of connections that ended.
        let at = self.commands.iter().map_while(token_of).position(|of| of == token);
        at.and_then(|at| self.commands.remove(at)).is_some()
    }

    fn closed_record(
        &self,
        connection: Connection,
        reason: EndReason,
        errno: Option<i32>,
        detail: Option<String>,
        (at, detection): (Nanos, Nanos),
    ) -> Box<Closed> {
        Box::new(Closed {
            ended_ns: self.rel(at),
            reason,
            errno,
            detail,
            detection_ns: detection.0,
            host: connection.host,
            identity: connection.identity,
            counts: connection.counts,
            tcp: None,
            established: connection.established,
        })
    }

    /// A socket is closed: what the kernel knew of it completes the connection's record.
    pub(super) fn closed(&mut self, token: Token, info: Option<Box<TcpInfo>>) {
        let Some(at) = self.closing.iter().position(|(t, _)| *t == token) else { return };
        let Some((_, mut closed)) = self.closing.remove(at) else { return };
        closed.tcp = info.map(|info| *info);
        self.lines.push_back(Line::Closed(closed));
    }

    /// Ends the run in good order: nothing is sent any more, echoes still out are awaited.
    pub fn stop(&mut self, now: Nanos) {
        if matches!(self.phase, Phase::Draining | Phase::Finished) {
            return;
        }
        self.phase = Phase::Draining;
        for slot in 0..self.share.len() {
            self.drop_deferred(slot);
            match &self.slots[slot as usize].state {
                State::Up(_) => {
                    self.end_gap(slot, now);
                    self.complete_if_quiet(slot, now);
                }
                _ => self.retire(slot, now),
            }
        }
        self.finish_if_quiet();
    }

    /// Ends the run at once: echoes still out are lost in flight.
    pub fn abort(&mut self, now: Nanos) {
        self.stop(now);
        for slot in 0..self.share.len() {
            self.end_connection(slot, EndReason::Completed, None, None, now);
        }
    }

    /// The slot will make no attempt any more; one under way is given up.
    fn retire(&mut self, slot: u32, now: Nanos) {
        let token = self.slots[slot as usize].token;
        match std::mem::replace(&mut self.slots[slot as usize].state, State::Idle) {
            State::Connecting(_) => {
                self.connecting -= 1;
                self.op(Op::Close(token, Closing::Orderly));
            }
            State::Resolving { .. } => self.connecting -= 1,
            State::Waiting { .. } | State::Up(_) | State::Idle => {}
        }
        self.end_gap(slot, now);
    }

    /// The run's end cuts the slot's time without service off.
    fn end_gap(&mut self, slot: u32, now: Nanos) {
        let Some(gap) = self.slots[slot as usize].gap.take() else { return };
        if gap.lost.is_some() || gap.replacement.is_none() {
            self.record_outage(slot, &gap, now, false);
        }
    }

    /// While draining: a connection without an echo out is closed.
    pub(super) fn complete_if_quiet(&mut self, slot: u32, now: Nanos) {
        if self.phase != Phase::Draining {
            return;
        }
        let Some(connection) = self.slots[slot as usize].connection() else { return };
        if connection.in_flight() == 0 && !connection.is_sending() {
            self.end_connection(slot, EndReason::Completed, None, None, now);
        }
    }

    fn finish_if_quiet(&mut self) {
        if self.phase == Phase::Draining && self.active == 0 && self.connecting == 0 {
            self.phase = Phase::Finished;
        }
    }
}
