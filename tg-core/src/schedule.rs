//! When packets are due: arithmetic, no timer queue. Changes when the shape of a load does.
//!
//! Packet k of slot s of N is due at zero + (k + s/N) × period: phases are spread evenly over the
//! period, so the due order is a fixed ring over the slots.

use tg_model::time::Nanos;

/// Femtoseconds: 10⁻⁶ ns. Rounding a period to them drifts less than 0.2 s in a year at 10⁷ packets/s.
const FS_PER_NS: u128 = 1_000_000;

/// The slots of one shard: of all slots 0..`total`, those with slot mod `shards` = `shard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// This shard.
    pub shard: u32,
    /// Number of shards.
    pub shards: u32,
    /// Slots of all shards.
    pub total: u32,
}

impl Share {
    /// Number of slots of this shard.
    pub fn len(self) -> u32 {
        self.total / self.shards + u32::from(self.total % self.shards > self.shard)
    }

    /// No slot at all.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The plan's slot number of this shard's `local` slot.
    pub fn global(self, local: u32) -> u32 {
        local * self.shards + self.shard
    }
}

/// One due packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which slot, counted within the shard.
    pub slot: u32,
    /// Its intended time.
    pub at: Nanos,
}

/// The due packets of one shard, in order of time.
#[derive(Clone, Debug)]
pub struct Schedule {
    zero: Nanos,
    period_fs: u128,
    /// Zero: each packet leaves at its own time.
    batch: Nanos,
    share: Share,
    round: u64,
    slot: u32,
    next: Due,
}

impl Schedule {
    /// A schedule whose time zero is `zero`, at `rate` packets a second for each slot. Packets due within
    /// windows of `batch`, counted from zero, leave together.
    pub fn new(zero: Nanos, rate: f64, batch: Nanos, share: Share) -> Schedule {
        let first = Due { slot: 0, at: zero };
        let mut schedule = Schedule { zero, period_fs: period_fs(rate), batch, share, round: 0, slot: 0, next: first };
        schedule.next = schedule.due();
        schedule
    }

    /// The next due packet. It stays the next one until [`Schedule::advance`].
    pub fn peek(&self) -> Due {
        self.next
    }

    /// When the next due packet leaves: at its own time, or at the end of the window that it is due in.
    pub fn leaves_at(&self) -> Nanos {
        if self.batch == Nanos::ZERO {
            return self.next.at;
        }
        let windows = self.next.at.since(self.zero).0.div_ceil(self.batch.0);
        self.zero + Nanos(windows.saturating_mul(self.batch.0))
    }

    /// Goes on to the packet after it.
    pub fn advance(&mut self) {
        self.slot += 1;
        if self.slot >= self.share.len() {
            self.slot = 0;
            self.round += 1;
        }
        self.next = self.due();
    }

    /// Time from one packet of a slot to its next.
    pub fn period(&self) -> Nanos {
        Nanos(u64::try_from(self.period_fs / FS_PER_NS).unwrap_or(u64::MAX))
    }

    fn due(&self) -> Due {
        let total = u128::from(self.share.total);
        let place = u128::from(self.round) * total + u128::from(self.share.global(self.slot));
        let ns = place * self.period_fs / (total * FS_PER_NS);
        Due { slot: self.slot, at: self.zero + Nanos(u64::try_from(ns).unwrap_or(u64::MAX)) }
    }
}

fn period_fs(rate: f64) -> u128 {
    (1e15 / rate).round() as u128
}

/// Time from one packet of a slot to its next at `rate` packets a second.
pub fn period(rate: f64) -> Nanos {
    Nanos(u64::try_from(period_fs(rate) / FS_PER_NS).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(total: u32) -> Share {
        Share { shard: 0, shards: 1, total }
    }

    #[test]
    fn the_seeds_load_is_one_packet_each_2500_microseconds() {
        let mut s = Schedule::new(Nanos(7), 5.0, Nanos::ZERO, whole(80));
        for i in 0..400u64 {
            assert_eq!(s.peek(), Due { slot: (i % 80) as u32, at: Nanos(7 + i * 2_500_000) });
            s.advance();
        }
    }

    #[test]
    fn packets_of_a_window_leave_at_its_end() {
        let mut s = Schedule::new(Nanos(7), 5.0, Nanos::from_millis(10), whole(80));
        let mut leave = Vec::new();
        for _ in 0..9 {
            leave.push(s.leaves_at().since(Nanos(7)).0 / 1_000_000);
            s.advance();
        }
        // Due at 0, 2.5, 5, … ms: the first one at the end of the window before.
        assert_eq!(leave, [0, 10, 10, 10, 10, 20, 20, 20, 20]);
    }

    #[test]
    fn a_rate_that_is_no_whole_period_does_not_drift() {
        let mut s = Schedule::new(Nanos(0), 3.0, Nanos::ZERO, whole(1));
        (0..3_000_000).for_each(|_| s.advance());
        // A third of a femtosecond a packet: 1 ns after eleven days.
        assert!(s.peek().at.0.abs_diff(1_000_000 * 1_000_000_000) <= 1, "{:?}", s.peek());
    }

    proptest! {
        #[test]
        fn shards_together_make_the_whole_in_order(total in 1u32..60, shards in 1u32..8, rate in 0.01f64..1e5) {
            let shards = shards.min(total);
            let mut all = Schedule::new(Nanos(0), rate, Nanos::ZERO, whole(total));
            let mut parts: Vec<_> =
                (0..shards).map(|shard| Schedule::new(Nanos(0), rate, Nanos::ZERO, Share { shard, shards, total })).collect();
            for _ in 0..3 * total {
                let due = all.peek();
                let part = &mut parts[(due.slot % shards) as usize];
                prop_assert_eq!(part.peek().at, due.at);
                prop_assert_eq!(part.share.global(part.peek().slot), due.slot);
                part.advance();
                all.advance();
                prop_assert!(all.peek().at >= due.at);
            }
        }
    }
}
