//! The queue of lines from the packet threads to the recorder: lock-free, and bounded by a count.

use crossbeam::queue::SegQueue;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tg_model::journal::Line;

/// Lines that may wait. The recorder empties the queue twice a second; at this length it has been
/// stopped, or its disk has.
const WAITING_MAX: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Lines {
    queue: SegQueue<Line>,
    waiting: AtomicUsize,
    lost: AtomicU64,
}

impl Lines {
    /// Adds a line; a full queue loses it, and counts that.
    pub fn push(&self, line: Line) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.queue.push(line);
    }

    /// Takes the oldest line.
    pub fn pop(&self) -> Option<Line> {
        let line = self.queue.pop()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(line)
    }

    /// Lines that were lost.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
