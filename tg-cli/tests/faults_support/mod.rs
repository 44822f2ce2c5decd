//! The binary as a process that a test starts, watches, disturbs and judges. Changes when what a test can
//! do to it does.

#![allow(dead_code, reason = "each test binary uses a part of it")]

mod journal;
mod process;

#[allow(unused_imports, reason = "each test binary uses a part of it")]
pub use self::{journal::*, process::*};

use std::process::Command;
use std::time::{Duration, Instant};

/// Nothing that a test waits for takes this long: it would be stuck.
pub const STUCK: Duration = Duration::from_secs(90);

/// The binary.
pub const TG: &str = env!("CARGO_BIN_EXE_tg-cli");

/// The binary with the words of `line` for arguments.
pub fn tg(line: &str) -> Command {
    through(&[], line)
}

/// As [`tg`], started by another command, which has to end in its place: `unshare -n`, say.
pub fn through(wrapper: &[&str], line: &str) -> Command {
    let mut words = wrapper.iter().copied().chain([TG]).chain(line.split_whitespace());
    let mut command = Command::new(words.next().unwrap());
    // A terminal's width must not depend on who runs the tests.
    command.args(words).env("COLUMNS", "80");
    command
}

/// As [`tg`], started by a shell after `script`, which has to succeed.
pub fn after(script: &str, line: &str) -> Command {
    let script = format!("{script} && exec \"$@\"");
    through(&["sh", "-c", &script, "sh"], line)
}

/// Looks until `look` finds something. For what gives no sign of its own: a file that grows, a state of a
/// process.
pub fn eventually<T>(what: impl std::fmt::Display, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < STUCK, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a shell's command line that a test needs.
pub fn shell(line: &str) {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}
