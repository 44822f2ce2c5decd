//! What `scale` tells. Changes when its tables do.

use super::client::{BATCH, Client, Who};
use super::wire::Compared;
use super::{Found, Loads, MANY, SIZES, picture};
use crate::load::Load;
use crate::machine;
use crate::quiet::Diary;
use crate::report::Page;
use crate::report::series::{self, Series, median_of, medians, ratio, ratios, short, spreads};
use crate::report::table::Table;
use crate::report::target::Target;
use crate::suite::Options;
use crate::tg::agree;

/// One run on another machine of 2 cores: |interval − period| for lateness, µs; CPU; RSS.
const YARDSTICK: [f64; 6] = [380.0, 7200.0, f64::NAN, f64::NAN, 16.4, 20.0];
const LATE_P99_MAX_US: f64 = 100.0;
const CPU_FACTOR: f64 = 1.1;
const BATCH_CPU_MAX_US: f64 = 8.0;
const EACH_MAX_BYTES: f64 = 2048.0;
const CONNECT_P99_MAX_MS: f64 = 250.0;
/// Beyond it, there is no aim for how long connects take: the kernel's search for free ports is a part of it.
const CONNECTS_JUDGED_MAX: u32 = 10_000;
const LATE_FACTOR: f64 = 1.2;

pub fn make(options: &Options, loads: &Loads, found: &[Found], wire: &[Compared], apart: bool, diary: &Diary) -> Page {
    let counted = series::rounds(options.rounds);
    let mut many: Vec<Series> = found.iter().map(|f| f.many.clone()).collect();
    let sizes: Vec<(&Load, Vec<Series>)> = loads.sizes().enumerate().map(|(i, load)| (load, size(found, i))).collect();
    many.push(Series { client: "ctraffic*".to_owned(), rounds: vec![YARDSTICK.to_vec()] });
    let title = format!(
        "{}: lateness in µs, packets without an echo, CPU in µs/packet, RSS in MiB; median of {counted}",
        loads.many
    );
    let pairs: Vec<(String, String)> = clients(found).map(|c| (c.name(), c.floor().name())).collect();
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(of, by)| (of.as_str(), by.as_str())).collect();
    let ratio_columns = ["late p50", "p99", "CPU", "RSS"];
    let mut tables =
        vec![medians(&title, &MANY, &many), ratios("Ratios of the medians", &MANY, &ratio_columns, &pairs, &many)];
    if options.rounds > 1 {
        tables.push(spreads("Least and greatest of the rounds", &MANY, &["p99", "CPU"], &many));
    }
    tables.push(wire_table(wire));
    for (load, series) in &sizes {
        let title = format!(
            "{load}: failures, connects in ms, lateness in µs, CPU in µs/packet, RSS in MiB and in bytes a connection; \
             median of {counted}"
        );
        tables.push(medians(&title, &SIZES, series));
        if options.rounds > 1 {
            tables.push(spreads("Least and greatest of the rounds", &SIZES, &["late p99", "CPU"], series));
        }
    }
    let growth = &sizes[..loads.growth.len()];
    tables.push(growth_table("Growth: CPU, µs/packet, by connections", "CPU", growth));
    tables.push(growth_table("Growth: bytes a connection, by connections", "B/conn", growth));
    let disagreements = wire.iter().filter_map(|(client, compared)| disagreement(client, compared.as_ref().ok()?));
    let broken = found.iter().flat_map(|f| f.broken.iter().map(|why| format!("each turn ends well: {why}")));
    Page {
        suite: "scale",
        intro: intro(options, loads, apart, diary),
        tables,
        targets: targets(found, &many, loads, &sizes),
        picture: Some(picture::of(&loads.many, &many, growth)),
        notes: notes(found, wire),
        failures: disagreements.chain(broken).collect(),
    }
}

fn clients(found: &[Found]) -> impl Iterator<Item = Client> {
    found.iter().map(|f| f.client).filter(|c| c.who == Who::Tg)
}

/// The figures of one size.
fn size(found: &[Found], index: usize) -> Vec<Series> {
    found.iter().filter_map(|f| f.sizes.get(index).cloned()).collect()
}

fn intro(options: &Options, loads: &Loads, apart: bool, diary: &Diary) -> Vec<String> {
    let counted = series::rounds(options.rounds);
    let cores = if apart { "it has the last core, packet threads have the others" } else { "one core for all" };
    vec![
        format!(
            "{counted} in turn, {} s each; at most {} connections: {}",
            options.seconds, loads.limit.conns, loads.limited_by
        ),
        format!("Server: `floor serve epoll`, one thread, a fresh process for each turn, the same for all; {cores}"),
        format!("Machine: {}", machine::describe()),
        diary.conclusion(),
    ]
}

