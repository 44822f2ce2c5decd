//! The observer of a lab's nodes: `tg-cli observe` as a process beside it. It sees the whole host, so what it
//! told is given out by node in the end. Changes when how it is started or ended does.

mod split;

pub use split::{NodeOf, Split};

use crate::lab::LabError;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tg_model::node_event::{NodeReader, Numbered, encode_node_line};

/// What it says once it sees everything.
const READY: &str = "observing";
/// A slow machine reads the kernel's types for some seconds.
const START_MAX: Duration = Duration::from_secs(90);
const END_MAX: Duration = Duration::from_secs(120);
/// What it says is kept until somebody asks: no more lines than this, of which the first are the telling ones.
const LINES_MAX: usize = 1000;

/// An observer under way. Killed when dropped.
#[derive(Debug)]
pub struct Observer {
    child: Child,
    said: Option<JoinHandle<()>>,
    lines: Receiver<String>,
    folder: PathBuf,
    /// Which node's each namespace is.
    pub node_of: NodeOf,
}

impl Observer {
    /// Starts it, and waits until it observes. It ends with the calling thread, however that ends.
    ///
    /// # Errors
    /// It cannot be started, or says why it cannot observe.
    pub fn start(tg: &Path, vips: &[SocketAddr], folder: &Path, node_of: NodeOf) -> Result<Observer, LabError> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(tg).arg("observe");
        for vip in vips {
            command.args(["--vip", &vip.to_string()]);
        }
        command.arg("--output").arg(whole(folder));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // A terminal's Ctrl-C is the lab's: it ends the observer after the traffic.
        command.process_group(0);
        let mut child = command.spawn().map_err(LabError::io("starting the observer"))?;
        let (tell, lines) = sync_channel(LINES_MAX);
        let stderr = child.stderr.take();
        let said = std::thread::Builder::new().name("tg-observer".into()).spawn(move || {
            for line in stderr.into_iter().flat_map(|s| BufReader::new(s).lines()).map_while(Result::ok) {
                // Read to its end even when nobody wants to know: the pipe must not fill.
                let _ = tell.try_send(line);
            }
        });
        let said = Some(said.map_err(LabError::io("starting the thread that hears the observer"))?);
        let observer = Observer { child, said, lines, folder: folder.to_owned(), node_of };
        observer.await_ready()?;
        Ok(observer)
    }

    fn await_ready(&self) -> Result<(), LabError> {
        let until = Instant::now() + START_MAX;
        let mut said = Vec::new();
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) if line == READY => return Ok(()),
                Ok(line) => said.push(line),
                Err(RecvTimeoutError::Disconnected) => return Err(LabError::Failed(said.join("\n"))),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(LabError::Failed(format!("it did not start in {} s", START_MAX.as_secs())));
                }
            }
        }
    }

    /// Ends it, and writes the journal of each node: also where it did not end in order, as far as it got.
    ///
    /// # Errors
    /// It did not end in order, or before it was asked to; a journal could not be written.
    pub fn finish(mut self) -> Result<(), LabError> {
        let early = self.child.try_wait().map_err(LabError::io("asking for the observer"))?;
        let ended = match early {
            Some(status) => Err(LabError::Failed(format!(
                "the observer ended before the run, {status}: the nodes' journals tell nothing of what came after"
            ))),
            None => self.end(),
        };
        let whole = whole(&self.folder);
        let written = give_out(&whole, &self.folder, &self.node_of);
        if written.is_ok() {
            // What is in it is in the nodes' journals.
            let _ = std::fs::remove_file(whole);
        }
        ended.and(written)
    }

    fn end(&mut self) -> Result<(), LabError> {
        let pid = i32::try_from(self.child.id()).map(nix::unistd::Pid::from_raw);
        let pid = pid.map_err(|_| LabError::Failed("the observer's number is no process's".into()))?;
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)
            .map_err(|errno| LabError::Io { what: "ending the observer".into(), error: errno.into() })?;
        let until = Instant::now() + END_MAX;
        // Its stderr ends with it.
        let mut said = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            said.push(line);
        }
        if Instant::now() >= until {
            return Err(LabError::Failed(format!("the observer did not end in {} s", END_MAX.as_secs())));
        }
        let status = self.child.wait().map_err(LabError::io("waiting for the observer"))?;
        if let Some(said) = self.said.take() {
            let _ = said.join();
        }
        let command = "tg-cli observe".to_owned();
        let why = || format!("{}{status}", said.iter().map(|s| format!("{s}\n")).collect::<String>());
        if status.success() { Ok(()) } else { Err(LabError::Command { command, why: why() }) }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        // Where it has ended this does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The observer's own journal, of the whole host.
fn whole(folder: &Path) -> PathBuf {
    folder.join("observer.jsonl")
}

fn give_out(whole: &Path, folder: &Path, node_of: &NodeOf) -> Result<(), LabError> {
    let opened = File::open(whole).map_err(LabError::io(format!("opening {}", whole.display())))?;
    let failed = |error| LabError::Failed(format!("{}: {error}", whole.display()));
    let mut reader = NodeReader::open(BufReader::new(opened)).map_err(failed)?;
    let mut split = Split::new(node_of, reader.header());
    let mut files = Vec::new();
    for node in split.nodes() {
        let path = folder.join(crate::lab::node_file(&node));
        let file = File::create(&path).map_err(LabError::io(format!("creating {}", path.display())))?;
        files.push((path, BufWriter::new(file)));
    }
    let mut text = Vec::new();
    let mut write = |lines: Vec<(usize, Numbered)>| -> Result<(), LabError> {
        for (nth, line) in lines {
            let Some((path, file)) = files.get_mut(nth) else { continue };
            text.clear();
            encode_node_line(&line, &mut text);
            file.write_all(&text).map_err(LabError::io(format!("writing {}", path.display())))?;
        }
        Ok(())
    };
    write(split.headers())?;
    while let Some(line) = reader.next_line().map_err(failed)? {
        write(split.line(line.line))?;
    }
    for (path, mut file) in files {
        file.flush().map_err(LabError::io(format!("writing {}", path.display())))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const HEADER: &str = r#"{"v":1,"seq":0,"kind":"node-header","tg_version":"0","command":[],"machine":"m","kernel":"6","boot_id":"b","monotonic_ns":1,"realtime_ns":2,"vips":[],"namespaces":[]}"#;

    #[test]
    fn an_observer_that_ended_early_is_told_and_what_it_saw_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let tg = folder.path().join("tg");
        let script =
            format!("#!/bin/sh\nfor last; do :; done\necho '{HEADER}' > \"$last\"\necho {READY} >&2\nexit 0\n");
        std::fs::write(&tg, script).unwrap();
        std::fs::set_permissions(&tg, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut node_of = NodeOf::default();
        node_of.insert("ns", None, "node-1");
        let mut observer = Observer::start(&tg, &[], folder.path(), node_of).unwrap();
        observer.child.wait().unwrap();
        let error = observer.finish().unwrap_err().to_string();
        assert!(error.contains("ended before the run"), "{error}");
        let journal = std::fs::read_to_string(folder.path().join(crate::lab::node_file("node-1"))).unwrap();
        assert!(journal.contains("node-header") && !whole(folder.path()).exists(), "{journal}");
    }
}
