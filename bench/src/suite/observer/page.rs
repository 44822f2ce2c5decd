//! What `observer` tells. Changes when its tables do.

use super::parts::{Flood, Programs};
use super::{COLUMNS, Client, Found};
use crate::machine;
use crate::quiet::Diary;
use crate::report::Page;
use crate::report::picture::{Panel, Picture, bars};
use crate::report::series::{self, Series, medians, short, spreads};
use crate::report::table::Table;
use crate::report::target::Target;
use crate::stats::Spread;
use crate::suite::Options;

/// Of the rate, for traffic that is not watched.
const COST_MAX: f64 = 3.0;
/// Of a core, for the seed's load.
const SEED_MAX: f64 = 1.0;

pub fn make(options: &Options, found: &Found, diary: &Diary) -> Page {
    let counted = series::rounds(options.rounds);
    let seconds = options.seconds;
    let title = format!(
        "Connects and closes, thousands a second and CPU time of each: as many as go, then 20 000/s; the observer's \
         share of a core, events lost; median of {counted}"
    );
    let mut tables = vec![medians(&title, &COLUMNS, &found.series)];
    if options.rounds > 1 {
        tables.push(spreads("Least and greatest of the rounds", &COLUMNS, &COLUMNS[..2], &found.series));
    }
    tables.extend(found.programs.iter().map(|(client, programs)| of_programs(*client, programs)));
    tables.push(flooded(&found.flood));
    Page {
        suite: "observer",
        intro: vec![
            format!(
                "One thread connects to itself on loopback and closes, in a namespace of its own; {seconds} s each, \
                 {counted} in turn"
            ),
            format!("Machine: {}", machine::describe()),
            diary.conclusion(),
        ],
        tables,
        targets: targets(found),
        picture: Some(drawn(&found.series)),
        notes: notes(found),
        failures: failures(&found.flood),
    }
}

/// A figure without an observer and with one that watches something else, of the same round: what that costs, per
/// cent, the median of the rounds.
fn cost(series: &[Series], column: usize, of: impl Fn(f64, f64) -> f64) -> Option<f64> {
    let rounds = |client: Client| series.iter().find(|s| s.client == client.name()).map(|s| s.rounds.iter());
    let both = rounds(Client::Nobody)?.zip(rounds(Client::Elsewhere)?);
    Spread::of(both.map(|(alone, observed)| of(alone[column], observed[column]) * 100.0)).map(|s| s.median)
}

fn targets(found: &Found) -> Vec<Target> {
    let rate = |column| cost(&found.series, column, |alone, observed| 1.0 - observed / alone);
    let cpu = |column| cost(&found.series, column, |alone, observed| observed / alone - 1.0);
    let at_most = |what: &str, cost| Target::at_most(format!("not watched, {what}"), cost, COST_MAX, " %");
    let lacking: u64 = found.flood.programs.iter().map(|p| p.made.abs_diff(p.recorded + p.lost)).sum();
    vec![
        at_most("20 000/s: of the rate", rate(2)),
        at_most("as many as go: of the rate", rate(0)),
        at_most("as many as go: of the CPU time of each", cpu(1)),
        Target::at_most(
            "of a core for 80 × 5/s with a reset a second",
            Some(found.seed.process + found.seed.programs),
            SEED_MAX,
            " %",
        ),
        Target::at_most("events of the flood that are neither recorded nor lost", Some(lacking as f64), 0.0, ""),
    ]
}

fn of_programs(client: Client, programs: &Programs) -> Table {
    let ran = programs.programs.iter().filter(|(_, f)| f.runs > 0);
    let row = |(name, f): (&String, &crate::observer::Figures)| {
        let each = |count: u64| short(count as f64 / programs.connects as f64);
        vec![name.clone(), each(f.runs), short(f.run_seconds * 1e9 / f.runs as f64), each(f.events), each(f.lost)]
    };
    Table {
        title: format!(
            "{}: programs' runs and events a connect, as the kernel counts and measures them (its own measuring is \
             some 35 ns of each run)",
            client.name()
        ),
        header: ["program", "runs", "ns/run", "events", "lost"].map(str::to_owned).into(),
        rows: ran.map(row).collect(),
    }
}

fn flooded(flood: &Flood) -> Table {
    let row = |p: &super::parts::Flooded| {
        let numbers = [p.made, p.recorded, p.lost, p.lines].map(|n| n.to_string());
        std::iter::once(p.program.to_owned()).chain(numbers).collect()
    };
    let made: u64 = flood.programs.iter().map(|p| p.made).sum();
    Table {
        title: format!(
            "A flood: {} connects that are refused in {} s, {made} events",
            flood.attempts,
            short(flood.seconds)
        ),
        header: ["program", "made", "recorded", "lost", "in the journal"].map(str::to_owned).into(),
        rows: flood.programs.iter().map(row).collect(),
    }
}

