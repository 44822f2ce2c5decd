//! What befalls a run, a server or the machine while it goes on: it is told with its reason, nothing that
//! was recorded is lost, and no thread panics.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod deaths;
mod network;
mod output;
mod ring;
mod servers;
mod stops;

#[path = "../faults_support/mod.rs"]
mod faults_support;
#[path = "../standin/mod.rs"]
mod standin;
#[path = "../../../tg-core/tests/support/mod.rs"]
mod support;

use std::process::ExitCode;
use support::{Capability, Suite};

/// The engines, and what each needs.
const ENGINES: [(&str, &[Capability]); 2] = [("epoll", &[]), ("uring", &[Capability::Uring])];

fn main() -> ExitCode {
    let mut suite = Suite::default();
    servers::add(&mut suite);
    ring::add(&mut suite);
    network::add(&mut suite);
    output::add(&mut suite);
    stops::add(&mut suite);
    deaths::add(&mut suite);
    suite.run()
}
