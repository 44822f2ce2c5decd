//! The receive buffers: a ring of them shared with the kernel, which takes one for each piece of data
//! that comes; we give it back when its bytes have been read. Changes when that protocol does.

use super::config::Sizes;
use super::error::UringError;
use super::ring::Ring;
use io_uring::cqueue;
use io_uring::types::BufRingEntry;
use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU16, Ordering};

/// The number of the one group of buffers.
pub(super) const GROUP: u16 = 0;

/// A buffer that the kernel has filled, and that is ours until given back.
#[derive(Debug)]
pub(super) struct Filled {
    id: u16,
    len: u32,
}

/// The buffers, and the ring in which they are handed to the kernel.
pub(super) struct Buffers {
    /// The ring's entries from the start, then the buffers from `first` on.
    memory: Map,
    first: usize,
    count: u16,
    size: usize,
    tail: u16,
}

impl Buffers {
    /// Makes the buffers and registers them.
    pub fn register(ring: &Ring, sizes: Sizes) -> Result<Buffers, UringError> {
        let count = usize::from(sizes.buffers);
        let first = (count * size_of::<BufRingEntry>()).next_multiple_of(4096);
        let memory = Map::new(first + count * sizes.buffer).map_err(UringError::at("memory for buffers"))?;
        let mut buffers = Buffers { memory, first, count: sizes.buffers, size: sizes.buffer, tail: 0 };
        let address = buffers.memory.start.as_ptr() as u64;
        // SAFETY: the address is of a mapping of its own (so page-aligned) that holds `count` entries. It
        // is unmapped only with `Buffers`, which the engine drops after the ring.
        unsafe { ring.submitter().register_buf_ring_with_flags(address, sizes.buffers, GROUP, 0) }
            .map_err(UringError::at("register a buffer ring"))?;
        (0..sizes.buffers).for_each(|id| buffers.put(id));
        Ok(buffers)
    }

    /// The buffer that a completion brought, if any. To be called once for each completion.
    pub fn filled_by(&self, completion: &cqueue::Entry) -> Option<Filled> {
        let id = cqueue::buffer_select(completion.flags())?;
        let len = completion.result().max(0) as u32;
        (id < self.count && len as usize <= self.size).then_some(Filled { id, len })
    }

    /// The bytes that came.
    pub fn bytes(&self, filled: &Filled) -> &[u8] {
        let at = self.first + usize::from(filled.id) * self.size;
        // SAFETY: `filled` vouches for id and length, so this lies within the mapping; the kernel writes
        // to no buffer that it has handed out, until `give_back`, which consumes the `Filled`.
        unsafe { std::slice::from_raw_parts(self.memory.start.as_ptr().add(at), filled.len as usize) }
    }

    /// Lets the kernel fill the buffer again.
    pub fn give_back(&mut self, filled: Filled) {
        self.put(filled.id);
    }

    fn put(&mut self, id: u16) {
        let entries = self.memory.start.as_ptr().cast::<BufRingEntry>();
        // SAFETY: the index is below `count` (a power of two), so the entry lies within the mapping, and
        // the address within the buffers. The kernel reads no entry at or past the tail, so this one is
        // ours. Only the three fields are written: the first entry's fourth is the tail.
        unsafe {
            let entry = &mut *entries.add(usize::from(self.tail & (self.count - 1)));
            entry.set_addr(self.memory.start.as_ptr().add(self.first + usize::from(id) * self.size) as u64);
            entry.set_len(self.size as u32);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: `tail` gives the address of a u16 in the first entry, which is mapped and aligned; the
        // kernel reads it concurrently, hence the atomic.
        let tail = unsafe { &*BufRingEntry::tail(entries).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }

    /// Never unmaps the memory: for when the kernel may still write to it.
    pub fn leak(&mut self) {
        self.memory.len = 0;
    }
}

/// Anonymous memory of whole pages, zeroed, resident only where touched.
struct Map {
    start: NonNull<u8>,
    /// 0: leave it mapped.
    len: usize,
}

impl Map {
    fn new(len: usize) -> io::Result<Map> {
        // SAFETY: a new private mapping at an address of the kernel's choice touches nothing of ours.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        Ok(Map { start, len })
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: exactly what was mapped; slices of it borrow from its owner, so none is left.
            unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
        }
    }
}
