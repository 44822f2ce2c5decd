//! The journal of a run that is watched, and of one that is over.

use super::{Done, TG, eventually, run};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// A place for a journal, gone with the test.
pub struct Journal {
    dir: tempfile::TempDir,
}

impl Journal {
    pub fn new() -> Journal {
        Journal { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("run.jsonl")
    }

    /// The option that puts a run's journal here.
    pub fn option(&self) -> String {
        format!("--output {}", self.path().display())
    }

    /// The whole lines so far.
    pub fn lines(&self) -> Vec<Value> {
        lines_of(&std::fs::read(self.path()).unwrap_or_default())
    }

    /// Waits until there are so many lines of a kind.
    pub fn awaits(&self, count: usize, kind: &str) {
        self.awaits_such(count, kind, |_| true);
    }

    /// Waits until there are so many lines of a kind that `is_it` accepts.
    pub fn awaits_such(&self, count: usize, kind: &str, is_it: impl Fn(&Value) -> bool) {
        eventually(format_args!("{count} lines `{kind}`"), || {
            let lines = self.lines();
            (lines.iter().filter(|l| l["kind"] == kind && is_it(l)).count() >= count).then_some(())
        });
    }

    /// Reports on it, with these options.
    pub fn report(&self, options: &str) -> Done {
        run(Command::new(TG).arg("report").arg(self.path()).args(options.split_whitespace()))
    }
}

/// A journal's whole lines.
pub fn lines_of(journal: &[u8]) -> Vec<Value> {
    let whole = journal.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    journal[..whole].split_inclusive(|b| *b == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// Where a journal's header ends, its newline not counted.
pub fn header_end(journal: &[u8]) -> usize {
    journal.iter().position(|b| *b == b'\n').unwrap()
}
