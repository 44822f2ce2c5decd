//! `lab` with the kernel's own balancers: nftables in namespaces, IPVS in a guest. Changes when what such a lab
//! promises does.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bench;
mod ends;
mod guest;
mod lab_faults;
mod nft;
mod node_loss;

#[path = "../faults_support/mod.rs"]
mod faults_support;
#[path = "../../../tg-core/tests/support/mod.rs"]
mod support;

use std::process::ExitCode;
use support::Suite;

fn main() -> ExitCode {
    // They wait more than they work, but each has an observer of the whole host.
    let mut suite = Suite::waiting(2);
    nft::add(&mut suite);
    ends::add(&mut suite);
    lab_faults::add(&mut suite);
    node_loss::add(&mut suite);
    guest::add(&mut suite);
    suite.run()
}
