//! tg as a client under measurement: its command line, its word on itself, and how that is held against
//! the wire. Changes when tg's command line does.

mod agreement;
mod journal;
mod summary;

pub use agreement::{Agreement, agree};
pub use journal::Journal;
pub use summary::Summary;

use anyhow::Context;
use clap::ValueEnum;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// How sockets are driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Engine {
    Epoll,
    Uring,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Engine::Epoll => "epoll",
            Engine::Uring => "uring",
        })
    }
}

/// `tg-cli run` with its defaults, but for these. `rate` is packets/s on each connection, or `max`.
pub fn run(
    tg_cli: &Path,
    engine: Engine,
    server: SocketAddr,
    conns: u32,
    rate: impl fmt::Display,
    time: &str,
) -> Command {
    let mut command = Command::new(tg_cli);
    command.args(["run", "--address", &server.to_string(), "--engine", &engine.to_string(), "--format", "json"]);
    command.args(["--conns", &conns.to_string(), "--rate", &rate.to_string(), "--duration", time]);
    command
}

/// Whether this tg's `run` knows the option.
///
/// # Errors
/// Its help cannot be had.
pub fn knows(tg_cli: &Path, option: &str) -> anyhow::Result<bool> {
    let help = Command::new(tg_cli).args(["run", "--help"]).output().context("asking tg-cli for its help")?;
    Ok(String::from_utf8_lossy(&help.stdout).split_whitespace().any(|word| word == option))
}

/// Nanoseconds in µs.
pub fn micros(ns: u64) -> f64 {
    ns as f64 / 1e3
}
