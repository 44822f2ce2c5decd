//! A pod's process: started, heard, signalled, and never left behind. Changes when how that is done does.

use super::error::LabError;
use super::ground::PodHome;
use mio::unix::pipe::Receiver;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// Lines of a server that are kept, for when it fails.
const KEPT: usize = 8;
/// A line of a server that is longer is cut.
const LINE_MAX: usize = 4096;

/// What to start.
#[derive(Clone, Copy, Debug)]
pub struct Server<'a> {
    /// `tg-cli`.
    pub program: &'a Path,
    /// The pod's name.
    pub name: &'a str,
    /// Its UID.
    pub uid: &'a str,
    /// Its node.
    pub node: &'a str,
    /// Answers datagrams.
    pub udp: bool,
    /// Where it lives.
    pub home: &'a PodHome,
}

/// A running `tg-cli serve`. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    heard: Receiver,
    partial: Vec<u8>,
    last: VecDeque<String>,
}

/// What a process said, or that it ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    /// It listens now.
    pub listens: bool,
    /// It has ended.
    pub ended: bool,
}

impl Process {
    /// Starts it. It ends with this process, however that ends (`--with-parent`).
    ///
    /// # Errors
    /// The system refused.
    pub fn start(server: &Server<'_>) -> Result<Process, LabError> {
        let mut words: VecDeque<OsString> = server.home.prefix.iter().cloned().collect();
        words.push_back(server.program.into());
        words.extend(["serve", "--name", server.name, "--with-parent"].map(OsString::from));
        words.push_back(std::process::id().to_string().into());
        words.push_back("--listen".into());
        words.extend(server.home.listen.iter().map(|a| a.to_string().into()));
        words.extend(server.udp.then(|| "--udp".into()));
        let program = words.pop_front().unwrap_or_default();
        let child = Command::new(&program)
            .args(&words)
            .envs([("POD_NAME", server.name), ("POD_UID", server.uid), ("NODE_NAME", server.node)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A terminal's Ctrl-C is for the lab, which ends its pods in its own way.
            .process_group(0)
            .spawn();
        let what = || format!("starting {} as pod {}", program.display(), server.name);
        let mut child = child.map_err(LabError::io(what()))?;
        let Some(stderr) = child.stderr.take() else {
            return Err(LabError::Failed(format!("{}: its stderr is missing", what())));
        };
        let heard = Receiver::from(stderr);
        let process = Process { child, heard, partial: Vec::new(), last: VecDeque::new() };
        process.heard.set_nonblocking(true).map_err(LabError::io(what()))?;
        Ok(process)
    }

    /// What it is heard by.
    pub fn heard(&mut self) -> &mut Receiver {
        &mut self.heard
    }

    /// Takes in what it said since.
    pub fn news(&mut self) -> News {
        let mut news = News::default();
        let mut buffer = [0; 1024];
        loop {
            match self.heard.read(&mut buffer) {
                Ok(0) => {
                    news.ended = true;
                    return news;
                }
                Ok(n) => news.listens |= self.take(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return news,
                Err(_) => {
                    news.ended = true;
                    return news;
                }
            }
        }
    }

    /// Whether the line that tells of its listening is among what came.
    fn take(&mut self, bytes: &[u8]) -> bool {
        let mut listens = false;
        for byte in bytes {
            if *byte != b'\n' {
                if self.partial.len() < LINE_MAX {
                    self.partial.push(*byte);
                }
                continue;
            }
            let line = String::from_utf8_lossy(&std::mem::take(&mut self.partial)).into_owned();
            listens |= line.contains(" listens on ");
            if self.last.len() == KEPT {
                self.last.pop_front();
            }
            self.last.push_back(line);
        }
        listens
    }

    /// The last that it said.
    pub fn said(&self) -> String {
        self.last.iter().cloned().collect::<Vec<_>>().join("; ")
    }

    /// Sends a signal; one that has ended gets none.
    pub fn signal(&self, signal: Signal) {
        // It is not reaped before it is dropped or waited for: the number is still its own.
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// How it ended; waits for it.
    pub fn wait(mut self) -> Option<ExitStatus> {
        self.child.wait().ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Neither fails on a child that is there; one that was waited for is not signalled.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
