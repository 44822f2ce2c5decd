//! What shards must agree on: when time zero is, and that the run ends.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use tg_model::time::Nanos;

/// Time zero is this long after the last first attempt: with several shards each must hear of it.
const LEAD: Nanos = Nanos::from_millis(2);
const UNSET: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Orders {
    stop: AtomicBool,
    abort: AtomicBool,
    shards_left: AtomicU32,
    zero: AtomicU64,
}

impl Orders {
    pub fn new(shards: u32) -> Orders {
        Orders {
            stop: AtomicBool::new(false),
            abort: AtomicBool::new(false),
            shards_left: AtomicU32::new(shards),
            zero: AtomicU64::new(UNSET),
        }
    }

    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub fn abort(&self) {
        self.abort.store(true, Ordering::Relaxed);
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub fn is_aborted(&self) -> bool {
        self.abort.load(Ordering::Relaxed)
    }

    /// A shard's first attempts are over. True for the last shard, which sets time zero by that.
    pub fn first_attempts_over(&self, now: Nanos) -> bool {
        let last = self.shards_left.fetch_sub(1, Ordering::AcqRel) == 1;
        if last {
            self.zero.store((now + LEAD).0, Ordering::Release);
        }
        last
    }

    /// Time zero, once it is set.
    pub fn zero(&self) -> Option<Nanos> {
        let zero = self.zero.load(Ordering::Acquire);
        (zero != UNSET).then_some(Nanos(zero))
    }
}
