//! What `accuracy` tells. Changes when its tables do.

use super::client::{Client, Setting};
use super::{COLUMNS, Found, targets};
use crate::floor::Approach;
use crate::machine;
use crate::peers::Peer;
use crate::quiet::Diary;
use crate::report::Page;
use crate::report::picture::{self, Panel, Picture};
use crate::report::series::{self, Series, medians, ratios, short, spreads};
use crate::report::table::Table;
use crate::stats::Spread;
use crate::tg::{Agreement, agree};

/// A client that sent less or more of its load than this is told of.
const LOAD_TOLERANCE: f64 = 0.02;
const SPREAD_COLUMNS: [&str; 4] = ["p50", "p99", "p99.9", "CPU"];

pub fn make(setting: &Setting, rounds: u32, found: &[Found], diary: &Diary) -> Page {
    let counted = series::rounds(rounds);
    let series: Vec<Series> = found.iter().map(shown).collect();
    let period_ms = setting.load.period_ns() / 1_000_000;
    let title = format!(
        "|interval − {period_ms} ms| in µs, CPU in µs/packet, RSS in MiB, most packets in any 1 ms; median of {counted}"
    );
    let mut tables = vec![
        medians(&title, &COLUMNS, &series),
        ratios("Ratios of the medians", &COLUMNS, &COLUMNS[..7], &pairs(&series), &series),
    ];
    if rounds > 1 {
        tables.push(spreads("Least and greatest of the rounds", &COLUMNS, &SPREAD_COLUMNS, &series));
    }
    let agreements: Vec<(&str, Compared)> =
        found.iter().filter_map(|f| Some((f.series.client.as_str(), Compared::of(&f.agreements)?))).collect();
    tables.push(agreement_table(&agreements));
    let disputed = found.iter().filter_map(|f| {
        let (client, why) = (&f.series.client, f.disputed.as_ref()?);
        Some(format!("{client} and the capture speak of the same packets: {why}"))
    });
    let failures = agreements.iter().flat_map(|(client, compared)| compared.failures(client)).chain(disputed).collect();
    Page {
        suite: if setting.realtime { "accuracy-realtime" } else { "accuracy" },
        intro: intro(setting, rounds, diary),
        tables,
        targets: targets::of(&series, setting.realtime),
        picture: Some(drawn(setting, &series)),
        notes: notes(setting, found),
        failures,
    }
}

/// As measured; of a peer that is not here, as the yardstick has it.
fn shown(found: &Found) -> Series {
    match found.client {
        Client::Peer(peer) if found.skipped.is_some() => {
            let rounds = peer.yardstick().map(|figures| figures.to_vec()).into_iter().collect();
            Series { client: format!("{}*", peer.name()), rounds }
        }
        _ => found.series.clone(),
    }
}

fn drawn(setting: &Setting, series: &[Series]) -> Picture {
    let quantiles = &COLUMNS[..5];
    let period_ms = setting.load.period_ns() / 1_000_000;
    let panels = vec![
        Panel::Lines {
            title: format!("Distance of intervals from {period_ms} ms, on the wire"),
            x_axis: "quantile".to_owned(),
            y_axis: "µs (logarithmic)".to_owned(),
            categories: quantiles.iter().map(|q| (*q).to_owned()).collect(),
            lines: picture::lines(series, &COLUMNS, quantiles),
        },
        Panel::Bars {
            title: "CPU of the client".to_owned(),
            axis: "µs a packet".to_owned(),
            // It spins a whole core: beside it nothing could be told apart.
            rows: picture::bars(series, &COLUMNS, "CPU")
                .into_iter()
                .filter(|bar| !bar.name.starts_with("sockperf"))
                .collect(),
        },
    ];
    let privileges = if setting.realtime { ", --realtime" } else { "" };
    Picture { title: format!("accuracy: {}{privileges}", setting.load), panels }
}

/// Each engine by its floor, each peer by tg.
fn pairs(series: &[Series]) -> Vec<(&str, &str)> {
    let own = [("tg epoll", "floor epoll"), ("tg uring", "floor uring")];
    let is_peer = |name: &str| Peer::ALL.iter().any(|p| p.name() == name.trim_end_matches('*'));
    let peers = series.iter().map(|s| s.client.as_str()).filter(|name| is_peer(name));
    own.into_iter().chain(peers.map(|name| (name, "tg epoll"))).collect()
}

fn intro(setting: &Setting, rounds: u32, diary: &Diary) -> Vec<String> {
    let counted = series::rounds(rounds);
    let privileges = if setting.realtime { "--realtime" } else { "defaults, no privileges" };
    vec![
        format!("{}; {counted} in turn; {privileges}", setting.load),
        format!(
            "Server: `tg-cli serve` (epoll) on {}, the same for all (sockperf and iperf3: their own)",
            setting.server
        ),
        format!("Machine: {}", machine::describe()),
        diary.conclusion(),
    ]
}

