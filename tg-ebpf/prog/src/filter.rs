//! What is watched: maps that user space changes while the programs run. Changes when what is filtered by does.

use crate::{record, sieve};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap};
use tg_ebpf_common::{BACKEND, Endpoint, Ends};

/// Address and port, or address and port 0, to [`tg_ebpf_common::ASKED_FOR`] or [`tg_ebpf_common::BACKEND`].
#[map]
static WATCHED: HashMap<Endpoint, u32> = HashMap::with_max_entries(16384, 0);
/// Inodes of the namespaces asked for.
#[map]
static NAMESPACES: HashMap<u32, u32> = HashMap::with_max_entries(1024, 0);
/// Entry 0: how many namespaces were asked for; 0 is every one.
#[map]
static NAMESPACES_ASKED: Array<u32> = Array::with_max_entries(1, 0);

/// An address and port are watched: with its value.
#[inline(always)]
pub fn endpoint(address: [u8; 16], port: u16) -> Option<u32> {
    let mut key = Endpoint { address, port, pad: 0 };
    // SAFETY: the value is an integer that is only copied; the map has no other writer that frees it.
    if let Some(found) = unsafe { WATCHED.get(&key) } {
        return Some(*found);
    }
    key.port = 0;
    // SAFETY: as above.
    unsafe { WATCHED.get(&key) }.copied()
}

/// What is behind something that is watched is watched, too.
#[inline(always)]
pub fn join(program: u32, address: [u8; 16], port: u16) {
    if endpoint(address, port).is_some() {
        return;
    }
    match WATCHED.insert(&Endpoint { address, port, pad: 0 }, &BACKEND, 0) {
        Ok(()) => sieve::add(address, port),
        Err(_) => record::count(program, |s| s.table_full += 1),
    }
}

/// One of two ends is watched.
#[inline(always)]
pub fn ends(ends: &Ends) -> bool {
    endpoint(ends.src, ends.src_port).is_some() || endpoint(ends.dst, ends.dst_port).is_some()
}

/// A namespace is watched. One that is not known is: what it did is not hidden.
#[inline(always)]
pub fn namespace(inode: u32) -> bool {
    if inode == 0 || NAMESPACES_ASKED.get(0).is_none_or(|asked| *asked == 0) {
        return true;
    }
    // SAFETY: the value is not looked at.
    unsafe { NAMESPACES.get(&inode) }.is_some()
}
