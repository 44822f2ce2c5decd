//! The clients of `reconnect`. Changes when a client comes.

use crate::load::Load;
use crate::peers::Peer;
use crate::process::Running;
use crate::programs::Programs;
use crate::suite::GRACE;
use crate::tg::{self, Engine};
use std::net::SocketAddr;
use std::process::Command;

/// Packets/s on each connection: a client that looks only when a packet is due is seen to.
const RATE: f64 = 5.0;
const SIZE: u32 = 1024;
/// How long after a refusal it is tried again: tg's way, which is its floor's too, and one that waits the
/// least each time.
const BACKOFF: &str = "1ms..5ms";
const BACKOFF_MIN_US: u32 = 1000;
const BACKOFF_MAX_US: u32 = 5000;

/// Who keeps connections up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    Tg(Engine),
    Floor,
    /// Its waits do not grow.
    EagerFloor,
    Ctraffic,
}

impl Client {
    pub const ALL: [Client; 5] =
        [Client::Tg(Engine::Epoll), Client::Tg(Engine::Uring), Client::Floor, Client::EagerFloor, Client::Ctraffic];

    pub fn name(self) -> String {
        match self {
            Client::Tg(engine) => format!("tg {engine}"),
            Client::Floor => "floor 1-5ms".to_owned(),
            Client::EagerFloor => "floor 1ms".to_owned(),
            Client::Ctraffic => Peer::Ctraffic.name().to_owned(),
        }
    }

    /// Seconds at a run's end in which it no longer replaces connections.
    pub fn idle_at_end_s(self) -> u32 {
        if self == Client::Ctraffic { 2 } else { 0 }
    }

    /// How many times a connection that it was asked for may end: ctraffic stops with an error when it would have made
    /// more than ten for it.
    pub fn ends_at_most(self) -> u32 {
        if self == Client::Ctraffic { 9 } else { u32::MAX }
    }

    /// Its command for `conns` connections kept up for so long.
    ///
    /// # Errors
    /// Its files cannot be written.
    pub fn command(self, programs: &Programs, server: SocketAddr, conns: u32, seconds: u32) -> anyhow::Result<Command> {
        Ok(match self {
            Client::Tg(engine) => {
                let mut command = tg::run(&programs.tg_cli, engine, server, conns, RATE, &format!("{seconds}s"));
                command.args(["--size", &SIZE.to_string(), "--backoff", BACKOFF]);
                command
            }
            Client::Floor | Client::EagerFloor => {
                let mut command = Command::new(&programs.floor);
                let address = server.to_string();
                let most_us = if self == Client::Floor { BACKOFF_MAX_US } else { BACKOFF_MIN_US };
                command.args(["reconnect", &address]);
                command.args([conns, seconds, BACKOFF_MIN_US, most_us].map(|n| n.to_string()));
                command
            }
            Client::Ctraffic => {
                let load = Load { conns, rate: RATE, size: SIZE, seconds };
                Peer::Ctraffic.prepare(&load, server, &std::env::temp_dir())?.command
            }
        })
    }

    /// Why it cannot be had here; `None` where it can. `server` answers.
    ///
    /// # Errors
    /// It cannot, although nothing here can be the reason.
    pub fn unavailable(self, programs: &Programs, server: SocketAddr) -> anyhow::Result<Option<String>> {
        if self == Client::Ctraffic {
            return Ok((!Peer::Ctraffic.is_installed()).then(|| "not installed".to_owned()));
        }
        match Running::start(&mut self.command(programs, server, 1, 1)?)?.finish(GRACE) {
            Ok(_) => Ok(None),
            Err(error) if self == Client::Tg(Engine::Uring) => Ok(Some(error.to_string())),
            Err(error) => Err(error.context(self.name())),
        }
    }
}
