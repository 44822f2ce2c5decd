//! The clients of `stall`, and what each says of its latency. Changes when a client comes.

use crate::load::Load;
use crate::peers::http_script;
use crate::programs::{Programs, on_path};
use crate::tg::{self, Engine, Summary};
use anyhow::Context;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    Tg {
        engine: Engine,
        closed_loop: bool,
    },
    /// At the same rate, with its correction for what a stall hides.
    Wrk2,
    /// As fast as echoes return.
    Wrk,
}

impl Client {
    pub const ALL: [Client; 6] = [
        Client::Tg { engine: Engine::Epoll, closed_loop: false },
        Client::Tg { engine: Engine::Uring, closed_loop: false },
        Client::Tg { engine: Engine::Epoll, closed_loop: true },
        Client::Tg { engine: Engine::Uring, closed_loop: true },
        Client::Wrk2,
        Client::Wrk,
    ];

    pub fn name(self) -> String {
        match self {
            Client::Tg { engine, closed_loop } => {
                format!("tg {engine}{}", if closed_loop { " closed" } else { "" })
            }
            Client::Wrk2 => "wrk2".to_owned(),
            Client::Wrk => "wrk".to_owned(),
        }
    }

    /// Why it cannot be had here; `None` where it can.
    pub fn unavailable(self, uring_refused: Option<&str>) -> Option<String> {
        match self {
            Client::Tg { engine: Engine::Uring, .. } => uring_refused.map(str::to_owned),
            Client::Tg { .. } => None,
            Client::Wrk2 | Client::Wrk => on_path(&self.name()).is_none().then(|| "not installed".to_owned()),
        }
    }

    /// `directory` is for the files that it needs and leaves.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn command(
        self,
        programs: &Programs,
        load: &Load,
        server: SocketAddr,
        directory: &Path,
    ) -> anyhow::Result<Command> {
        let time = format!("{}s", load.seconds);
        if let Client::Tg { engine, closed_loop } = self {
            let mut command = tg::run(&programs.tg_cli, engine, server, load.conns, load.rate, &time);
            command.args(["--size", &load.size.to_string()]).args(closed_loop.then_some("--closed-loop"));
            command.arg("--output").arg(directory.join("run.jsonl"));
            return Ok(command);
        }
        let script = directory.join("packets.lua");
        std::fs::write(&script, http_script(load.size)).context("writing wrk's script")?;
        let mut command = Command::new(self.name());
        command.args(["-t1", "--latency", "-c", &load.conns.to_string(), "-d", &time, "-s"]).arg(script);
        if self == Client::Wrk2 {
            command.args(["-R", &load.total_rate().to_string()]);
        }
        command.arg(format!("http://{server}/"));
        Ok(command)
    }

    /// Latency p50, p90, p99, p99.9, max; service time p99.9, max; packets dropped: ms. Not a number where it
    /// does not say.
    ///
    /// # Errors
    /// It says nothing that is understood.
    pub fn figures(self, stdout: &str) -> anyhow::Result<Vec<f64>> {
        let millis = |ns: u64| ns as f64 / 1e6;
        if let Client::Tg { .. } = self {
            let Summary { latency: l, service_time: s, packets, .. } = Summary::parse(stdout)?;
            let times = [l.p50_ns, l.p90_ns, l.p99_ns, l.p999_ns, l.max_ns, s.p999_ns, s.max_ns].map(millis);
            return Ok(times.into_iter().chain([packets.dropped.total as f64]).collect());
        }
        let quantile = |name: &str| {
            let value = stdout.lines().find_map(|line| line.trim().strip_prefix(name))?;
            wrk_time_ms(value.trim())
        };
        // wrk tells no p99.9; wrk2 tells it with three decimals.
        let p999 = quantile("99.900%").unwrap_or(f64::NAN);
        let of = |short: &str, long: &str| quantile(short).or_else(|| quantile(long));
        let p50 = of("50%", "50.000%").context("it does not tell its latency")?;
        let rest = [of("90%", "90.000%"), of("99%", "99.000%")].map(|v| v.unwrap_or(f64::NAN));
        Ok(vec![p50, rest[0], rest[1], p999, wrk_max_ms(stdout).unwrap_or(f64::NAN), f64::NAN, f64::NAN, f64::NAN])
    }
}

/// The fourth word of `Latency avg stdev max +/-`.
fn wrk_max_ms(stdout: &str) -> Option<f64> {
    let line = stdout.lines().find_map(|line| line.trim().strip_prefix("Latency "))?;
    wrk_time_ms(line.split_whitespace().nth(2)?)
}

/// `12.34us`, `1.50ms`, `2.00s`.
fn wrk_time_ms(text: &str) -> Option<f64> {
    let (number, factor) = [("us", 1e-3), ("ms", 1.0), ("s", 1e3)]
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    number.parse::<f64>().ok().map(|number| number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrks_words_are_read() {
        let said = "  Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency     1.02ms   15.51ms 503.12ms   99.6%\n\
                    \x20   Req/Sec   100.00k    10.00k  120.00k    90.00%\n  Latency Distribution\n     50%  512.00us\n\
                    \x20    75%  600.00us\n     90%    0.70ms\n     99%    1.00s\n  1000 requests in 10.00s\n";
        let figures = Client::Wrk.figures(said).unwrap();
        assert_eq!(figures[..3], [0.512, 0.7, 1000.0]);
        assert!(figures[3].is_nan());
        assert!((figures[4] - 503.12).abs() < 1e-9);
        assert!(Client::Wrk.figures("Socket errors").is_err());
    }
}