fn wire_table(wire: &[Compared]) -> Table {
    let header = ["client", "p50 own", "on wire", "p99 own", "on wire"];
    let row = |(client, compared): &Compared| {
        let a = compared.as_ref().ok()?;
        let figures = [a.own_p50, a.wire_p50, a.own_p99, a.wire_p99].map(short);
        Some(std::iter::once(client.clone()).chain(figures).collect())
    };
    Table {
        title: "The same load captured, apart from the rounds: lateness, µs".to_owned(),
        header: header.map(str::to_owned).into(),
        rows: wire.iter().filter_map(row).collect(),
    }
}

fn disagreement(client: &str, a: &crate::tg::Agreement) -> Option<String> {
    let agrees = agree(a.own_p50, a.wire_p50) && agree(a.own_p99, a.wire_p99);
    (!agrees).then(|| {
        let [p50, wire_p50, p99, wire_p99] = [a.own_p50, a.wire_p50, a.own_p99, a.wire_p99].map(short);
        format!(
            "{client}'s own lateness, p50 {p50} µs and p99 {p99} µs, agrees with the wire's, {wire_p50} µs and \
             {wire_p99} µs (5 µs or 10 %)"
        )
    })
}

fn growth_table(title: &str, column: &str, growth: &[(&Load, Vec<Series>)]) -> Table {
    let names: Vec<String> =
        growth.first().map(|(_, s)| s.iter().map(|s| s.client.clone()).collect()).unwrap_or_default();
    let cell =
        |name: &str, series: &[Series]| median_of(series, name, &SIZES, column).map_or_else(|| "–".to_owned(), short);
    let row = |name: String| {
        let cells: Vec<String> = growth.iter().map(|(_, series)| cell(&name, series)).collect();
        std::iter::once(name).chain(cells).collect()
    };
    let header = std::iter::once("client".to_owned()).chain(growth.iter().map(|(load, _)| load.conns.to_string()));
    Table { title: title.to_owned(), header: header.collect(), rows: names.into_iter().map(row).collect() }
}

fn targets(found: &[Found], many: &[Series], loads: &Loads, sizes: &[(&Load, Vec<Series>)]) -> Vec<Target> {
    let mut targets = Vec::new();
    for client in clients(found) {
        let (tg, floor) = (client.name(), client.floor().name());
        let of = |name: &str, column| median_of(many, name, &MANY, column);
        let at = format!("{tg}, {} connections", loads.many.conns);
        let missing = Target::at_most(format!("{at}: packets without an echo"), of(&tg, "missing"), 0.0, "");
        targets.push(missing.floor(of(&floor, "missing")));
        if client.batch {
            let what = format!("{at}, --batch {BATCH}: CPU a packet");
            targets.push(Target::at_most(what, of(&tg, "CPU"), BATCH_CPU_MAX_US, " µs").floor(of(&floor, "CPU")));
            continue;
        }
        let late = Target::at_most(format!("{at}: lateness p99"), of(&tg, "p99"), LATE_P99_MAX_US, " µs");
        targets.push(late.floor(of(&floor, "p99")));
        let cpu = ratio(of(&tg, "CPU"), of(&floor, "CPU"));
        targets.push(Target::at_most(format!("{at}: CPU a packet by the floor's"), cpu, CPU_FACTOR, ""));
        // The most of growth, and the limit.
        let largest = sizes.len().saturating_sub(2);
        for (load, series) in &sizes[largest..] {
            targets.extend(by_size(&tg, &floor, load, series));
        }
    }
    targets
}

fn by_size(tg: &str, floor: &str, load: &Load, series: &[Series]) -> Vec<Target> {
    let of = |name: &str, column| median_of(series, name, &SIZES, column);
    let at = format!("{tg}, {} connections", load.conns);
    let late = ratio(of(tg, "late p99"), of(floor, "late p99"));
    let mut targets = vec![
        Target::at_most(format!("{at}: failures"), of(tg, "failed"), 0.0, "").floor(of(floor, "failed")),
        Target::at_most(format!("{at}: memory a connection"), of(tg, "B/conn"), EACH_MAX_BYTES, " bytes"),
        Target::at_most(format!("{at}: lateness p99 by the floor's"), late, LATE_FACTOR, ""),
    ];
    if load.conns <= CONNECTS_JUDGED_MAX {
        let connects = Target::at_most(format!("{at}: connect p99"), of(tg, "p99"), CONNECT_P99_MAX_MS, " ms");
        targets.push(connects.floor(of(floor, "p99")));
    }
    targets
}

