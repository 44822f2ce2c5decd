//! The clients of `scale`, how each is asked for its load, and what it says of it. Changes when a client
//! comes.

use super::Setting;
use crate::floor::{self, Manner};
use crate::load::Load;
use crate::stats::quantile;
use crate::suite::turn::Taken;
use crate::tg::{self, Engine, Journal, Summary, micros};
use std::net::SocketAddr;
use std::process::Command;

/// Packets due within so long leave together.
pub const BATCH: &str = "1ms";
const BATCH_NS: u64 = 1_000_000;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    Tg,
    Floor,
}

/// Who, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    pub who: Who,
    pub engine: Engine,
    pub batch: bool,
}

/// What one turn gave.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Attempts that failed, and connections lost.
    pub failures: u64,
    /// Packets due that no echo came of.
    pub missing: u64,
    /// p50, p99: µs.
    pub connect_us: [f64; 2],
    /// p50, p99, max: µs.
    pub late_us: [f64; 3],
    /// µs a packet.
    pub cpu_us: f64,
    /// Resident while sending.
    pub rss_kib: u64,
}

impl Client {
    /// tg before the floors: they are given the window that it chose.
    pub fn all() -> Vec<Client> {
        let engines = [Engine::Epoll, Engine::Uring];
        let of = |who| engines.map(|engine| [false, true].map(|batch| Client { who, engine, batch }));
        [of(Who::Tg), of(Who::Floor)].into_iter().flatten().flatten().collect()
    }

    pub fn name(self) -> String {
        let who = if self.who == Who::Tg { "tg" } else { "floor" };
        let batch = if self.batch { " batch" } else { "" };
        format!("{who} {}{batch}", self.engine)
    }

    /// The floor that does the same.
    pub fn floor(self) -> Client {
        Client { who: Who::Floor, ..self }
    }

    pub fn command(self, setting: &Setting, load: &Load, server: SocketAddr) -> Command {
        match self.who {
            Who::Tg => {
                let Load { conns, rate, size, seconds } = *load;
                let time = format!("{seconds}s");
                let mut command = tg::run(&setting.programs.tg_cli, self.engine, server, conns, rate, &time);
                command.args(["--size", &size.to_string()]).arg("--output").arg(setting.journal());
                if self.batch {
                    command.args(["--batch", BATCH]);
                }
                command
            }
            Who::Floor => {
                let approach = setting.approaches.get(&self.approach_to(load)).copied().unwrap_or_default();
                let manner = Manner { approach, batch_ns: if self.batch { BATCH_NS } else { 0 }, fifo: false };
                floor::paced(&setting.programs.floor, self.engine, server, load, manner)
            }
        }
    }

    /// What the approach to a load is remembered by: tg's, for the floor that does the same.
    fn approach_to(self, load: &Load) -> String {
        let Client { engine, batch, .. } = self;
        format!("{engine}, batch {batch}, {load}")
    }

    /// What came of its turn; tg's approach is remembered.
    ///
    /// # Errors
    /// What it says is not understood.
    pub fn figures(self, setting: &mut Setting, load: &Load, taken: &Taken) -> anyhow::Result<Figures> {
        let cpu_us = micros(taken.window.cpu_ns) / (load.total_rate() * taken.window.seconds());
        let rss_kib = taken.window.rss_kib;
        let stdout = &taken.finished.stdout;
        if self.who == Who::Floor {
            let said: floor::Paced = floor::parse(stdout)?;
            return Ok(Figures {
                failures: 0,
                missing: said.sent.saturating_sub(said.received),
                connect_us: [said.connect.p50_ns, said.connect.p99_ns].map(micros),
                late_us: [said.lateness.p50_ns, said.lateness.p99_ns, said.lateness.max_ns].map(micros),
                cpu_us,
                rss_kib,
            });
        }
        let summary = Summary::parse(stdout)?;
        let journal = Journal::open(&setting.journal())?;
        setting.approaches.insert(self.approach_to(load), journal.approach);
        let connect = |q| quantile(&journal.connects_ns, q).map_or(f64::NAN, micros);
        let late = summary.lateness;
        Ok(Figures {
            failures: summary.failed_attempts.total + summary.lost,
            missing: summary.packets.dropped.total + summary.packets.lost_in_flight,
            connect_us: [connect(0.5), connect(0.99)],
            late_us: [late.p50_ns, late.p99_ns, late.max_ns].map(micros),
            cpu_us,
            rss_kib,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_engine_plain_and_batched_and_tg_first() {
        let names: Vec<String> = Client::all().into_iter().map(Client::name).collect();
        assert_eq!(names[..4], ["tg epoll", "tg epoll batch", "tg uring", "tg uring batch"]);
        assert_eq!(names[7], "floor uring batch");
        assert_eq!(Client::all()[3].floor(), Client::all()[7]);
    }
}
