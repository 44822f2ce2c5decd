//! `lab` with the kernel's own balancers: nftables in namespaces, IPVS in a guest. Changes when what such a lab
//! promises does.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bench;
mod ends;
mod guest;
mod lab_faults;
mod nft;

#[path = "../faults_support/mod.rs"]
mod faults_support;
#[path = "../../../tg-core/tests/support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::sync::{PoisonError, RwLock};
use support::Suite;

/// A lab's number is free when it has ended, and the next lab takes it: who looks for what is left of a number holds
/// this alone, the others hold it together.
static NUMBERS: RwLock<()> = RwLock::new(());

/// With other labs beside it.
fn together(body: fn()) -> impl FnOnce() + Send + 'static {
    move || {
        let _held = NUMBERS.read().unwrap_or_else(PoisonError::into_inner);
        body();
    }
}

/// With none beside it.
fn alone(body: fn()) -> impl FnOnce() + Send + 'static {
    move || {
        let _held = NUMBERS.write().unwrap_or_else(PoisonError::into_inner);
        body();
    }
}

fn main() -> ExitCode {
    // They wait more than they work, but each has an observer of the whole host.
    let mut suite = Suite::waiting(2);
    nft::add(&mut suite);
    ends::add(&mut suite);
    lab_faults::add(&mut suite);
    guest::add(&mut suite);
    suite.run()
}
