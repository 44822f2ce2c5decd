//! Handing a record to user space, and counting those that could not be. Changes when that does.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{PerCpuArray, RingBuf};
use tg_ebpf_common::{Head, Stats, program};

#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 20, 0);
#[map]
static STATS: PerCpuArray<Stats> = PerCpuArray::with_max_entries(program::COUNT, 0);

/// A head of this kind, as of now.
#[inline(always)]
pub fn head(kind: u16) -> Head {
    // SAFETY: a helper without arguments.
    let at_ns = unsafe { bpf_ktime_get_ns() };
    Head { at_ns, netns_cookie: 0, netns_inode: 0, kind, flags: 0 }
}

/// Counts for a program.
#[inline(always)]
pub fn count(program: u32, what: impl FnOnce(&mut Stats)) {
    if let Some(stats) = STATS.get_ptr_mut(program) {
        // SAFETY: the map holds one for each processor. A program of the same list that interrupts this one
        // on its processor could lose a count of it; the programs that run in interrupts have lists of their own.
        what(unsafe { &mut *stats });
    }
}

/// Hands over a record, or counts it as lost.
#[inline(always)]
pub fn emit<T: Copy + 'static>(program: u32, record: &T) {
    match EVENTS.reserve::<T>(0) {
        Some(mut slot) => {
            slot.write(*record);
            slot.submit(0);
            count(program, |s| s.events += 1);
        }
        None => count(program, |s| s.ring_full += 1),
    }
}

/// As [`emit`], of a record whose size only its content tells.
#[inline(always)]
pub fn emit_bytes(program: u32, record: *const u8, size: usize) {
    // SAFETY: the callers give memory of a map, with at least so many bytes that were written; 8 is its
    // alignment.
    let bytes = unsafe { core::slice::from_raw_parts(record, size) };
    match EVENTS.output::<[u8]>(bytes, 0) {
        Ok(()) => count(program, |s| s.events += 1),
        Err(_) => count(program, |s| s.ring_full += 1),
    }
}
