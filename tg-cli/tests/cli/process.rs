//! tg-cli as a process. Changes when what a test can do to a process, or learn from it, does.

use super::{STUCK, until};
use rustix::process::{Pid, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

pub use rustix::process::Signal;

/// A running process. Dropping it kills it.
pub struct Process {
    child: Child,
    command: String,
    said: Arc<Said>,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<()>>,
}

/// What came on stderr so far.
#[derive(Default)]
struct Said {
    state: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    over: bool,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Finished {
    command: String,
    /// Of the process; negative: the signal that ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: Vec<String>,
}

impl Process {
    pub fn start(args: &[&str]) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tg-cli"))
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let said = Arc::new(Said::default());
        let listener = Arc::clone(&said);
        let read = move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).unwrap();
            bytes
        };
        Process {
            child,
            command: args.join(" "),
            said,
            stdout: Some(thread::spawn(read)),
            stderr: Some(thread::spawn(move || listener.listen(stderr))),
        }
    }

    pub fn signal(&self, signal: Signal) {
        // Its number is its own until it is waited for.
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The first line of stderr of that kind, once there is one.
    pub fn wait_for_line(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.wait_for_lines(1, wanted).remove(0)
    }

    /// The lines of stderr of that kind, once there are so many.
    pub fn wait_for_lines(&self, many: usize, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let found = |state: &Lines| state.lines.iter().filter(|l| wanted(l)).cloned().collect::<Vec<_>>();
        let waits = |state: &mut Lines| !state.over && found(state).len() < many;
        let state = self.said.state.lock().unwrap();
        let (state, _) = self.said.changed.wait_timeout_while(state, STUCK, waits).unwrap();
        let found = found(&state);
        assert!(found.len() >= many, "`{}` did not say what was awaited: {:#?}", self.command, state.lines);
        found
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Finished {
        let status = until(&format!("the end of `{}`", self.command), || self.child.try_wait().unwrap());
        let stdout = self.stdout.take().unwrap().join().unwrap();
        self.stderr.take().unwrap().join().unwrap();
        Finished {
            command: self.command.clone(),
            code: status.code().or(status.signal().map(|signal| -signal)).unwrap(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: std::mem::take(&mut self.said.state.lock().unwrap().lines),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Said {
    fn listen(&self, stderr: ChildStderr) {
        for line in BufReader::new(stderr).lines() {
            self.state.lock().unwrap().lines.push(line.unwrap());
            self.changed.notify_all();
        }
        self.state.lock().unwrap().over = true;
        self.changed.notify_all();
    }
}

impl Finished {
    /// Asserts the exit code.
    pub fn with(self, code: i32) -> Finished {
        assert_eq!(self.code, code, "`{}`: {:#?}\n{}", self.command, self.stderr, self.stdout);
        self
    }

    /// What it printed, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: `{}`: {self:#?}", self.command))
    }
}

/// Runs one that ends by itself, in good order.
pub fn tg(args: &[&str]) -> Finished {
    Process::start(args).finish().with(0)
}
