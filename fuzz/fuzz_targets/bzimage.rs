//! Kernel images: what comes out is an ELF file, exactly as long as the image said.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tg_vm::bzimage::{kernel, payload};

fuzz_target!(|data: &[u8]| {
    let promised = payload(data).map(|payload| payload.length);
    if let Ok(kernel) = kernel(data) {
        assert!(kernel.starts_with(b"\x7fELF"));
        assert_eq!(promised.expect("a kernel came out"), kernel.len() as u64);
    }
});
