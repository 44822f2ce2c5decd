//! The ring: making it with the flags that the engine relies on, queueing, entering, reaping. Changes
//! when those flags or the way into the kernel do.
//!
//! With deferred task work (6.1) the kernel completes nothing behind our back: completions are posted
//! when this thread enters the ring, and the TASKRUN flag says that there are some to post.

use super::config::Sizes;
use super::error::UringError;
use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{IoUring, Submitter, cqueue, squeue};
use std::io;
use std::ptr::NonNull;
use tg_model::time::Nanos;

/// Longest sleep in one go: well below where a span added to the kernel's clock would overflow.
const SLEEP_MAX: Nanos = Nanos::from_secs(1000);

/// How long to stay in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stay {
    /// Not asleep.
    No,
    /// Asleep until there is a completion, at most so long.
    Until(Nanos),
    /// Asleep so long, whatever completes.
    Through(Nanos),
}

/// A ring, for the thread that made it. It may not go to another one (SINGLE_ISSUER); the pointer in it
/// sees to that.
pub(super) struct Ring {
    /// Knows the registered descriptor. Points into `ring`, so it goes first.
    submitter: Submitter<'static>,
    ring: Pinned,
    pushed: u64,
}

impl Ring {
    pub fn new(sizes: Sizes) -> Result<Ring, UringError> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(sizes.cq)
            .build(sizes.sq)
            .map_err(UringError::at("setup"))?;
        let has = ring.params();
        for (there, name) in [
            (has.is_feature_nodrop(), "NODROP"),
            (has.is_feature_submit_stable(), "SUBMIT_STABLE"),
            (has.is_feature_ext_arg(), "EXT_ARG"),
            (has.is_feature_fast_poll(), "FAST_POLL"),
            (has.is_feature_skip_cqe_on_success(), "CQE_SKIP"),
        ] {
            if !there {
                return Err(UringError::Lacks(name));
            }
        }
        let ring = Pinned(NonNull::from(Box::leak(Box::new(ring))));
        // SAFETY: the ring does not move and lives as long as `Pinned`, which `Ring` drops after
        // `submitter` and never replaces.
        let mut submitter = unsafe { ring.0.as_ref() }.submitter();
        // Spares the look-up of the descriptor on each enter. A thread has 16 places; without one the
        // plain descriptor serves.
        let _ = submitter.register_ring_fd();
        Ok(Ring { submitter, ring, pushed: 0 })
    }

    /// For registering buffers.
    pub fn submitter(&self) -> &Submitter<'static> {
        &self.submitter
    }

    /// Operations ever queued: the place of the last one.
    pub fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Operations that the kernel has taken: the place of the last one.
    pub fn taken(&self) -> u64 {
        // SAFETY: no other view of the queue exists: each lives within one function of this file.
        self.pushed - unsafe { self.ring.get().submission_shared() }.len() as u64
    }

    /// Operations are queued that the kernel has not taken.
    pub fn has_queued(&self) -> bool {
        self.taken() < self.pushed
    }

    /// Queues an operation; false where the queue is full.
    ///
    /// # Safety
    /// Memory that `entry` points to stays valid, and is not written, until the operation's completion
    /// has been taken.
    pub unsafe fn push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: the only view of the queue, as above; the caller vouches for the entry.
        let done = unsafe { self.ring.get().submission_shared().push(entry) }.is_ok();
        self.pushed += u64::from(done);
        done
    }

    /// Something waits for this thread to enter: queued operations, or completions to be posted.
    pub fn has_work(&self) -> bool {
        // SAFETY: the only view of the queue, as above.
        let queue = unsafe { self.ring.get().submission_shared() };
        !queue.is_empty() || queue.taskrun() || queue.cq_overflow()
    }

    /// The kernel holds completions for which the queue had no room.
    pub fn has_overflown(&self) -> bool {
        // SAFETY: the only view of the queue, as above.
        unsafe { self.ring.get().submission_shared() }.cq_overflow()
    }

    /// Takes a completion.
    pub fn pop(&mut self) -> Option<cqueue::Entry> {
        // SAFETY: the only view of the completion queue: it lives within this function.
        unsafe { self.ring.get().completion_shared() }.next()
    }

    /// Hands over what is queued, has waiting completions posted, and sleeps as told. What the kernel is
    /// too short of memory to take stays queued.
    pub fn enter(&mut self, stay: Stay) -> io::Result<()> {
        let timed = |completions: usize, span: Nanos| {
            let span = span.min(SLEEP_MAX).0;
            let span = Timespec::new().sec(span / 1_000_000_000).nsec((span % 1_000_000_000) as u32);
            self.submitter.submit_with_args(completions, &SubmitArgs::new().timespec(&span))
        };
        let entered = match stay {
            Stay::No => self.submitter.submit(),
            Stay::Until(span) => timed(1, span),
            // The kernel takes the queue's size for more than that (as a signed number).
            Stay::Through(span) => timed(i32::MAX as usize, span),
        };
        match entered {
            Ok(_) => Ok(()),
            Err(e) if matches!(e.raw_os_error(), Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY)) => {
                Ok(())
            }
            Err(e) => Err(e),
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // The registration is a reference of its own: without this the ring would live on with the thread.
        let _ = self.submitter.unregister_ring_fd();
    }
}

/// Owns a ring at a fixed address. A plain box may not be pointed into while it moves.
struct Pinned(NonNull<IoUring>);

impl Pinned {
    fn get(&self) -> &IoUring {
        // SAFETY: made from a box, freed only by `drop`, and never borrowed mutably.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: the pointer comes from `Box::leak` and is freed once, here.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
