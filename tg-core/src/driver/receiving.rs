//! What came back: bytes, a FIN, an error.

use super::Driver;
use super::errno::end_reason;
use super::slot::State;
use crate::connection::Echo;
use crate::engine::{Closing, Op};
use tg_model::counts::Counts;
use tg_model::journal::{Identified, Line};
use tg_model::outcome::EndReason;
use tg_model::plan::Transport;
use tg_model::time::Nanos;

impl Driver {
    pub(super) fn receive(&mut self, slot: u32, at: Nanos, bytes: &[u8]) {
        let transport = self.plan.transport;
        match self.slots[slot as usize].state {
            State::Up(_) => {}
            State::Connecting(_) => return self.probe_answered(slot, at, bytes),
            _ => return,
        }
        let Driver { slots, payload, outstanding, metrics, totals, .. } = self;
        let s = &mut slots[slot as usize];
        let State::Up(connection) = &mut s.state else { return };
        let mut shared = crate::connection::Shared { payload, outstanding, slot };
        let (mut identified, mut answered) = (false, false);
        let mut counts = Counts::default();
        let on_echo = |_: &_, echo: Echo| match echo {
            Echo::Received(packet) | Echo::Reordered(packet) => {
                answered = true;
                metrics.record_echo(at.since(packet.intended), at.since(packet.sent));
                counts.count_received();
                if matches!(echo, Echo::Reordered(_)) {
                    counts.count_reordered();
                }
            }
            Echo::Late => counts.count_late(),
            Echo::Duplicate => counts.count_duplicate(),
            Echo::OtherHost => counts.count_other_host(),
            Echo::Identified => identified = true,
        };
        let outcome = match transport {
            Transport::Tcp => connection.receive_stream(&mut shared, bytes, on_echo),
            Transport::Udp => connection.receive_datagram(&mut shared, at, bytes, on_echo),
        };
        connection.counts.add(&counts);
        totals.counts.add(&counts);
        if identified {
            self.record_identity(slot, at);
        }
        if let Err(error) = outcome {
            return self.end_connection(slot, EndReason::Protocol, None, Some(error.0), at);
        }
        if answered {
            if self.is_closed_loop() {
                self.send_after_echo(slot, at);
            }
            self.complete_if_quiet(slot, at);
        }
    }

    /// Who answers on the slot's connection is known, or has changed.
    pub(super) fn record_identity(&mut self, slot: u32, at: Nanos) {
        let at_ns = self.rel(at);
        let Some(connection) = self.slots[slot as usize].connection() else { return };
        let (conn, host, identity) =
            (connection.established.conn, connection.host.clone(), connection.identity.clone());
        self.lines.push_back(Line::Identified(Identified { conn, at_ns, host, identity }));
    }

    pub(super) fn peer_closed(&mut self, slot: u32, at: Nanos) {
        self.end_connection(slot, EndReason::ClosedByPeer, None, None, at);
    }

    /// The socket failed, on its own or when a probe was sent.
    pub(super) fn failed(&mut self, slot: u32, errno: i32, at: Nanos) {
        match &self.slots[slot as usize].state {
            State::Up(_) => {
                if let Some(reason) = end_reason(self.transport(), errno) {
                    self.end_connection(slot, reason, Some(errno), None, at);
                }
            }
            State::Connecting(_) => {
                let token = self.slots[slot as usize].token;
                self.op(Op::Close(token, Closing::Orderly));
                self.attempt_failed(slot, Some(errno), None, at);
            }
            State::Waiting { .. } | State::Resolving { .. } | State::Idle => {}
        }
    }
}