fn notes(found: &[Found], wire: &[Compared]) -> Vec<String> {
    let mut notes = vec![
        "Clients tell their lateness and connects; CPU and memory are the kernel's account, of the time in which all \
         send. Floors nap and spin as long as tg chose. Bytes a connection: more memory than with the fewest \
         connections, in the same round: what all share grows, too, and is spread over more of them."
            .to_owned(),
        "* Never run here: the yardstick's figures, of another machine of 2 cores; |interval − period| stands for its \
         lateness."
            .to_owned(),
    ];
    notes.push(
        "Linux seeks a port among the even ones first, and looks through all of these in vain once half of the range \
         is connected to one server. tg's sockets and the floor's ask for the next port of all instead \
         (IP_LOCAL_PORT_RANGE)."
            .to_owned(),
    );
    notes.extend(found.iter().filter_map(|f| Some(format!("{}: skipped: {}", f.client.name(), f.skipped.as_ref()?))));
    let unknown = wire.iter().filter_map(|(client, compared)| {
        Some(format!("{client}: its word could not be held against the wire's: {}", compared.as_ref().err()?))
    });
    notes.extend(unknown);
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tg::Agreement;
    use std::time::Duration;

    fn page() -> Page {
        let load = |conns, rate| Load { conns, rate, size: 1024, seconds: 6 };
        let loads = Loads {
            many: load(1000, 50.0),
            growth: vec![load(100, 100.0), load(10_000, 1.0)],
            limit: load(19_900, 1.0),
            limited_by: "the file limit, 20000".into(),
        };
        let found = |client: Client| {
            let skipped = (client.who == Who::Tg && client.batch).then(|| "no flag".to_owned());
            let name = client.name();
            let series = |row: Vec<f64>| Series { client: name.clone(), rounds: vec![row; 2] };
            let none = Series { client: name.clone(), rounds: Vec::new() };
            let late = if client.who == Who::Tg { 150.0 } else { 120.0 };
            let many = if skipped.is_some() { none } else { series(vec![14.0, late, 900.0, 0.0, 17.5, 4.0]) };
            let size = |each| series(vec![0.0, 0.05, 12.0, 18.0, 44.0, 36.0, 20.0, each]);
            let sizes = if client.batch { Vec::new() } else { vec![size(f64::NAN), size(1500.0), size(2560.0)] };
            Found { client, many, sizes, skipped, broken: Vec::new() }
        };
        let found: Vec<Found> = Client::all().into_iter().map(found).collect();
        let agreement = Agreement { own_p50: 3.0, wire_p50: 4.0, own_p99: 95.0, wire_p99: 200.0 };
        let wire = vec![("tg epoll".to_owned(), Ok(agreement)), ("tg uring".to_owned(), Err("frames lost".to_owned()))];
        let programs = crate::programs::Programs { tg_cli: "tg-cli".into(), floor: "floor".into() };
        let options = Options { rounds: 2, seconds: 6, smoke: false, quiet_wait: Duration::ZERO, programs };
        make(&options, &loads, &found, &wire, true, &Diary::new(Duration::ZERO))
    }

    #[test]
    fn the_page_fits_and_judges() {
        let text = page().text();
        let flat = text.replace("\n  ", " ");
        assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
        assert!(
            flat.contains("- the floor itself misses it by 20.0 %: tg epoll, 1000 connections: lateness p99"),
            "{text}"
        );
        assert!(flat.contains("- missed by 25.0 %: tg uring, 19900 connections: memory a connection: 2560"), "{text}");
        assert!(flat.contains("- not measured: tg uring batch, 1000 connections, --batch 1ms"), "{text}");
        assert!(text.contains("- tg epoll batch: skipped: no flag"), "{text}");
        assert!(text.contains("\nGrowth: bytes a connection, by connections\nclient       100  10000\n"), "{text}");
    }

    #[test]
    fn a_word_that_the_wire_contradicts_is_a_failure() {
        let page = page();
        assert_eq!(page.failures.len(), 1);
        assert!(page.failures[0].starts_with("tg epoll's own lateness"));
        assert!(page.notes.iter().any(|n| n.ends_with("against the wire's: frames lost")));
        assert!(page.picture.unwrap().svg().unwrap().contains("10000"));
    }
}
