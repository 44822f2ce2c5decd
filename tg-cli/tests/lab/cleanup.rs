//! What a lab leaves behind: nothing.

use crate::cli::process::Signal;
use crate::cli::until;
use crate::{start, table, words};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Processes whose command line has this in it.
fn processes(part: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
        let Ok(line) = fs::read(entry.path().join("cmdline")) else { continue };
        if String::from_utf8_lossy(&line).replace('\0', " ").contains(part) {
            found.push(pid);
        }
    }
    found
}

/// Pods of the lab with that process number.
fn pods_of(lab: u32) -> Vec<u32> {
    processes(&format!("--with-parent {lab} "))
}

/// A lab in a place of its own for temporary files.
struct Lab {
    child: std::process::Child,
    temporary: TempDir,
}

impl Lab {
    fn start(temporary: TempDir, more: &[&str]) -> Lab {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tg-cli"));
        command.args(words(more)).env("TMPDIR", temporary.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        Lab { child, temporary }
    }

    fn pods(&self) -> Vec<u32> {
        pods_of(self.child.id())
    }

    fn wait_for_pods(&self) -> Vec<u32> {
        until("four pods", || Some(self.pods()).filter(|pods| pods.len() >= 4))
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit code, its stdout, and what it left.
    fn end(self) -> (Option<i32>, String, Vec<PathBuf>) {
        let pid = self.child.id();
        let done = self.child.wait_with_output().unwrap();
        until("the pods' end", || pods_of(pid).is_empty().then_some(()));
        let left = fs::read_dir(self.temporary.path()).unwrap().map(|e| e.unwrap().path()).collect();
        (done.status.code(), String::from_utf8(done.stdout).unwrap(), left)
    }
}

pub fn after_success() {
    let lab = Lab::start(tempfile::tempdir().unwrap(), &["--scheduler", "lc"]);
    assert!(lab.wait_for_pods().len() >= 4);
    let (code, _, left) = lab.end();
    assert_eq!((code, left), (Some(0), vec![]));
}

pub fn after_signal() {
    for signal in [Signal::INT, Signal::TERM] {
        let lab = Lab::start(tempfile::tempdir().unwrap(), &["--settle", "1h"]);
        lab.wait_for_pods();
        until("its journal", || {
            let mut folders = fs::read_dir(lab.temporary.path()).unwrap().flatten();
            // Some bytes of it: connections are there.
            folders.any(|f| fs::metadata(f.path().join("run.jsonl")).is_ok_and(|m| m.len() > 0)).then_some(())
        });
        lab.signal(signal);
        let (code, stdout, left) = lab.end();
        assert_eq!((code, left), (Some(1), vec![]), "{stdout}");
        assert_eq!(table(&stdout, "Lost").0, 0);
    }
}

pub fn after_kill() {
    let lab = Lab::start(tempfile::tempdir().unwrap(), &["--settle", "1h", "--fault", "pod-freeze@1ms"]);
    let pods = lab.wait_for_pods();
    until("a pod that stands still", || {
        let stopped = |pid: &u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
        };
        pods.iter().any(stopped).then_some(())
    });
    lab.signal(Signal::KILL);
    let pid = lab.child.id();
    let Lab { mut child, temporary } = lab;
    child.wait().unwrap();
    until("the pods' end", || pods_of(pid).is_empty().then_some(()));
    let left = || fs::read_dir(temporary.path()).unwrap().count();
    assert_eq!(left(), 1, "its folder: nobody was there to remove it");
    let path = temporary.path().to_owned();
    let next = Lab::start(temporary, &["--scheduler", "lc"]);
    let (code, _, left) = next.end();
    assert_eq!((code, left), (Some(0), vec![]));
    assert!(!path.exists());
}

pub fn beside_each_other() {
    let labs: Vec<_> = (0..2).map(|_| start(&["--scheduler", "lc"])).collect();
    for lab in labs {
        let done = lab.finish().with(0);
        assert_eq!((table(&done.stdout, "Lost").0, table(&done.stdout, "Lasting").0), (16, 16), "{}", done.stdout);
    }
}