fn notes(setting: &Setting, found: &[Found]) -> Vec<String> {
    let mut notes = vec![
        "Send times are tcpdump's on lo; clients and server share the cores. CPU is of the time judged, RSS the \
         peak of the run."
            .to_owned(),
    ];
    let approaches = ["epoll", "uring"].iter().zip(setting.approaches).filter_map(|(engine, approach)| {
        let Approach { nap_ns, spin_ns } = approach?;
        let [nap, spin] = [nap_ns, spin_ns].map(|ns| short(ns as f64 / 1e3));
        Some(format!("{engine}: a nap of {nap} µs, {spin} µs awake"))
    });
    notes.push(format!(
        "Before a packet, as tg chose at last and the floor was given: {}.",
        approaches.collect::<Vec<_>>().join("; ")
    ));
    if found.iter().any(|f| matches!(f.client, Client::Peer(peer) if peer.yardstick().is_some()) && f.skipped.is_some())
    {
        notes.push(
            "* Not installed here: the yardstick's figures, of 10 s on another machine of 2 cores. Their order of \
             magnitude counts, not their ratio."
                .to_owned(),
        );
    }
    for one in found.iter().filter(|f| !matches!(f.client, Client::Peer(_))) {
        notes.extend(one.skipped.as_ref().map(|why| format!("{}: skipped: {why}", one.series.client)));
    }
    for one in found.iter().filter(|f| (f.load - 1.0).abs() > LOAD_TOLERANCE) {
        notes.push(format!("{} sent {:.0} % of its load.", one.series.client, one.load * 100.0));
    }
    notes
}

/// Medians over the rounds, µs: tg's own word, the wire's, and own − wire.
#[derive(Clone, Copy, Debug)]
struct Compared {
    p50: [f64; 3],
    p99: [f64; 3],
}

impl Compared {
    fn of(agreements: &[Agreement]) -> Option<Compared> {
        let median = |value: fn(&Agreement) -> f64| Some(Spread::of(agreements.iter().map(value))?.median);
        Some(Compared {
            p50: [median(|a| a.own_p50)?, median(|a| a.wire_p50)?, median(|a| a.own_p50 - a.wire_p50)?],
            p99: [median(|a| a.own_p99)?, median(|a| a.wire_p99)?, median(|a| a.own_p99 - a.wire_p99)?],
        })
    }

    fn failures(&self, client: &str) -> Vec<String> {
        [("p50", self.p50), ("p99", self.p99)]
            .into_iter()
            .filter(|(_, [_, wire, difference])| !agree(wire + difference, *wire))
            .map(|(name, [own, wire, _])| {
                let (own, wire) = (short(own), short(wire));
                format!("{client}'s own lateness {name}, {own} µs, agrees with the wire's, {wire} µs (5 µs or 10 %)")
            })
            .collect()
    }
}

fn agreement_table(compared: &[(&str, Compared)]) -> Table {
    let header = ["client", "p50 own", "on wire", "own − wire", "p99 own", "on wire", "own − wire"];
    let row = |(client, c): &(&str, Compared)| {
        let figures = c.p50.into_iter().chain(c.p99).map(short);
        std::iter::once((*client).to_owned()).chain(figures).collect()
    };
    Table {
        title: "tg's word on its lateness (sent − due), µs".to_owned(),
        header: header.map(str::to_owned).into(),
        rows: compared.iter().map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tg::Engine;
    use std::time::Duration;

    fn found(client: Client, rounds: &[[f64; 8]], skipped: Option<&str>) -> Found {
        let series = Series { client: client.name(), rounds: rounds.iter().map(|r| r.to_vec()).collect() };
        Found { client, series, agreements: Vec::new(), disputed: None, skipped: skipped.map(str::to_owned), load: 1.0 }
    }

    fn sample() -> Vec<Found> {
        let agreement = Agreement { own_p50: 3.0, wire_p50: 9.0, own_p99: 95.0, wire_p99: 100.0 };
        let tg = found(Client::Tg(Engine::Epoll), &[[4.0, 9.0, 40.0, 100.0, 300.0, 70.0, 6.0, 2.0]; 2], None);
        vec![
            Found { agreements: vec![agreement; 2], ..tg },
            found(Client::Floor(Engine::Epoll), &[[2.0, 9.0, 40.0, 100.0, 300.0, 70.0, 3.0, 2.0]; 2], None),
            found(Client::Tg(Engine::Uring), &[], Some("not built yet")),
            found(Client::Peer(Peer::Ctraffic), &[], Some("not installed")),
        ]
    }

    fn text(found: &[Found]) -> Page {
        let programs = crate::programs::Programs { tg_cli: "tg-cli".into(), floor: "floor".into() };
        let setting = Setting {
            programs: &programs,
            load: crate::load::Load { conns: 80, rate: 5.0, size: 1024, seconds: 10 },
            server: ([127, 0, 0, 1], 5003).into(),
            realtime: false,
            directory: std::path::Path::new("."),
            approaches: [Some(Approach { nap_ns: 200_000, spin_ns: 61_500 }), None],
        };
        make(&setting, 2, found, &Diary::new(Duration::ZERO))
    }

    #[test]
    fn absent_peers_are_the_yardsticks_and_marked() {
        let text = text(&sample()).text();
        assert!(text.contains("\nctraffic*     297   753  1010   2487  4823"), "{text}");
        assert!(text.contains("\nctraffic* / tg epoll") && text.contains("\n- * Not installed here"), "{text}");
        assert!(text.contains("tg epoll / floor epoll  2.00  1.00"), "{text}");
        assert!(text.contains("\n- tg uring: skipped: not built yet\n"), "{text}");
        assert!(
            text.split_whitespace().collect::<Vec<_>>().join(" ").contains("epoll: a nap of 200 µs, 61.5 µs awake."),
            "{text}"
        );
        assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
    }

    #[test]
    fn packets_that_one_of_them_misses_are_a_failure() {
        let mut found = sample();
        found[0].disputed = Some("400 packets due, 399 sent".into());
        let page = text(&found);
        assert!(page.failures.iter().any(|f| f.ends_with("the same packets: 400 packets due, 399 sent")));
    }

    #[test]
    fn a_word_that_the_wire_contradicts_is_a_failure() {
        let page = text(&sample());
        assert_eq!(
            page.failures,
            ["tg epoll's own lateness p50, 3.00 µs, agrees with the wire's, 9.00 µs (5 µs or 10 %)"]
        );
    }
}
