//! The clients of `capacity`: how each is asked for as many round trips as it can, and how many it says that
//! it made. Changes when a client comes.

use super::Setting;
use crate::floor;
use crate::load::Load;
use crate::peers::{Peer, http_script};
use crate::programs::on_path;
use crate::suite::turn::Taken;
use crate::tg::{self, Engine, Summary};
use anyhow::Context;
use std::net::SocketAddr;
use std::process::Command;

/// More than any client can do: ctraffic's way to be asked for no limit.
const NO_LIMIT: f64 = 1e6;

/// Who asks and waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    Tg { engine: Engine, threads: u32 },
    Floor { engine: Engine, threads: u32 },
    Wrk,
    Ctraffic,
}

/// What a client says of its turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Said {
    pub rate: f64,
    /// Echoes in all, where it tells them.
    pub received: Option<u64>,
}

impl Client {
    pub const ALL: [Client; 10] = [
        Client::Tg { engine: Engine::Epoll, threads: 1 },
        Client::Tg { engine: Engine::Uring, threads: 1 },
        Client::Tg { engine: Engine::Epoll, threads: 2 },
        Client::Tg { engine: Engine::Uring, threads: 2 },
        Client::Floor { engine: Engine::Epoll, threads: 1 },
        Client::Floor { engine: Engine::Uring, threads: 1 },
        Client::Floor { engine: Engine::Epoll, threads: 2 },
        Client::Floor { engine: Engine::Uring, threads: 2 },
        Client::Wrk,
        Client::Ctraffic,
    ];

    pub fn name(self) -> String {
        match self {
            Client::Tg { engine, threads: 1 } => format!("tg {engine}"),
            Client::Tg { engine, threads } => format!("tg {engine} ×{threads}"),
            Client::Floor { engine, threads: 1 } => format!("floor {engine}"),
            Client::Floor { engine, threads } => format!("floor {engine} ×{threads}"),
            Client::Wrk => "wrk".to_owned(),
            Client::Ctraffic => Peer::Ctraffic.name().to_owned(),
        }
    }

    /// One run on another machine of 2 cores, each to its own kind of server: 1000 round trips/s, CPU µs.
    pub fn yardstick(self) -> Option<[f64; 2]> {
        match self {
            Client::Wrk => Some([117.0, f64::NAN]),
            Client::Ctraffic => Some([108.0, 8.9]),
            Client::Tg { .. } | Client::Floor { .. } => None,
        }
    }

    /// Why it cannot be had here; `None` where it can.
    pub fn unavailable(self, uring_refused: Option<&str>) -> Option<String> {
        match self {
            Client::Tg { engine: Engine::Uring, .. } | Client::Floor { engine: Engine::Uring, .. } => {
                uring_refused.map(str::to_owned)
            }
            Client::Tg { .. } | Client::Floor { .. } => None,
            Client::Wrk | Client::Ctraffic => on_path(&self.name()).is_none().then(|| "not installed".to_owned()),
        }
    }

    /// # Errors
    /// Its files cannot be written.
    pub fn command(self, setting: &Setting, server: SocketAddr) -> anyhow::Result<Command> {
        let load = &setting.load;
        Ok(match self {
            Client::Tg { engine, threads } => {
                let time = format!("{}s", load.seconds);
                let mut command = tg::run(&setting.programs.tg_cli, engine, server, load.conns, "max", &time);
                command.args(["--closed-loop", "--size", &load.size.to_string(), "--threads", &threads.to_string()]);
                command
            }
            Client::Floor { engine, threads } => floor::closed(&setting.programs.floor, engine, server, load, threads),
            Client::Wrk => {
                let script = setting.directory.join("packets.lua");
                std::fs::write(&script, http_script(load.size)).context("writing wrk's script")?;
                let mut command = Command::new("wrk");
                command.args(["-t1", "-c", &load.conns.to_string(), "-d", &format!("{}s", load.seconds), "-s"]);
                command.arg(script).arg(format!("http://{server}/"));
                command
            }
            Client::Ctraffic => {
                let load = Load { rate: NO_LIMIT / f64::from(load.conns), ..*load };
                Peer::Ctraffic.prepare(&load, server, setting.directory)?.command
            }
        })
    }

    /// # Errors
    /// It says nothing that is understood.
    pub fn said(self, load: &Load, taken: &Taken) -> anyhow::Result<Said> {
        let stdout = &taken.finished.stdout;
        Ok(match self {
            Client::Tg { .. } => {
                let Summary { duration_ns, packets, .. } = Summary::parse(stdout)?;
                let rate = packets.received as f64 / (duration_ns as f64 / 1e9);
                Said { rate, received: Some(packets.received) }
            }
            Client::Floor { .. } => {
                let said: floor::Closed = floor::parse(stdout)?;
                Said { rate: said.round_trips as f64 / said.seconds, received: None }
            }
            Client::Wrk => {
                Said { rate: requests_a_second(stdout).context("wrk does not tell its rate")?, received: None }
            }
            // The server's word.
            Client::Ctraffic => {
                let packets = taken.served.bytes / u64::from(load.size);
                Said { rate: packets as f64 / f64::from(Peer::Ctraffic.seconds(load.seconds)), received: None }
            }
        })
    }
}

fn requests_a_second(stdout: &str) -> Option<f64> {
    stdout.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrks_rate_is_read() {
        let said = "Running 1s test @ http://127.0.0.1:5003/\n  1 threads and 80 connections\n\
                    Requests/sec: 117123.45\nTransfer/sec:    114.38MB\n";
        assert_eq!(requests_a_second(said), Some(117_123.45));
        assert_eq!(requests_a_second("error"), None);
    }

    #[test]
    fn clients_are_told_apart_by_name() {
        let mut names: Vec<String> = Client::ALL.iter().map(|c| c.name()).collect();
        assert_eq!(names[3], "tg uring ×2");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), Client::ALL.len());
    }
}
