//! The server that all clients of a suite talk to: `tg-cli serve`, as a process. Changes when it is
//! started or ended in another way.

use crate::process::Guard;
use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What it calls itself: so that a packet which is an HTTP response comes back as one, see the peers.
pub const NAME: &str = "HTTP";
/// Below the range that clients' ports are taken from: one that connects to its own port is connected to itself.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
const END_LIMIT: Duration = Duration::from_secs(5);
/// Short, as it is started again at once.
const END_TICK: Duration = Duration::from_micros(200);

/// A loopback address that nobody listens on, another one each time: a client's ports to the one before are not to be
/// had again for a second after its end (`tcp_twsk_unique` in net/ipv4/tcp_ipv4.c).
///
/// # Errors
/// None is to be had.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Another bench on this machine begins elsewhere.
    let nth = std::process::id().wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
    let first = (nth % u32::from(PORTS.end - PORTS.start)) as u16;
    let ports = (PORTS.start + first..PORTS.end).chain(PORTS.start..PORTS.start + first);
    let mut addresses = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    addresses.find(|address| TcpListener::bind(address).is_ok()).context("no port is free on 127.0.0.1")
}

/// How to start it.
#[derive(Clone, Debug)]
pub struct Config {
    pub tg_cli: PathBuf,
    pub address: SocketAddr,
    /// `close` or `reset`: what its end does to connections.
    pub drain: &'static str,
}

/// A server that listens.
pub struct Server {
    guard: Guard,
    // Held open: it writes there at its end.
    _stderr: BufReader<ChildStderr>,
}

impl Server {
    /// # Errors
    /// It does not come to listen.
    pub fn start(config: &Config) -> anyhow::Result<Server> {
        let mut child = command(config)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", config.tg_cli.display()))?;
        let stderr = child.stderr.take();
        let guard = Guard(child);
        let mut stderr = BufReader::new(stderr.context("the server has no stderr")?);
        let mut said = String::new();
        while stderr.read_line(&mut said).context("reading the server's stderr")? > 0 {
            if said.contains("listens on") {
                return Ok(Server { guard, _stderr: stderr });
            }
        }
        bail!("the server ended: {}", said.trim())
    }

    /// CPU time so far, nanoseconds.
    ///
    /// # Errors
    /// It has ended.
    pub fn cpu_ns(&self) -> anyhow::Result<u64> {
        self.guard.cpu_ns()
    }

    /// Ends it by SIGTERM, and its connections by its drain.
    ///
    /// # Errors
    /// It has ended already, or does not end.
    pub fn end(mut self) -> anyhow::Result<()> {
        self.guard.signal(Signal::SIGTERM).context("ending the server")?;
        self.guard.wait(END_LIMIT, END_TICK, |_| {}).context("ending the server")?;
        Ok(())
    }
}

fn command(config: &Config) -> Command {
    let mut command = Command::new(&config.tg_cli);
    command.args(["serve", "--listen", &config.address.to_string(), "--name", NAME, "--drain", config.drain]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_is_given_twice_in_a_row() {
        let given = [(); 3].map(|()| free_address().unwrap());
        assert!(given[0] != given[1] && given[1] != given[2], "{given:?}");
    }
}
