//! A lab's network in the kernel: what it reaches, how it balances, and that nothing of it stays. Changes when
//! what a lab asks of its network does.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests of IO")]

#[path = "../../../tg-core/tests/support/mod.rs"]
mod support;

mod balance;
mod guest;
mod reach;
mod remains;

use std::process::ExitCode;
use support::Suite;

fn main() -> ExitCode {
    if let Some(code) = remains::as_child() {
        return code;
    }
    let mut suite = Suite::waiting(2);
    balance::add(&mut suite);
    guest::add(&mut suite);
    reach::add(&mut suite);
    remains::add(&mut suite);
    suite.run()
}
