//! What `accuracy` aims at. Changes when the targets do.

use super::COLUMNS;
use crate::peers::Peer;
use crate::report::series::{Series, median_of, ratio, spread_of};
use crate::report::target::Target;
use crate::tg::Engine;

/// The peers that are to be left behind, by these factors.
const OUTDONE: [Peer; 3] = [Peer::Ctraffic, Peer::Wrk2, Peer::Tcpkali];
const P99_FACTOR: f64 = 7.0;
const P50_FACTOR: f64 = 30.0;
const P50_MAX_US: f64 = 10.0;
const CPU_FACTOR: f64 = 1.1;
const RSS_MAX_MIB: f64 = 8.0;

/// Of both engines.
pub fn of(series: &[Series], realtime: bool) -> Vec<Target> {
    [Engine::Epoll, Engine::Uring].into_iter().flat_map(|engine| of_engine(series, engine, realtime)).collect()
}

fn of_engine(series: &[Series], engine: Engine, realtime: bool) -> Vec<Target> {
    let (tg, floor) = (format!("tg {engine}"), format!("floor {engine}"));
    let median = |client: &str, column| median_of(series, client, &COLUMNS, column);
    let mut targets = Vec::new();
    if !realtime {
        targets.push(
            Target::at_most(format!("{tg}: p50"), median(&tg, "p50"), P50_MAX_US, " µs").floor(median(&floor, "p50")),
        );
    }
    for column in if realtime { ["p99", "p99.9"] } else { ["p50", "p99"] } {
        if let Some(spread) = spread_of(series, &floor, &COLUMNS, column) {
            let what = format!("{tg}: {column} within the floor's spread");
            targets.push(Target::at_most(what, median(&tg, column), spread.max, " µs"));
        }
    }
    if realtime {
        let what = format!("{tg}: most packets in any 1 ms");
        targets.push(Target::at_most(what, median(&tg, "in 1ms"), 1.0, "").floor(median(&floor, "in 1ms")));
    } else {
        targets.extend(OUTDONE.into_iter().flat_map(|peer| outdone(series, &tg, &floor, peer)));
    }
    let cpu = ratio(median(&tg, "CPU"), median(&floor, "CPU"));
    targets.push(Target::at_most(format!("{tg}: CPU a packet by the floor's"), cpu, CPU_FACTOR, ""));
    let rss = Target::at_most(format!("{tg}: RSS"), median(&tg, "RSS"), RSS_MAX_MIB, " MiB");
    targets.push(rss.floor(median(&floor, "RSS")));
    targets
}

/// A peer that is not here is the yardstick's, and marked.
fn outdone(series: &[Series], tg: &str, floor: &str, peer: Peer) -> Vec<Target> {
    let names = [peer.name().to_owned(), format!("{}*", peer.name())];
    let Some(name) = names.into_iter().find(|n| series.iter().any(|s| s.client == *n)) else { return Vec::new() };
    let target = |(column, factor)| {
        let median = |client: &str| median_of(series, client, &COLUMNS, column);
        let by = |client: &str| ratio(median(&name), median(client));
        Target::at_least(format!("{tg}: {column} better than {name}'s"), by(tg), factor, " times").floor(by(floor))
    };
    [("p99", P99_FACTOR), ("p50", P50_FACTOR)].map(target).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> Vec<Series> {
        let of = |client: &str, rounds: &[[f64; 8]]| Series {
            client: client.into(),
            rounds: rounds.iter().map(|r| r.to_vec()).collect(),
        };
        vec![
            of("tg epoll", &[[4.0, 9.0, 50.0, 150.0, 300.0, 70.0, 6.0, 2.0]]),
            of(
                "floor epoll",
                &[[4.0, 9.0, 40.0, 100.0, 300.0, 60.0, 3.0, 1.0], [5.0, 9.0, 60.0, 200.0, 1.0, 60.0, 3.0, 1.0]],
            ),
            of("ctraffic*", &[[200.0, 753.0, 300.0, 2487.0, 4823.0, 200.0, 8.3, f64::NAN]]),
        ]
    }

    fn lines(realtime: bool) -> Vec<String> {
        of(&series(), realtime).iter().map(Target::line).collect()
    }

    #[test]
    fn without_privileges() {
        let lines = lines(false);
        assert_eq!(lines[0], "met: tg epoll: p50: 4.00 µs (target: at most 10 µs)");
        assert_eq!(lines[2], "met: tg epoll: p99 within the floor's spread: 50.0 µs (target: at most 60 µs)");
        assert!(
            lines[3]
                .starts_with("the floor itself misses it by 14.3 %: tg epoll: p99 better than ctraffic*'s: 6.00 times"),
            "{lines:?}"
        );
        assert!(lines[4].starts_with("met: tg epoll: p50 better than ctraffic*'s: 50.0 times"), "{lines:?}");
        assert!(lines[5].starts_with("missed by 6.06 %: tg epoll: CPU a packet by the floor's: 1.17"), "{lines:?}");
    }

    #[test]
    fn with_privileges() {
        let lines = lines(true);
        assert!(lines[1].starts_with("met: tg epoll: p99.9 within the floor's spread: 150 µs"), "{lines:?}");
        assert!(lines[2].starts_with("missed by 100 %: tg epoll: most packets in any 1 ms: 2.00"), "{lines:?}");
        assert!(lines.iter().all(|line| !line.contains("ctraffic")));
    }
}
