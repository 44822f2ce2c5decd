//! The observer beside real traffic: clients, a balancer by nftables and a pod, each in a network namespace of
//! its own. What it tells is held against the sockets' own errors and a capture.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod daemon;
mod endings;
mod flood;
mod namespaces;
mod network;
mod segments;

#[path = "../faults_support/mod.rs"]
mod faults_support;
#[path = "../../../tg-core/tests/support/mod.rs"]
mod support;

use std::process::ExitCode;
use support::Suite;

fn main() -> ExitCode {
    let mut suite = Suite::waiting(4);
    daemon::add(&mut suite);
    namespaces::add(&mut suite);
    endings::add(&mut suite);
    segments::add(&mut suite);
    flood::add(&mut suite);
    suite.run()
}
