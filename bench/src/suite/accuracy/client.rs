//! The clients of `accuracy`, and whether each can be had. Changes when a client comes.

use crate::floor::{self, Approach, Manner};
use crate::load::Load;
use crate::peers::{Peer, Prepared};
use crate::process::Running;
use crate::programs::Programs;
use crate::suite::GRACE;
use crate::tg::{self, Engine};
use std::net::SocketAddr;
use std::path::Path;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    Tg(Engine),
    Floor(Engine),
    Peer(Peer),
}

impl Client {
    pub fn name(self) -> String {
        match self {
            Client::Tg(engine) => format!("tg {engine}"),
            Client::Floor(engine) => format!("floor {engine}"),
            Client::Peer(peer) => peer.name().to_owned(),
        }
    }

    /// How long it sends, where the load is so long.
    pub fn seconds(self, load_s: u32) -> u32 {
        match self {
            Client::Peer(peer) => peer.seconds(load_s),
            Client::Tg(_) | Client::Floor(_) => load_s,
        }
    }

    /// Why it cannot be had here; `None` where it can.
    ///
    /// # Errors
    /// It cannot, although nothing here can be the reason.
    pub fn unavailable(self, programs: &Programs, server: SocketAddr) -> anyhow::Result<Option<String>> {
        let tiny = Load { conns: 1, rate: 10.0, size: 64, seconds: 1 };
        let mut command = match self {
            Client::Tg(engine) => tg::run(&programs.tg_cli, engine, server, 1, 10.0, "100ms"),
            Client::Floor(engine) => floor::paced(&programs.floor, engine, server, &tiny, Manner::default()),
            Client::Peer(peer) => return Ok((!peer.is_installed()).then(|| "not installed".to_owned())),
        };
        match Running::start(&mut command)?.finish(GRACE) {
            Ok(_) => Ok(None),
            Err(error) if matches!(self, Client::Tg(Engine::Uring) | Client::Floor(Engine::Uring)) => {
                Ok(Some(error.to_string()))
            }
            Err(error) => Err(error.context(self.name())),
        }
    }
}

/// What clients need to be started.
pub struct Setting<'a> {
    pub programs: &'a Programs,
    pub load: Load,
    pub server: SocketAddr,
    pub realtime: bool,
    /// For the files that clients need and leave.
    pub directory: &'a Path,
    /// What tg chose last, of each engine: the floors' too.
    pub approaches: [Option<Approach>; 2],
}

impl Setting<'_> {
    /// Where tg leaves its journal.
    pub fn journal(&self) -> std::path::PathBuf {
        self.directory.join("run.jsonl")
    }

    pub fn approach_of(&mut self, engine: Engine) -> &mut Option<Approach> {
        &mut self.approaches[engine as usize]
    }

    /// # Errors
    /// A peer's files or server cannot be had.
    pub fn prepare(&mut self, client: Client) -> anyhow::Result<Prepared> {
        Ok(match client {
            Client::Tg(engine) => {
                let Load { conns, rate, size, seconds } = self.load;
                let time = format!("{seconds}s");
                let mut command = tg::run(&self.programs.tg_cli, engine, self.server, conns, rate, &time);
                command.args(["--size", &size.to_string()]).arg("--output").arg(self.journal());
                command.args(self.realtime.then_some("--realtime"));
                Prepared::plain(command, self.server)
            }
            Client::Floor(engine) => {
                // Where tg has no such engine, what it chose for the other one.
                let [epoll, uring] = self.approaches;
                let approach = if engine == Engine::Uring { uring.or(epoll) } else { epoll }.unwrap_or_default();
                let manner = Manner { approach, batch_ns: 0, fifo: self.realtime };
                let floor = &self.programs.floor;
                Prepared::plain(floor::paced(floor, engine, self.server, &self.load, manner), self.server)
            }
            Client::Peer(peer) => peer.prepare(&self.load, self.server, self.directory)?,
        })
    }
}
