//! What a newcomer would ask next. Changes when there is another thing to look at.

use super::page::Page;
use crate::span;
use std::path::Path;
use tg_model::summary::Summary;

/// Where a report's journal is.
#[derive(Clone, Copy, Debug)]
pub enum Kept<'a> {
    /// Nowhere any more.
    Not,
    /// In this file.
    At(&'a Path),
}

/// p99 lateness that a machine with time to spare does not have.
const LATE_NS: u64 = 1_000_000;

pub fn next(page: &mut Page, s: &Summary, kept: &Kept) {
    page.line("\nNext");
    if s.never_connected > 0 && s.established == 0 {
        page.wrapped("  ", "Nothing was connected to: `tg-cli serve` starts a server, --address says where one is.");
    }
    if s.lateness.p99_ns > LATE_NS + s.plan.batch_ns || s.packets.dropped.by.late > 0 {
        let late = span::show(s.lateness.p99_ns);
        page.wrapped("  ", &format!("This machine sent late (p99 {late}): `tg-cli doctor` says what to change."));
    }
    match kept {
        Kept::Not => {
            page.line("  run … --output run.jsonl           keep the journal, for these:");
            commands(page, "run.jsonl");
        }
        Kept::At(path) if path.as_os_str() == "-" => {}
        Kept::At(path) => commands(page, &quoted(&path.to_string_lossy())),
    }
}

fn commands(page: &mut Page, file: &str) {
    page.wrapped("  ", &format!("tg-cli report {file} --analyze connections    second by second"));
    page.wrapped("  ", &format!("tg-cli report {file} --format json            every figure"));
}

/// As a shell takes it.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,".contains(c);
    if !path.is_empty() && path.chars().all(plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_as_a_shell_takes_them() {
        assert_eq!(quoted("/tmp/run-1.jsonl"), "/tmp/run-1.jsonl");
        assert_eq!(quoted("my run"), "'my run'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
