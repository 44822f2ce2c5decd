//! `observer`: what `tg-cli observe` costs the traffic that it watches and the traffic that it does not, and
//! whether it accounts for every event of a flood. Changes when the comparison does.

mod page;
mod parts;

use super::{Options, progress};
use crate::observer;
use crate::quiet::Watch;
use crate::report::Page;
use crate::report::series::Series;
use parts::{Flood, Programs, Seed};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The port that is connected to, on 127.0.0.1 in a namespace of its own.
const PORT: u16 = 7777;
/// Connects a second where the rate is given.
const RATE: u32 = 20_000;
/// At the limit: thousands a second, CPU time of the client's and server's one thread. At 20 000/s: the same,
/// the share of a core that the observer's process used, and of the events the lost ones, per cent.
pub const COLUMNS: [&str; 6] = ["k/s", "µs", "at 20k/s", "µs", "observer %", "lost %"];

/// Who observes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    Nobody,
    /// Another address.
    Elsewhere,
    Watched,
}

impl Client {
    pub const ALL: [Client; 3] = [Client::Nobody, Client::Elsewhere, Client::Watched];

    pub fn name(self) -> &'static str {
        match self {
            Client::Nobody => "floor alone",
            Client::Elsewhere => "tg not watched",
            Client::Watched => "tg watched",
        }
    }

    fn vip(self) -> Option<SocketAddr> {
        match self {
            Client::Nobody => None,
            // RFC 5737: nobody has it.
            Client::Elsewhere => Some(SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 80))),
            Client::Watched => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))),
        }
    }
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    series: Vec<Series>,
    /// Of traffic that is not watched, and of watched traffic.
    programs: Vec<(Client, Programs)>,
    seed: Seed,
    flood: Flood,
}

/// Runs the suite.
///
/// # Errors
/// There can be no observer here, or something fails.
pub fn run(options: &Options) -> anyhow::Result<Page> {
    observer::check(&options.programs.tg_cli)?;
    let mut diary = options.diary();
    let mut series = Client::ALL.map(|c| Series { client: c.name().to_owned(), rounds: Vec::new() });
    for round in 0..options.rounds {
        diary.await_quiet()?;
        // Each begins in turn: what a round's first one meets, the others do, too.
        for turn in 0..Client::ALL.len() {
            let place = (turn + round as usize) % Client::ALL.len();
            progress(round, options.rounds, Client::ALL[place].name());
            let watch = Watch::start(Duration::ZERO)?;
            let figures = parts::turn(options, Client::ALL[place])?;
            series[place].rounds.push(figures);
            diary.note(watch.foreign(Duration::ZERO)?);
        }
    }
    let programs = [Client::Elsewhere, Client::Watched].map(|c| Ok((c, parts::programs(options, c)?)));
    let programs = programs.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let seed = parts::seed(options)?;
    let flood = parts::flood(options)?;
    Ok(page::make(options, &Found { series: series.into(), programs, seed, flood }, &diary))
}
