//! What `capacity` tells. Changes when its tables do.

use super::client::Client;
use super::{COLUMNS, Found, Setting, server_name};
use crate::machine;
use crate::quiet::Diary;
use crate::report::Page;
use crate::report::picture::{self, Panel, Picture};
use crate::report::series::{self, Series, median_of, medians, ratio, ratios, spreads};
use crate::report::target::Target;
use crate::suite::Options;
use crate::tg::Engine;

const ENGINES: [Engine; 2] = [Engine::Epoll, Engine::Uring];
const RATE: &str = COLUMNS[0];
/// By the floor of the same engine.
const RATE_FACTOR: f64 = 0.95;

pub fn make(options: &Options, setting: &Setting, found: &[Found], diary: &Diary) -> Page {
    let counted = series::rounds(options.rounds);
    let mut tables = Vec::new();
    let mut targets = Vec::new();
    let mut panels = Vec::new();
    for server in ENGINES.into_iter().filter(|server| measured(found, *server)) {
        let series: Vec<Series> = found.iter().filter(|f| f.server == server).map(shown).collect();
        let name = server_name(server);
        let title = format!("All clients to `{name}`; median of {counted}");
        tables.push(medians(&title, &COLUMNS, &series));
        let pairs = pairs(&series);
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(of, by)| (of.as_str(), by.as_str())).collect();
        tables.push(ratios("Ratios of the medians", &COLUMNS, &COLUMNS, &pairs, &series));
        if options.rounds > 1 {
            tables.push(spreads("Least and greatest of the rounds", &COLUMNS, &COLUMNS[..2], &series));
        }
        // As the yardsticks: each engine against a server of its own kind.
        targets.extend(targets_of(&series, server));
        panels.push(Panel::Bars {
            title: format!("All clients to `{name}`"),
            axis: "1000 round trips a second (the line: least to greatest of the rounds)".to_owned(),
            rows: picture::bars(&series, &COLUMNS, RATE),
        });
    }
    let load = &setting.load;
    let what = format!("{} connections, closed loop, {} bytes", load.conns, load.size);
    Page {
        suite: "capacity",
        intro: vec![
            format!("{what}; {counted} of {} s in turn; one thread, but for ×2", load.seconds),
            "Servers: the floor program's echo, one thread; a fresh process for each turn".to_owned(),
            format!("Machine: {}", machine::describe()),
            diary.conclusion(),
        ],
        tables,
        targets,
        picture: Some(Picture { title: format!("capacity: {what}"), panels }),
        notes: notes(found),
        failures: found.iter().filter_map(failure).collect(),
    }
}

fn measured(found: &[Found], server: Engine) -> bool {
    found.iter().any(|f| f.server == server && !f.series.rounds.is_empty())
}

/// As measured; of a peer that is not here, as the yardstick has it.
fn shown(found: &Found) -> Series {
    match found.client.yardstick() {
        Some(figures) if found.skipped.is_some() => {
            Series { client: format!("{}*", found.series.client), rounds: vec![figures.to_vec()] }
        }
        _ => found.series.clone(),
    }
}

/// Each engine by its floor, two threads by one and by the floor's two, and all by wrk.
fn pairs(series: &[Series]) -> Vec<(String, String)> {
    let wrk = series.iter().map(|s| &s.client).find(|name| name.starts_with("wrk"));
    let own = ENGINES.into_iter().flat_map(|engine| {
        let (tg, floor) = (format!("tg {engine}"), format!("floor {engine}"));
        let (tg_two, floor_two) = (format!("{tg} ×2"), format!("{floor} ×2"));
        let mut pairs = vec![
            (tg.clone(), floor.clone()),
            (tg_two.clone(), floor_two.clone()),
            (tg_two, tg.clone()),
            (floor_two, floor.clone()),
        ];
        if let Some(wrk) = wrk {
            pairs.extend([(tg, wrk.clone()), (floor, wrk.clone())]);
        }
        pairs
    });
    own.collect()
}

