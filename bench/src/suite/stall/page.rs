//! What `stall` tells. Changes when its tables do.

use super::client::Client;
use super::facts::Stall;
use super::{COLUMNS, Found};
use crate::machine;
use crate::quiet::Diary;
use crate::report::Page;
use crate::report::picture::{Line, Panel, Picture, lines};
use crate::report::series::{self, Series, median_of, medians, short, spreads};
use crate::report::target::Target;
use crate::suite::Options;

/// Beyond what arithmetic says: the server has its backlog to answer.
const TOLERANCE: f64 = 1.1;
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

pub fn make(options: &Options, stall: &Stall, found: &[Found], diary: &Diary) -> Page {
    let counted = series::rounds(options.rounds);
    let stall_ms = stall.time.as_secs_f64() * 1e3;
    let mut series: Vec<Series> = found.iter().map(|f| f.series.clone()).collect();
    series.push(arithmetic(stall));
    let title =
        format!("Latency (echo − due) and service time (svc: echo − sent) in ms, packets dropped; median of {counted}");
    let mut tables = vec![medians(&title, &COLUMNS, &series)];
    if options.rounds > 1 {
        tables.push(spreads("Least and greatest of the rounds", &COLUMNS, &["p99", "max"], &series));
    }
    let wrong = found.iter().flat_map(|f| f.wrong.iter().map(|why| format!("{}: {why}", f.client.name())));
    Page {
        suite: "stall",
        intro: vec![
            format!("{}; {counted} in turn", stall.load),
            format!("Server: bench's own echo; it stands still for {stall_ms:.0} ms in each run"),
            format!("Machine: {}", machine::describe()),
            diary.conclusion(),
        ],
        tables,
        targets: targets(stall, found, &series),
        picture: Some(drawn(stall, &series)),
        notes: notes(stall, found),
        failures: wrong.collect(),
    }
}

/// What an open loop without any other delay would show.
fn arithmetic(stall: &Stall) -> Series {
    let quantiles = QUANTILES.iter().map(|(_, q)| stall.latency_ms(*q).unwrap_or(f64::NAN));
    let row = quantiles.chain([stall.time.as_secs_f64() * 1e3, f64::NAN, f64::NAN, 0.0]).collect();
    Series { client: "arithmetic".to_owned(), rounds: vec![row] }
}

fn targets(stall: &Stall, found: &[Found], series: &[Series]) -> Vec<Target> {
    let mut targets = Vec::new();
    for one in found {
        let Client::Tg { closed_loop, .. } = one.client else { continue };
        let name = one.client.name();
        let of = |column| median_of(series, &name, &COLUMNS, column);
        let measured = !one.series.rounds.is_empty();
        let wrong = measured.then_some(one.wrong.len() as f64);
        targets.push(Target::at_most(format!("{name}: facts that do not hold"), wrong, 0.0, ""));
        targets.push(Target::at_least(format!("{name}: greatest latency"), of("max"), stall.greatest_ms(), " ms"));
        if !closed_loop && let Some(p99) = stall.latency_ms(0.99) {
            targets.push(Target::at_least(format!("{name}: latency p99"), of("p99"), p99 * 0.99, " ms"));
            targets.push(Target::at_most(format!("{name}: latency p99"), of("p99"), p99 * TOLERANCE, " ms"));
        }
    }
    targets
}

fn drawn(stall: &Stall, series: &[Series]) -> Picture {
    let which = &COLUMNS[..5];
    let mut lines: Vec<Line> = lines(series, &COLUMNS, which);
    lines.sort_by_key(|line| line.name != "arithmetic");
    let latency = Panel::Lines {
        title: "Latency that each tells".to_owned(),
        x_axis: "quantile".to_owned(),
        y_axis: "ms (logarithmic)".to_owned(),
        categories: which.iter().map(|c| (*c).to_owned()).collect(),
        lines,
    };
    let stall_ms = short(stall.time.as_secs_f64() * 1e3);
    Picture { title: format!("stall: a server that stands still for {stall_ms} ms"), panels: vec![latency] }
}

fn notes(stall: &Stall, found: &[Found]) -> Vec<String> {
    let waiting = stall.time.as_secs_f64() * stall.load.total_rate();
    let mut notes = vec![
        format!(
            "By arithmetic {waiting:.0} packets are due while the server stands, each waits for what is left of it. \
             Checked in each round: every packet due is accounted for, the greatest latency and the p99 show the \
             stall."
        ),
        "Closed loop: of each connection one packet waits for its echo and a second one for the first; the others \
         are dropped, and counted. Checked: the second one has the stall in its latency, and only its own time in its \
         service time."
            .to_owned(),
        "wrk has one request out on each connection: it tells of one slow answer each, whatever was due meanwhile."
            .to_owned(),
    ];
    notes.extend(found.iter().filter_map(|f| Some(format!("{}: skipped: {}", f.client.name(), f.skipped.as_ref()?))));
    notes.push("ctraffic tells no latency.".to_owned());
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Load;
    use std::time::Duration;

    #[test]
    fn the_page_fits_and_tells_what_does_not_hold() {
        let found: Vec<Found> = Client::ALL
            .into_iter()
            .map(|client| {
                let is_peer = !matches!(client, Client::Tg { .. });
                let rounds =
                    if is_peer { Vec::new() } else { vec![vec![0.1, 0.2, 402.0, 490.0, 500.0, 490.0, 500.0, 0.0]; 2] };
                let series = Series { client: client.name(), rounds };
                let skipped = is_peer.then(|| "not installed".to_owned());
                let wrong = if client == Client::ALL[1] {
                    vec!["no connection is lost, it has 3".to_owned()]
                } else {
                    Vec::new()
                };
                Found { client, series, skipped, wrong }
            })
            .collect();
        let programs = crate::programs::Programs { tg_cli: "tg-cli".into(), floor: "floor".into() };
        let options = Options { rounds: 2, seconds: 10, smoke: false, quiet_wait: Duration::ZERO, programs };
        let stall =
            Stall { load: Load { conns: 80, rate: 50.0, size: 1024, seconds: 10 }, time: Duration::from_millis(500) };
        let page = make(&options, &stall, &found, &Diary::new(Duration::ZERO));
        let text = page.text();
        let flat = text.replace("\n  ", " ");
        assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
        assert!(
            text.contains("\narithmetic          –     –  400    490  500          –        –        0\n"),
            "{text}"
        );
        assert!(flat.contains("- met: tg epoll: latency p99: 402 ms (target: at least 396 ms)"), "{text}");
        assert!(flat.contains("- missed by 1: tg uring: facts that do not hold"), "{text}");
        assert_eq!(page.failures, ["tg uring: no connection is lost, it has 3"]);
    }
}
