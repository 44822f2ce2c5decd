//! The observer beside real IPVS and a full conntrack table, in virtual machines with Debian's kernels: this binary
//! boots each, and runs itself in it. In the guest: namespaces, `ipvsadm`, traffic; what is told is held against
//! `ipvsadm`, the sockets, `conntrack` and the kernel's counters. One boot does all of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod bed;
mod changes;
mod decisions;
mod filters;
mod full;
mod host;

#[path = "../observe/endings.rs"]
mod endings;
#[path = "../faults_support/mod.rs"]
mod faults_support;
#[path = "../observe/network.rs"]
#[allow(dead_code, reason = "the guest's tests use a part of it")]
mod network;
#[path = "../../../tg-core/tests/support/mod.rs"]
mod support;

use std::process::ExitCode;
use support::Suite;

/// Set in the guest.
const GUEST: &str = "TG_GUEST";

fn main() -> ExitCode {
    if std::env::var_os(GUEST).is_none() {
        // A processor each.
        let mut suite = Suite::waiting(2);
        host::add(&mut suite);
        return suite.run();
    }
    // In this order, with one observer for most of it.
    let mut suite = Suite::waiting(1);
    changes::before(&mut suite);
    decisions::add(&mut suite);
    changes::of_before(&mut suite);
    filters::add(&mut suite);
    changes::add(&mut suite);
    endings::in_a_guest(&mut suite);
    full::add(&mut suite);
    suite.run()
}
