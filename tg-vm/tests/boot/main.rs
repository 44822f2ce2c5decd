//! The binary, and what comes back from a guest. Changes when the promises to a command in the guest do.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod guest;
mod host;

#[path = "../../../tg-core/tests/support/mod.rs"]
mod support;

use std::process::{Command, ExitCode, Output};
use support::Suite;

fn main() -> ExitCode {
    // Each takes memory, and a processor of the host.
    let mut suite = Suite::waiting(1);
    host::add(&mut suite);
    guest::add(&mut suite);
    suite.run()
}

/// Runs tg-vm.
fn tg_vm(arguments: &[&str]) -> Told {
    Told::from(Command::new(env!("CARGO_BIN_EXE_tg-vm")).args(arguments).output().unwrap())
}

/// What a program said, and its exit code.
#[derive(Debug)]
struct Told {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Told {
    fn from(output: Output) -> Told {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Told { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}
