//! A process from its start to its end, and what came of it.

use super::{eventually, shell};
use serde_json::Value;
use std::fs;
use std::io::{PipeWriter, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A process under way. Dropping it kills it.
pub struct Running {
    child: Child,
    command: String,
    stdout: Collected,
    stderr: Collected,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Done {
    command: String,
    status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// Starts it; its input is empty, what it writes is collected. See [`start_with`] to have it elsewhere.
pub fn start(command: &mut Command) -> Running {
    start_with(command, Stdio::piped(), Stdio::piped())
}

/// Starts it with other places for what it writes.
pub fn start_with(command: &mut Command, stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Running {
    let spawned = command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn();
    let mut child = spawned.unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let (stdout, stderr) = (Collected::of(child.stdout.take()), Collected::of(child.stderr.take()));
    Running { child, command: format!("{command:?}"), stdout, stderr }
}

/// Runs it to its end.
pub fn run(command: &mut Command) -> Done {
    start(command).end()
}

/// As [`run`], with other places for what it writes.
pub fn run_with(command: &mut Command, stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Done {
    start_with(command, stdout, stderr).end()
}

/// A pipe to write to whose reader has left.
pub fn closed_pipe() -> PipeWriter {
    std::io::pipe().unwrap().1
}

impl Running {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has said this on stderr; what comes after it on the line.
    pub fn says(&self, words: &str) -> String {
        eventually(format_args!("{} says `{words}`", self.command), || {
            let said = self.said();
            let line = said.split_inclusive('\n').filter(|l| l.ends_with('\n')).find_map(|l| l.split_once(words))?;
            Some(line.1.trim_end().to_owned())
        })
    }

    /// Waits until a run with `--monitor` watches itself: from then on a signal ends it in order.
    pub fn is_watched(&self) {
        self.says("Active Connecting");
    }

    /// Its stderr so far.
    pub fn said(&self) -> String {
        self.stderr.text()
    }

    /// Its stdout so far.
    pub fn printed(&self) -> String {
        self.stdout.text()
    }

    pub fn signal(&self, name: &str) {
        shell(&format!("kill -{name} {}", self.id()));
    }

    /// Stops it as ^Z does, and waits until all of its threads stand still.
    pub fn stand_still(&self) {
        self.signal("STOP");
        eventually("all threads stand still", || {
            let tasks = fs::read_dir(format!("/proc/{}/task", self.id())).ok()?;
            let stopped = |stat: String| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'));
            let mut states = tasks.map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
            states.all(|stat| stat.is_some_and(stopped)).then_some(())
        });
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub fn end(mut self) -> Done {
        let what = format!("{} ends; it said: {}", self.command, self.stderr.text());
        let status = eventually(what, || self.child.try_wait().unwrap());
        let command = std::mem::take(&mut self.command);
        Done { command, status, stdout: self.stdout.all(), stderr: self.stderr.all() }
    }

    /// Kills it.
    pub fn kill(mut self) -> Done {
        self.child.kill().unwrap();
        self.end()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended where the test passed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Done {
    /// It ended by itself, with this exit code, and without a panic of any of its threads.
    #[track_caller]
    pub fn exits(self, code: i32) -> Done {
        assert_eq!(self.status.code(), Some(code), "{self}");
        self.sound()
    }

    /// It was killed.
    #[track_caller]
    pub fn was_killed(self) -> Done {
        assert_eq!(self.status.signal(), Some(libc::SIGKILL), "{self}");
        self.sound()
    }

    #[track_caller]
    fn sound(self) -> Done {
        assert!(!self.stderr.contains("panicked") && !self.stdout.contains("panicked"), "{self}");
        self
    }

    /// Its stderr has each of these words.
    #[track_caller]
    pub fn tells(self, words: &[&str]) -> Done {
        for word in words {
            assert!(self.stderr.contains(word), "no `{word}` in the stderr of {self}");
        }
        self
    }

    /// Its stderr has none of these words.
    #[track_caller]
    pub fn keeps_from(self, words: &[&str]) -> Done {
        for word in words {
            assert!(!self.stderr.contains(word), "`{word}` in the stderr of {self}");
        }
        self
    }

    /// Its stdout has each of these words.
    #[track_caller]
    pub fn prints(self, words: &[&str]) -> Done {
        for word in words {
            assert!(self.stdout.contains(word), "no `{word}` in the stdout of {self}");
        }
        self
    }

    /// Its stdout is empty.
    #[track_caller]
    pub fn prints_nothing(self) -> Done {
        assert_eq!(self.stdout, "", "{self}");
        self
    }

    /// Its stdout is one JSON object.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self}"))
    }

    /// As [`Done::json`], of a run's or a journal's report, whose numbers have to add up.
    #[track_caller]
    pub fn report(&self) -> Value {
        let json = self.json();
        assert_eq!(json["accounting"]["violations"], Value::Array(Vec::new()), "{self}");
        assert_eq!(json["accounting"]["ok"], true, "{self}");
        json
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}\n-- stdout\n{}\n-- stderr\n{}", self.command, self.status, self.stdout, self.stderr)
    }
}

/// What comes out of a pipe, taken by a thread so that nobody waits for it.
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Collected {
    fn of(source: Option<impl Read + Send + 'static>) -> Collected {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let thread = source.map(|mut source| {
            let bytes = Arc::clone(&bytes);
            std::thread::spawn(move || {
                let mut piece = [0; 65536];
                while let Ok(n @ 1..) = source.read(&mut piece) {
                    bytes.lock().unwrap().extend_from_slice(&piece[..n]);
                }
            })
        });
        Collected { bytes, thread }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    fn all(&mut self) -> String {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.text()
    }
}