fn drawn(series: &[Series]) -> Picture {
    let panel = |column: &str, title: &str, axis: &str| Panel::Bars {
        title: title.to_owned(),
        axis: axis.to_owned(),
        rows: bars(series, &COLUMNS, column),
    };
    let panels = vec![
        panel("k/s", "Connects and closes by one thread", "thousands a second"),
        panel("µs", "CPU time of each", "µs"),
    ];
    Picture { title: "observer: what it costs".to_owned(), panels }
}

fn notes(found: &Found) -> Vec<String> {
    let seed = &found.seed;
    vec![
        format!(
            "80 × 5/s and one reset a second, {} s: {} % of a core in the observer's process, {} % in its programs \
             (with their run time measured); {} resets received.",
            short(seed.seconds),
            short(seed.process),
            short(seed.programs),
            seed.resets
        ),
        each_run(found),
        "Made: by /proc/net/snmp each attempt failed and was answered by one reset; with these two events come the \
         SYN's drop and two changes of the client's state."
            .to_owned(),
    ]
}

/// Where the cost of what is not watched comes from.
fn each_run(found: &Found) -> String {
    let cpu_us = |client: Client| series::median_of(&found.series, client.name(), &COLUMNS, COLUMNS[1]);
    let more_ns = cpu_us(Client::Elsewhere).zip(cpu_us(Client::Nobody)).map(|(with, alone)| (with - alone) * 1e3);
    let elsewhere = found.programs.iter().find(|(client, _)| *client == Client::Elsewhere);
    let runs = elsewhere.map(|(_, p)| p.programs.values().map(|f| f.runs).sum::<u64>() as f64 / p.connects as f64);
    match series::ratio(more_ns, runs).zip(runs) {
        Some((each, runs)) => format!(
            "A connect and close runs a program {} times, at each change of state, packet and drop. Not watched, each \
             run costs {} ns more CPU time, the kernel's way to the program included, which the programs cannot lower.",
            short(runs),
            short(each)
        ),
        None => "The kernel did not count the programs' runs.".to_owned(),
    }
}

fn failures(flood: &Flood) -> Vec<String> {
    let wrong = flood.programs.iter().filter(|p| p.made != p.recorded + p.lost || p.recorded != p.lines);
    wrong
        .map(|p| {
            let super::parts::Flooded { program, made, recorded, lost, lines } = p;
            format!("{program}: {made} made, {recorded} recorded, {lost} lost, {lines} in the journal")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::parts::{Flooded, Seed};
    use super::*;
    use crate::observer::Figures;
    use std::time::Duration;

    fn found() -> Found {
        let series = |client: Client, rounds: &[[f64; 6]]| Series {
            client: client.name().to_owned(),
            rounds: rounds.iter().map(|r| r.to_vec()).collect(),
        };
        let nan = f64::NAN;
        let figures = Figures { events: 0, lost: 0, runs: 200_000, run_seconds: 0.0128 };
        let of = |lost| Flooded { program: "drop", made: 9, recorded: 5, lost, lines: 5 };
        Found {
            series: vec![
                series(Client::Nobody, &[[80.0, 12.0, 20.0, 13.0, nan, nan], [60.0, 12.0, 20.0, 13.0, nan, nan]]),
                series(Client::Elsewhere, &[[76.0, 13.0, 20.0, 14.0, 0.2, nan], [51.0, 13.0, 20.0, 14.0, 0.2, nan]]),
                series(Client::Watched, &[[40.0, 20.0, 20.0, 21.0, 99.0, 1.5]; 2]),
            ],
            programs: vec![(
                Client::Elsewhere,
                Programs { connects: 20_000, programs: [("tcp-state".to_owned(), figures)].into() },
            )],
            seed: Seed { seconds: 5.0, process: 0.3, programs: 0.01, resets: 5 },
            flood: Flood { attempts: 9, seconds: 1.0, programs: vec![of(4), of(3)] },
        }
    }

    #[test]
    fn the_page_fits_and_tells_cost_and_what_is_lacking() {
        let programs = crate::programs::Programs { tg_cli: "tg-cli".into(), floor: "floor".into() };
        let options = Options { rounds: 2, seconds: 5, smoke: false, quiet_wait: Duration::ZERO, programs };
        let page = make(&options, &found(), &Diary::new(Duration::ZERO));
        let text = page.text();
        assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
        let flat = text.replace("\n  ", " ");
        assert!(flat.contains("met: not watched, 20 000/s: of the rate: 0 % (target: at most 3 %)"), "{text}");
        assert!(flat.contains("missed by 233 %: not watched, as many as go: of the rate: 10.0 %"), "{text}");
        assert!(flat.contains("missed by 1: events of the flood that are neither recorded nor lost: 1"), "{text}");
        assert!(text.contains("\ntcp-state  10.0    64.0       0     0\n"), "{text}");
        assert!(flat.contains("runs a program 10.0 times") && flat.contains("each run costs 100 ns more"), "{text}");
        assert_eq!(page.failures, ["drop: 9 made, 5 recorded, 3 lost, 5 in the journal"]);
    }
}
