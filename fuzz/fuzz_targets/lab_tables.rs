//! The kernel's tables of connections, as a lab reads them: each line counts once at most.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::SocketAddr;
use tg_lab::director::{ipvs, nft};

fuzz_target!(|text: &str| {
    let lines = text.lines().count();
    assert!(ipvs::held(text).len() <= lines);
    let counted: u64 = nft::connections(text, SocketAddr::from(([192, 0, 2, 1], 5003))).values().sum();
    assert!(counted <= lines as u64);
});
