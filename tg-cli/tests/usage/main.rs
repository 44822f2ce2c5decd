//! What cannot be asked for: refused before anything is done, with what to do instead.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod arguments;
mod help;
mod limits;
mod predict;
mod sources;

#[path = "../faults_support/mod.rs"]
mod faults_support;
#[path = "../standin/mod.rs"]
mod standin;
#[path = "../../../tg-core/tests/support/mod.rs"]
mod support;

use std::process::ExitCode;
use support::Suite;

fn main() -> ExitCode {
    let mut suite = Suite::default();
    arguments::add(&mut suite);
    sources::add(&mut suite);
    limits::add(&mut suite);
    help::add(&mut suite);
    predict::add(&mut suite);
    suite.run()
}
