//! What the floors on io_uring share: the ring, set up as cheap as the kernel has it, and the buffers that
//! it receives into. Changes when there is a cheaper way to set them up.

use io_uring::types::{BufRingEntry, SubmitArgs, Timespec};
use io_uring::{CompletionQueue, IoUring, SubmissionQueue, Submitter, cqueue, squeue};
use std::alloc::{Layout, alloc_zeroed};
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU16, Ordering};

const SQ_ENTRIES: u32 = 4096;
/// A completion for each of 20 000 connections at once.
const CQ_ENTRIES: u32 = 32_768;
const BUFFERS: u16 = 1024;
const BUFFER_SIZE: usize = 2048;
/// The group of the provided buffers.
pub const GROUP: u16 = 0;

/// How long to stay in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Looks only.
    No,
    /// Until something completes.
    Any,
    /// The same, at most so many ns.
    AnyWithin(u64),
    /// So many ns, whatever completes meanwhile.
    Whole(u64),
}

/// A ring, there until the process ends.
pub struct Ring {
    submitter: Submitter<'static>,
    submission: SubmissionQueue<'static>,
    completion: CompletionQueue<'static>,
}

impl Ring {
    /// With its buffers registered.
    pub fn new() -> io::Result<(Ring, Buffers)> {
        let ring: IoUring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_cqsize(CQ_ENTRIES)
            .build(SQ_ENTRIES)
            .map_err(|e| io::Error::new(e.kind(), format!("setting io_uring up: {e}")))?;
        let (mut submitter, submission, completion) = Box::leak(Box::new(ring)).split();
        submitter.register_ring_fd()?;
        let buffers = Buffers::register(&submitter)?;
        Ok((Ring { submitter, submission, completion }, buffers))
    }

    /// Registers descriptors: fixed file i is `fds[i]`.
    pub fn register_files(&self, fds: &[RawFd]) -> io::Result<()> {
        self.submitter.register_files(fds)
    }

    /// Queues an operation.
    ///
    /// # Safety
    /// What it points to must neither move nor be freed before it has completed.
    pub unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        if self.submission.is_full() {
            self.submission.sync();
            self.submitter.submit()?;
            self.submission.sync();
        }
        // SAFETY: as the caller says.
        unsafe { self.submission.push(entry) }.map_err(io::Error::other)
    }

    /// Submits what there is, and waits.
    pub fn enter(&mut self, wait: Wait) -> io::Result<()> {
        self.submission.sync();
        let timed = |want, ns: u64| {
            let time = Timespec::new().sec(ns / 1_000_000_000).nsec((ns % 1_000_000_000) as u32);
            self.submitter.submit_with_args(want, &SubmitArgs::new().timespec(&time))
        };
        let outcome = match wait {
            // Deferred work is done in an enter only: the flag says when one pays.
            Wait::No if self.submission.is_empty() && !self.submission.taskrun() => Ok(0),
            Wait::No => self.submitter.submit(),
            Wait::Any => self.submitter.submit_and_wait(1),
            Wait::AnyWithin(ns) => timed(1, ns),
            Wait::Whole(ns) => timed(CQ_ENTRIES as usize, ns),
        };
        self.submission.sync();
        match outcome {
            Ok(_) => Ok(()),
            Err(e) if matches!(e.raw_os_error(), Some(libc::ETIME | libc::EINTR)) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// The next completion that is there.
    pub fn pop(&mut self) -> Option<cqueue::Entry> {
        if let Some(entry) = self.completion.next() {
            return Some(entry);
        }
        self.completion.sync();
        self.completion.next()
    }
}

/// The buffers that receives are given. Never freed: the process ends with the run.
pub struct Buffers {
    ring: *mut BufRingEntry,
    memory: *mut u8,
    tail: u16,
}

impl Buffers {
    fn register(submitter: &Submitter<'_>) -> io::Result<Buffers> {
        let count = usize::from(BUFFERS);
        let entries = allocate(count * size_of::<BufRingEntry>())?.cast::<BufRingEntry>();
        let mut buffers = Buffers { ring: entries, memory: allocate(count * BUFFER_SIZE)?, tail: 0 };
        // SAFETY: `entries` is page-aligned, as long as so many entries, and never freed.
        unsafe { submitter.register_buf_ring_with_flags(entries as u64, BUFFERS, GROUP, 0) }?;
        for id in 0..BUFFERS {
            buffers.give_back(id);
        }
        Ok(buffers)
    }

    /// Where a buffer lies.
    pub fn address(&self, id: u16) -> *const u8 {
        // SAFETY: the kernel gives numbers below BUFFERS only, and the memory has room for so many.
        unsafe { self.memory.add(usize::from(id % BUFFERS) * BUFFER_SIZE) }
    }

    /// The kernel may fill this buffer again.
    pub fn give_back(&mut self, id: u16) {
        let index = usize::from(self.tail % BUFFERS);
        // SAFETY: `index` is below the number of entries, which were allocated for just so many;
        // entries past the tail are not read by the kernel.
        unsafe {
            let entry = &mut *self.ring.add(index);
            entry.set_addr(self.address(id) as u64);
            entry.set_len(BUFFER_SIZE as u32);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail lies within the ring's first entry, aligned, and is written by this thread
        // only. Release: the kernel sees the entry before the tail.
        unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.ring).cast_mut()).store(self.tail, Ordering::Release) };
    }
}

fn allocate(bytes: usize) -> io::Result<*mut u8> {
    let layout = Layout::from_size_align(bytes, 4096).map_err(io::Error::other)?;
    // SAFETY: the size is not zero.
    let memory = unsafe { alloc_zeroed(layout) };
    if memory.is_null() { Err(io::ErrorKind::OutOfMemory.into()) } else { Ok(memory) }
}
