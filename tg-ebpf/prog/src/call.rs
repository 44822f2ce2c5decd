//! Which call of a function a return belongs to. Changes when how that is told does.
//!
//! A call is told by where its return address is: that place is the call's own until it returns, whatever
//! interrupts it, and on whatever processor it goes on. A return whose begin was not seen finds nothing; a begin
//! whose return was not seen is overwritten, and counted, by the next at the same place.

use crate::record;
use aya_ebpf::bindings::pt_regs;
use aya_ebpf::maps::HashMap;

/// Keeps a value until the call returns.
#[inline(always)]
pub fn begin<V>(table: &HashMap<u64, V>, regs: *const pt_regs, value: &V, program: u32) {
    let call = at_entry(regs);
    if table.get_ptr(&call).is_some() {
        record::count(program, |s| s.missed += 1);
    }
    if table.insert(&call, value, 0).is_err() {
        record::count(program, |s| s.table_full += 1);
    }
}

/// A call, at the function's begin.
#[inline(always)]
fn at_entry(regs: *const pt_regs) -> u64 {
    // SAFETY: the context is valid while the program runs.
    unsafe { (*regs).rsp }
}

/// The same call, at its return: the address was taken from the stack by then.
#[inline(always)]
pub fn at_return(regs: *const pt_regs) -> u64 {
    // SAFETY: as above.
    unsafe { (*regs).rsp - 8 }
}
