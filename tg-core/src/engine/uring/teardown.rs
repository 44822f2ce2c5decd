//! The end of an engine: the kernel gives back the memory of operations under way, or it is never
//! freed. Changes when what operations point to does.

use super::UringEngine;
use super::ring::Stay;
use crate::sys::clock;
use io_uring::opcode::AsyncCancel2;
use io_uring::types::CancelBuilder;
use std::mem;
use tg_model::time::Nanos;

/// How long cancelled operations may take. They need a few microseconds.
const PATIENCE: Nanos = Nanos::from_secs(2);

impl Drop for UringEngine {
    fn drop(&mut self) {
        // What is sent whole has no completion to wait for.
        self.flush();
        self.staged.clear();
        self.drain();
        let deadline = clock::monotonic() + PATIENCE;
        let mut cancelled = false;
        while self.outstanding > 0 && clock::monotonic() < deadline {
            if !cancelled {
                // SAFETY: it points to no memory.
                cancelled = unsafe { self.ring.push(&AsyncCancel2::new(CancelBuilder::any()).build()) };
                self.outstanding += usize::from(cancelled);
            }
            let stay = if cancelled { Stay::Until(deadline.since(clock::monotonic())) } else { Stay::No };
            if self.ring.enter(stay).is_err() {
                break;
            }
            while let Some(entry) = self.ring.pop() {
                self.outstanding -= usize::from(!io_uring::cqueue::more(entry.flags()));
            }
        }
        if self.outstanding > 0 {
            // The kernel may still read or write: this memory must not become anybody else's.
            self.buffers.leak();
            self.sockets.leak();
            mem::forget(self.payload.clone());
        }
    }
}
