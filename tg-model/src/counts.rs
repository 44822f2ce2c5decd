//! The packet counters. Each is incremented by a method of its own and none is a subtraction, so the
//! two equations of [`Counts::check`] are a test of the accounting and not of arithmetic.

use crate::outcome::DropReason;
use serde::{Deserialize, Serialize};

/// Packets that were intended and not sent, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Dropped {
    /// See [`DropReason::NoConnection`].
    pub no_connection: u64,
    /// See [`DropReason::InFlightLimit`].
    pub in_flight_limit: u64,
    /// See [`DropReason::BufferFull`].
    pub buffer_full: u64,
    /// See [`DropReason::Late`].
    pub late: u64,
    /// See [`DropReason::SendFailed`].
    pub send_failed: u64,
}

impl Dropped {
    /// The counter of one reason.
    pub fn by(&self, reason: DropReason) -> u64 {
        match reason {
            DropReason::NoConnection => self.no_connection,
            DropReason::InFlightLimit => self.in_flight_limit,
            DropReason::BufferFull => self.buffer_full,
            DropReason::Late => self.late,
            DropReason::SendFailed => self.send_failed,
        }
    }

    /// All reasons together; saturates, for a damaged file may hold anything.
    pub fn total(&self) -> u64 {
        DropReason::ALL.iter().map(|r| self.by(*r)).fold(0, u64::saturating_add)
    }
}

/// The packets of a connection, a slot or a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Counts {
    /// Packets that were due.
    pub intended: u64,
    /// Packets whose first byte the kernel accepted.
    pub sent: u64,
    /// Packets that were due and not sent.
    pub dropped: Dropped,
    /// Packets whose echo came back whole, in time.
    pub received: u64,
    /// Packets sent whose echo had not come when the connection ended (UDP: or when its time was up).
    pub lost_in_flight: u64,
    /// UDP: echoes of packets already counted as lost in flight.
    pub late: u64,
    /// UDP: echoes of packets already received.
    pub duplicate: u64,
    /// UDP: echoes that came after that of a later packet (they are received, too).
    pub reordered: u64,
    /// UDP: echoes that named another host than the one before.
    pub other_host: u64,
}

impl Counts {
    /// A packet came due.
    pub fn count_intended(&mut self) {
        self.intended += 1;
    }

    /// The kernel accepted a packet's first byte.
    pub fn count_sent(&mut self) {
        self.sent += 1;
    }

    /// A packet that was due will not be sent.
    pub fn count_dropped(&mut self, reason: DropReason) {
        match reason {
            DropReason::NoConnection => self.dropped.no_connection += 1,
            DropReason::InFlightLimit => self.dropped.in_flight_limit += 1,
            DropReason::BufferFull => self.dropped.buffer_full += 1,
            DropReason::Late => self.dropped.late += 1,
            DropReason::SendFailed => self.dropped.send_failed += 1,
        }
    }

    /// An echo came back whole.
    pub fn count_received(&mut self) {
        self.received += 1;
    }

    /// A sent packet's echo will not count as received any more.
    pub fn count_lost_in_flight(&mut self) {
        self.lost_in_flight += 1;
    }

    /// UDP: an echo came after its packet had been given up.
    pub fn count_late(&mut self) {
        self.late += 1;
    }

    /// UDP: an echo came a second time.
    pub fn count_duplicate(&mut self) {
        self.duplicate += 1;
    }

    /// UDP: an echo came after that of a later packet.
    pub fn count_reordered(&mut self) {
        self.reordered += 1;
    }

    /// UDP: an echo named another host.
    pub fn count_other_host(&mut self) {
        self.other_host += 1;
    }

    /// Adds `other`, counter by counter; saturates, as `other` may come from a damaged file.
    pub fn add(&mut self, other: &Counts) {
        self.intended = self.intended.saturating_add(other.intended);
        self.sent = self.sent.saturating_add(other.sent);
        self.dropped.no_connection = self.dropped.no_connection.saturating_add(other.dropped.no_connection);
        self.dropped.in_flight_limit = self.dropped.in_flight_limit.saturating_add(other.dropped.in_flight_limit);
        self.dropped.buffer_full = self.dropped.buffer_full.saturating_add(other.dropped.buffer_full);
        self.dropped.late = self.dropped.late.saturating_add(other.dropped.late);
        self.dropped.send_failed = self.dropped.send_failed.saturating_add(other.dropped.send_failed);
        self.received = self.received.saturating_add(other.received);
        self.lost_in_flight = self.lost_in_flight.saturating_add(other.lost_in_flight);
        self.late = self.late.saturating_add(other.late);
        self.duplicate = self.duplicate.saturating_add(other.duplicate);
        self.reordered = self.reordered.saturating_add(other.reordered);
        self.other_host = self.other_host.saturating_add(other.other_host);
    }

