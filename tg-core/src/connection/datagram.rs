//! Echoes of datagrams: each has its number; they may be lost, late, doubled, out of order, or come
//! from another host.

use super::{Connection, Echo, Packet, ProtocolError, Shared};
use crate::payload::Payload;
use std::collections::VecDeque;
use tg_model::time::Nanos;
use tg_model::wire;

/// What is known of datagrams before the oldest one out.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Those given up whose echo has not come since, oldest first, the last [`History::SPAN`] of them.
    given_up: VecDeque<u64>,
    /// The highest number whose echo came.
    highest: u64,
}

impl History {
    const SPAN: usize = 1024;

    fn give_up(&mut self, number: u64) {
        if self.given_up.len() == History::SPAN {
            self.given_up.pop_front();
        }
        self.given_up.push_back(number);
    }

    /// An echo of a datagram before the oldest one out: whether that had been given up.
    fn take_late(&mut self, number: u64) -> bool {
        self.given_up.binary_search(&number).map(|at| self.given_up.remove(at)).is_ok()
    }
}

impl Connection {
    /// The probe's echo came (number 0): the flow is established, and who answers is known.
    pub fn establish_flow(&mut self, payload: &Payload, echo: &[u8]) {
        self.sent = 1;
        self.received = 1;
        self.take_name(payload, echo);
    }

    /// A datagram came. Calls `on_echo` for each thing it tells.
    ///
    /// # Errors
    /// It is no echo of what was sent.
    pub fn receive_datagram(
        &mut self,
        shared: &mut Shared<'_>,
        at: Nanos,
        bytes: &[u8],
        mut on_echo: impl FnMut(&Connection, Echo),
    ) -> Result<(), ProtocolError> {
        let number =
            shared.payload.datagram_echo(bytes).filter(|n| *n < self.sent).ok_or_else(|| {
                ProtocolError(format!("a datagram of {} bytes is no echo of what was sent", bytes.len()))
            })?;
        self.last_received = at;
        if bytes[..wire::NAME_LEN] != self.head[..wire::NAME_LEN.min(self.head.len())] {
            self.take_name(shared.payload, bytes);
            on_echo(self, Echo::OtherHost);
            on_echo(self, Echo::Identified);
        }
        let echo = self.classify(shared, number);
        on_echo(self, echo);
        Ok(())
    }

    fn classify(&mut self, shared: &mut Shared<'_>, number: u64) -> Echo {
        if number < self.received {
            return if self.datagrams.take_late(number) { Echo::Late } else { Echo::Duplicate };
        }
        let nth = (number - self.received) as u32;
        let Some(packet) = shared.outstanding.answer(shared.slot, &mut self.queue, nth) else {
            return Echo::Duplicate;
        };
        self.drop_answered(shared);
        if number < self.datagrams.highest {
            return Echo::Reordered(packet);
        }
        self.datagrams.highest = number;
        Echo::Received(packet)
    }

    /// Gives up the oldest datagram if it was sent at `limit` or before. True where it was.
    pub fn expire_oldest(&mut self, shared: &mut Shared<'_>, limit: Nanos) -> bool {
        if self.oldest(shared).is_none_or(|p| p.sent > limit) {
            return false;
        }
        shared.outstanding.pop(shared.slot, &mut self.queue);
        self.datagrams.give_up(self.received);
        self.received += 1;
        self.drop_answered(shared);
        true
    }

    fn drop_answered(&mut self, shared: &mut Shared<'_>) {
        while shared.outstanding.front(shared.slot, &self.queue).is_some_and(Packet::is_answered) {
            shared.outstanding.pop(shared.slot, &mut self.queue);
            self.received += 1;
        }
    }

    fn take_name(&mut self, payload: &Payload, bytes: &[u8]) {
        self.head.clear();
        self.head.extend_from_slice(&bytes[..payload.identity_end().min(bytes.len())]);
        self.identify(payload);
    }
}