fn targets_of(series: &[Series], engine: Engine) -> Vec<Target> {
    let rate = |client: &str| median_of(series, client, &COLUMNS, RATE);
    let (tg, floor) = (format!("tg {engine}"), format!("floor {engine}"));
    let (two, floor_two) = (format!("{tg} ×2"), format!("{floor} ×2"));
    let by = |name: &str, reference: &str| ratio(rate(name), rate(reference));
    let mut targets = vec![
        Target::at_least(format!("{tg}: round trips/s by the floor's"), by(&tg, &floor), RATE_FACTOR, ""),
        Target::at_least(format!("{two}: round trips/s by one thread's"), by(&two, &tg), 1.0, "")
            .floor(by(&floor_two, &floor)),
    ];
    // The yardstick's figure is of another machine: no ratio to judge.
    if let Some(floor_by_wrk) = by(&floor, "wrk") {
        let what = format!("{tg}: round trips/s by wrk's, as the floor's are ({RATE_FACTOR} of it)");
        targets.push(Target::at_least(what, by(&tg, "wrk"), floor_by_wrk * RATE_FACTOR, " times"));
    }
    targets
}

fn notes(found: &[Found]) -> Vec<String> {
    let mut notes = vec![
        "Clients tell their round trips (ctraffic: its server does); CPU is the kernel's account, of the time \
         judged, by the rate; RSS the peak of the run. Client and server share the cores."
            .to_owned(),
        "×2: two client threads and the server are three busy threads; on two cores the floor's two, which share \
         nothing, lose by that what tg's do. What 16 cores would give is argued from a profile (bench/TRIED.md): a \
         round trip takes no lock and no allocation, and as many instructions with two threads as with one; so \
         threads with a core each should add up, as far as the server and the kernel's loopback do."
            .to_owned(),
    ];
    if found.iter().any(|f| f.skipped.is_some() && f.client.yardstick().is_some()) {
        notes.push(
            "* Not installed here: the yardstick's figures, of another machine of 2 cores and another server. Their \
             order of magnitude counts, not their ratio."
                .to_owned(),
        );
    }
    let own = found.iter().filter(|f| f.client.yardstick().is_none());
    notes.extend(own.filter_map(|f| {
        let why = f.skipped.as_ref()?;
        Some(format!("{} to {}: skipped: {why}", f.series.client, server_name(f.server)))
    }));
    notes
}

fn failure(found: &Found) -> Option<String> {
    let why = found.disputed.as_ref()?;
    let Client::Tg { .. } = found.client else { return None };
    Some(format!("{} to {} counts what its server does: {why}", found.series.client, server_name(found.server)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn page(wrk: Option<&str>) -> Page {
        let found: Vec<Found> = Client::ALL
            .into_iter()
            .map(|client| {
                let skipped = match client {
                    Client::Wrk => wrk,
                    Client::Ctraffic => Some("not installed"),
                    _ => None,
                };
                let rate = if matches!(client, Client::Tg { .. }) { 160.0 } else { 200.0 };
                let rounds = if skipped.is_some() { Vec::new() } else { vec![vec![rate, 5.5, 4.25]; 2] };
                let series = Series { client: client.name(), rounds };
                let disputed = (client.name() == "tg uring ×2").then(|| "7 echoes, 8".to_owned());
                Found { server: Engine::Epoll, client, series, skipped: skipped.map(str::to_owned), disputed }
            })
            .collect();
        let programs = crate::programs::Programs { tg_cli: "tg-cli".into(), floor: "floor".into() };
        let load = crate::load::Load { conns: 80, rate: f64::INFINITY, size: 1024, seconds: 5 };
        let setting = Setting { programs: &programs, load, directory: std::path::Path::new(".") };
        let options =
            Options { rounds: 2, seconds: 5, smoke: false, quiet_wait: Duration::ZERO, programs: programs.clone() };
        make(&options, &setting, &found, &Diary::new(Duration::ZERO))
    }

    #[test]
    fn peers_that_are_absent_are_marked_and_not_judged() {
        let page = page(Some("not installed"));
        let text = page.text();
        let flat = text.replace("\n  ", " ");
        assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
        assert!(text.contains("\nctraffic*          108    8.90"), "{text}");
        assert!(text.contains("\ntg epoll / wrk*") && text.contains("\n- * Not installed here"), "{text}");
        assert!(!page.targets.iter().any(|t| t.line().contains("by wrk's")));
        assert!(flat.contains("\n- missed by 15.8 %: tg epoll: round trips/s by the floor's: 0.80 (target"), "{text}");
    }

    #[test]
    fn peers_that_are_here_are_judged() {
        let page = page(None);
        assert!(page.targets.iter().any(|t| t.line().contains("by wrk's")));
        assert_eq!(page.failures.len(), 1);
        assert!(page.failures[0].starts_with("tg uring ×2 to floor serve epoll counts"));
        assert!(page.picture.unwrap().svg().unwrap().contains("round trips a second"));
    }
}
