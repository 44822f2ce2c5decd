//! One client's turn against an echo server of its own, and what it used meanwhile. Changes when turns are
//! measured otherwise.

use super::GRACE;
use crate::cores::Cores;
use crate::floor::{Served, Server};
use crate::process::{Finished, Running, Window, in_time};
use crate::programs::Programs;
use crate::quiet::{Diary, Watch};
use crate::tg::Engine;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// On a machine that is busy.
const CONNECT_EACH: Duration = Duration::from_millis(1);

/// What a turn is.
#[derive(Clone, Debug)]
pub struct Turn<'a> {
    pub floor: &'a Path,
    /// How the floor's echo server drives its sockets.
    pub server: Engine,
    /// The part of it that is judged, from the client's start.
    pub span: Range<Duration>,
    /// The client's own time.
    pub seconds: u32,
    /// It may need more of it to connect.
    pub conns: u32,
    /// Who runs where; left to the scheduler where that is not said.
    pub cores: Option<Cores>,
}

/// What came of it.
#[derive(Debug)]
pub struct Taken {
    pub window: Window,
    pub finished: Finished,
    pub served: Served,
}

impl Turn<'_> {
    /// A fresh server on a fresh port each time: no turn meets what the one before left behind.
    ///
    /// # Errors
    /// The server or the client fails.
    pub fn take(
        &self,
        diary: &mut Diary,
        mut command: impl FnMut(SocketAddr) -> anyhow::Result<Command>,
    ) -> anyhow::Result<Taken> {
        in_time(|| self.once(diary, &mut command))
    }

    fn once(
        &self,
        diary: &mut Diary,
        command: &mut impl FnMut(SocketAddr) -> anyhow::Result<Command>,
    ) -> anyhow::Result<Taken> {
        let watch = Watch::start(Duration::ZERO)?;
        let server = Server::start(self.floor, self.server)?;
        if let Some(cores) = self.cores {
            cores.place_server(server.pid())?;
        }
        let mut running = Running::start(&mut command(server.address)?)?;
        let placed = self.cores.map_or(Ok(()), |cores| cores.place_packet_thread(running.pid(), self.span.start));
        // What a client that ended early has to say comes first.
        let window = running.window(self.span.clone())?;
        placed?;
        let time = Duration::from_secs(self.seconds.into()) + CONNECT_EACH * self.conns;
        let finished = running.finish(time + GRACE)?;
        let served = server.finish()?;
        diary.note(watch.foreign(Duration::ZERO)?);
        Ok(Taken { window, finished, served })
    }
}

/// Why io_uring is not to be had here; `None` where it is.
pub fn uring_refused(programs: &Programs) -> Option<String> {
    let outcome = Server::start(&programs.floor, Engine::Uring).and_then(Server::finish);
    outcome.err().map(|why| format!("{why:#}"))
}