    /// The equations that hold for what has ended: intended = sent + dropped, and
    /// sent = received + lost in flight. The error is the one that does not, in words.
    pub fn check(&self) -> Result<(), String> {
        if Some(self.intended) != self.sent.checked_add(self.dropped.total()) {
            return Err(format!(
                "intended {} is not sent {} + dropped {}",
                self.intended,
                self.sent,
                self.dropped.total()
            ));
        }
        if Some(self.sent) != self.received.checked_add(self.lost_in_flight) {
            return Err(format!(
                "sent {} is not received {} + lost in flight {}",
                self.sent, self.received, self.lost_in_flight
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut Counts);

    /// Every counter different, and both equations true: 136 intended, 120 sent.
    fn counts() -> Counts {
        let dropped = Dropped { no_connection: 1, in_flight_limit: 2, buffer_full: 3, late: 4, send_failed: 6 };
        let (received, lost_in_flight) = (20, 100);
        let (late, duplicate, reordered, other_host) = (7, 8, 9, 10);
        Counts { intended: 136, sent: 120, dropped, received, lost_in_flight, late, duplicate, reordered, other_host }
    }

    #[test]
    fn each_method_counts_one_thing_once() {
        let dropped = |dropped| Counts { dropped, ..Counts::default() };
        let none = Dropped::default();
        let all: [(Change, Counts); 13] = [
            (Counts::count_intended, Counts { intended: 1, ..Counts::default() }),
            (Counts::count_sent, Counts { sent: 1, ..Counts::default() }),
            (|c| c.count_dropped(DropReason::NoConnection), dropped(Dropped { no_connection: 1, ..none })),
            (|c| c.count_dropped(DropReason::InFlightLimit), dropped(Dropped { in_flight_limit: 1, ..none })),
            (|c| c.count_dropped(DropReason::BufferFull), dropped(Dropped { buffer_full: 1, ..none })),
            (|c| c.count_dropped(DropReason::Late), dropped(Dropped { late: 1, ..none })),
            (|c| c.count_dropped(DropReason::SendFailed), dropped(Dropped { send_failed: 1, ..none })),
            (Counts::count_received, Counts { received: 1, ..Counts::default() }),
            (Counts::count_lost_in_flight, Counts { lost_in_flight: 1, ..Counts::default() }),
            (Counts::count_late, Counts { late: 1, ..Counts::default() }),
            (Counts::count_duplicate, Counts { duplicate: 1, ..Counts::default() }),
            (Counts::count_reordered, Counts { reordered: 1, ..Counts::default() }),
            (Counts::count_other_host, Counts { other_host: 1, ..Counts::default() }),
        ];
        for (count, once) in all {
            let mut counted = Counts::default();
            count(&mut counted);
            assert_eq!(counted, once);
            count(&mut counted);
            let mut twice = once;
            twice.add(&once);
            assert_eq!(counted, twice);
        }
    }

    #[test]
    fn adding_adds_each_counter_and_ends_at_the_largest() {
        let mut sum = Counts { intended: u64::MAX - 100, received: 1, ..Counts::default() };
        sum.add(&counts());
        assert_eq!(sum, Counts { intended: u64::MAX, received: 21, ..counts() });
        let dropped = Dropped { late: u64::MAX, ..counts().dropped };
        assert_eq!((counts().dropped.total(), dropped.total()), (16, u64::MAX));
    }

    #[test]
    fn one_counter_that_is_off_breaks_its_equation() {
        assert_eq!(counts().check(), Ok(()));
        let off: [(Change, &str); 9] = [
            (|c| c.intended += 1, "intended 137 is not sent 120 + dropped 16"),
            (|c| c.dropped.no_connection -= 1, "intended 136 is not sent 120 + dropped 15"),
            (|c| c.dropped.in_flight_limit += 1, "intended 136 is not sent 120 + dropped 17"),
            (|c| c.dropped.buffer_full += 1, "intended 136 is not sent 120 + dropped 17"),
            (|c| c.dropped.late += 1, "intended 136 is not sent 120 + dropped 17"),
            (|c| c.dropped.send_failed += 1, "intended 136 is not sent 120 + dropped 17"),
            (|c| (c.intended, c.sent) = (137, 121), "sent 121 is not received 20 + lost in flight 100"),
            (|c| c.received -= 1, "sent 120 is not received 19 + lost in flight 100"),
            (|c| c.lost_in_flight += 1, "sent 120 is not received 20 + lost in flight 101"),
        ];
        for (spoil, why) in off {
            let mut counts = counts();
            spoil(&mut counts);
            assert_eq!(counts.check(), Err(why.to_owned()));
        }
        // A sum that no counter can hold is not right, either.
        let huge = Counts { received: u64::MAX, ..counts() };
        assert!(huge.check().is_err());
    }
}
