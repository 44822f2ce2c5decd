//! Which call of a function a return belongs to. Changes when how that is told does.
//!
//! A call is told by where its return address is: that place is the call's own until it returns, whatever
//! interrupts it, and on whatever processor it goes on. A return whose begin was not seen finds nothing; a begin
//! whose return was not seen is overwritten by the next at the same place.

use aya_ebpf::bindings::pt_regs;

/// A call, at the function's begin.
#[inline(always)]
pub fn at_entry(regs: *const pt_regs) -> u64 {
    // SAFETY: the context is valid while the program runs.
    unsafe { (*regs).rsp }
}

/// The same call, at its return: the address was taken from the stack by then.
#[inline(always)]
pub fn at_return(regs: *const pt_regs) -> u64 {
    // SAFETY: as above.
    unsafe { (*regs).rsp - 8 }
}
