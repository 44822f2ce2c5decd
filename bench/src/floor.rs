//! The floor program: its command lines, what it says, and its echo server. Changes when the floor program
//! does.

use crate::load::Load;
use crate::process::Guard;
use crate::server::free_address;
use crate::tg::Engine;
use anyhow::{Context, bail};
use nix::unistd::Pid;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How a thread gets to the time when a packet is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Approach {
    /// A sleep of more than twice this length is made as two, the last of this length.
    pub nap_ns: u64,
    /// Busy waiting.
    pub spin_ns: u64,
}

/// How a paced floor goes about its load.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    pub approach: Approach,
    /// Packets due within so long leave together.
    pub batch_ns: u64,
    /// SCHED_FIFO.
    pub fifo: bool,
}

/// Sends by the clock.
pub fn paced(floor: &Path, engine: Engine, server: SocketAddr, load: &Load, manner: Manner) -> Command {
    let mut command = Command::new(floor);
    command.args(["paced", &engine.to_string(), &server.to_string(), &load.conns.to_string()]);
    command.args([load.total_rate(), f64::from(load.size), f64::from(load.seconds)].map(|v| v.to_string()));
    let Approach { nap_ns, spin_ns } = manner.approach;
    for (word, ns) in [("nap", nap_ns), ("spin", spin_ns), ("batch", manner.batch_ns)] {
        if ns > 0 {
            command.args([word.to_owned(), (ns as f64 / 1e3).to_string()]);
        }
    }
    command.args(manner.fifo.then_some("fifo"));
    command
}

/// Sends when an echo is there.
pub fn closed(floor: &Path, engine: Engine, server: SocketAddr, load: &Load, threads: u32) -> Command {
    let mut command = Command::new(floor);
    command.args(["closed", &engine.to_string(), &server.to_string()]);
    command.args([load.conns, load.size, load.seconds, threads].map(|v| v.to_string()));
    command
}

/// What a paced floor says.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Paced {
    pub sent: u64,
    pub received: u64,
    pub lateness: Times,
    pub connect: Times,
}

/// Quantiles.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Times {
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub max_ns: u64,
}

/// What a closed-loop floor says.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Closed {
    pub round_trips: u64,
    pub seconds: f64,
}

/// What the echo server says at its end.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub struct Served {
    pub connections: u64,
    pub bytes: u64,
}

/// One line of JSON.
///
/// # Errors
/// It is none of that kind.
pub fn parse<T: DeserializeOwned>(line: &str) -> anyhow::Result<T> {
    serde_json::from_str(line).with_context(|| format!("reading what the floor says: {}", line.trim()))
}

const END_LIMIT: Duration = Duration::from_secs(10);
const END_TICK: Duration = Duration::from_millis(5);

/// The floor's echo server, listening.
pub struct Server {
    pub address: SocketAddr,
    guard: Guard,
}

impl Server {
    /// On a port that nobody else uses.
    ///
    /// # Errors
    /// It does not come to listen.
    pub fn start(floor: &Path, engine: Engine) -> anyhow::Result<Server> {
        let address = free_address()?;
        let mut command = Command::new(floor);
        command.args(["serve", &engine.to_string(), &address.to_string()]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut guard = Guard(child.context("starting the floor's echo server")?);
        let stderr = guard.0.stderr.take().context("the echo server has no stderr")?;
        let mut said = String::new();
        BufReader::new(stderr).read_line(&mut said).context("reading the echo server's stderr")?;
        if !said.contains("listens on") {
            bail!("the floor's echo server ended: {}", said.trim().trim_start_matches("error: "));
        }
        Ok(Server { address, guard })
    }

    pub fn pid(&self) -> Pid {
        self.guard.pid()
    }

    /// Ends it, and asks what it did.
    ///
    /// # Errors
    /// It ended before, or does not end.
    pub fn finish(mut self) -> anyhow::Result<Served> {
        drop(self.guard.0.stdin.take());
        let status = self.guard.wait(END_LIMIT, END_TICK, |_| {}).context("ending the floor's echo server")?;
        let mut said = String::new();
        let mut stdout = self.guard.0.stdout.take().context("the echo server has no stdout")?;
        stdout.read_to_string(&mut said).context("reading what the echo server says")?;
        if !status.success() {
            bail!("the floor's echo server failed: {status}");
        }
        parse(&said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_words() {
        let load = Load { conns: 80, rate: 5.0, size: 1024, seconds: 10 };
        let words = |command: Command| -> Vec<String> {
            command.get_args().map(|w| w.to_string_lossy().into_owned()).collect()
        };
        let server = SocketAddr::from(([127, 0, 0, 1], 5003));
        let floor = Path::new("floor");
        let manner =
            Manner { approach: Approach { nap_ns: 200_000, spin_ns: 61_500 }, batch_ns: 1_000_000, fifo: true };
        let paced = words(paced(floor, Engine::Uring, server, &load, manner)).join(" ");
        assert_eq!(paced, "paced uring 127.0.0.1:5003 80 400 1024 10 nap 200 spin 61.5 batch 1000 fifo");
        let closed = words(closed(floor, Engine::Epoll, server, &load, 2)).join(" ");
        assert_eq!(closed, "closed epoll 127.0.0.1:5003 80 1024 10 2");
    }

    #[test]
    fn what_it_says_is_read() {
        let served: Served = parse("{\"connections\":2,\"bytes\":99}\n").unwrap();
        assert_eq!(served, Served { connections: 2, bytes: 99 });
        assert!(parse::<Served>("{}").is_err());
        let paced = r#"{"sent":1,"received":1,"lateness":{"p50_ns":1,"p99_ns":2,"max_ns":3},
            "connect":{"p50_ns":4,"p99_ns":5,"max_ns":6}}"#;
        assert_eq!(parse::<Paced>(paced).unwrap().connect.p99_ns, 5);
    }
}
