//! Captures on the loopback interface: the wire's word against the programs' own. Changes when the
//! capturing program does.

pub mod endings;
pub mod pacing;
pub mod segment;

use crate::process::{self, CannotMeasure};
use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use segment::Segment;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::process::{ChildStderr, Command, Stdio};
use std::thread;
use std::time::Duration;

/// tcpdump asks its ring for what it has once a second: what came later than that is lost if it is ended.
const LAG: Duration = Duration::from_millis(1200);
/// Bytes of a frame that are kept: all headers.
const SNAP_BYTES: &str = "128";
const BUFFER_KIB: &str = "16384";

/// A capture under way.
pub struct Capture {
    tcpdump: process::Guard,
    stderr: BufReader<ChildStderr>,
    file: File,
}

impl Capture {
    /// Captures what tcpdump's `filter` names, from the moment that this returns.
    ///
    /// # Errors
    /// [`CannotMeasure`] where tcpdump is missing or not allowed to capture.
    pub fn start(filter: &str) -> anyhow::Result<Capture> {
        let file = tempfile::tempfile().context("making a file for the capture")?;
        let child = Command::new("tcpdump")
            .args(["-i", "lo", "-n", "-p", "-s", SNAP_BYTES, "-B", BUFFER_KIB])
            .args(["--time-stamp-precision=nano", "-w", "-", filter])
            .stdin(Stdio::null())
            .stdout(file.try_clone().context("opening the capture's file again")?)
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                CannotMeasure("tcpdump is not installed: `apt-get install tcpdump`".into()).into()
            }
            _ => anyhow::Error::new(e).context("starting tcpdump"),
        })?;
        let stderr = child.stderr.take().context("tcpdump has no stderr")?;
        let mut capture = Capture { tcpdump: process::Guard(child), stderr: BufReader::new(stderr), file };
        capture.await_readiness()?;
        Ok(capture)
    }

    fn await_readiness(&mut self) -> anyhow::Result<()> {
        let mut said = String::new();
        while self.stderr.read_line(&mut said).context("reading tcpdump's stderr")? > 0 {
            if said.contains("listening on") {
                return Ok(());
            }
        }
        let said = said.trim();
        if said.contains("permission") || said.contains("not permitted") {
            return Err(
                CannotMeasure(format!("tcpdump may not capture (run as root, or with CAP_NET_RAW): {said}")).into()
            );
        }
        bail!("tcpdump ended: {said}")
    }

    /// What was captured.
    ///
    /// # Errors
    /// Frames were lost, or the capture cannot be read.
    pub fn finish(mut self) -> anyhow::Result<Vec<Segment>> {
        thread::sleep(LAG);
        self.tcpdump.signal(Signal::SIGTERM)?;
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).context("reading tcpdump's stderr")?;
        self.tcpdump.0.wait().context("waiting for tcpdump")?;
        if let Some(count) = dropped(&said).filter(|count| *count > 0) {
            bail!("the kernel lost {count} frames of the capture");
        }
        self.file.rewind().context("rewinding the capture")?;
        segment::read(&self.file)
    }
}

/// Frames that tcpdump says were dropped.
fn dropped(said: &str) -> Option<u64> {
    said.lines().find_map(|line| line.strip_suffix(" packets dropped by kernel")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tcpdump_dropped_is_seen() {
        let said = |n| format!("12 packets captured\n24 packets received by filter\n{n} packets dropped by kernel\n");
        assert_eq!(dropped(&said("0")), Some(0));
        assert_eq!(dropped(&said("17")), Some(17));
        assert_eq!(dropped("tcpdump: pcap_loop: error"), None);
    }
}
