//! The observer's programs in the kernel. Changes when a program is added.
//!
//! Each only records what happened; what it means is found out by its reader. Facts of the kernel that a
//! program relies on are named beside it.

#![no_std]
#![no_main]
// The target has no compare-and-swap, so core's atomics have no addition there; the kernel has it.
#![feature(core_intrinsics)]
#![allow(internal_features)]

mod call;
mod conntrack;
mod fields;
mod filter;
mod ipvs;
mod read;
mod record;
mod segments;
mod tcp;
mod track;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

// Tracing programs may call helpers that are GPL only (bpf_probe_read_kernel): the kernel wants the word.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
