//! What `reconnect` tells. Changes when its tables do.

use super::client::Client;
use super::{CONNS, Found, MANY, ONE};
use crate::machine;
use crate::quiet::Diary;
use crate::report::Page;
use crate::report::picture::{self, Panel, Picture};
use crate::report::series::{self, Series, median_of, medians, ratios, spreads};
use crate::report::target::Target;
use crate::suite::Options;

/// The yardstick's figures for ctraffic, of another machine of 2 cores: RST and FIN together.
const YARDSTICK_ONE: [f64; 7] = [f64::NAN, 107.0, 199.5, f64::NAN, 107.0, 199.5, f64::NAN];
const YARDSTICK_MANY: [f64; 5] = [f64::NAN, 198.0, f64::NAN, f64::NAN, f64::NAN];
const FLOOR: &str = "floor 1-5ms";
const OWN: [&str; 2] = ["tg epoll", "tg uring"];
const PAIRS: [(&str, &str); 2] = [(OWN[0], FLOOR), (OWN[1], FLOOR)];
const P50_MAX_MS: f64 = 0.2;
const P99_MAX_MS: f64 = 1.5;
const ALL_BACK_MAX_MS: f64 = 10.0;

pub fn make(options: &Options, found: &[Found], diary: &Diary) -> Page {
    let one = shown(found, |f| &f.one, &YARDSTICK_ONE);
    let many = shown(found, |f| &f.many, &YARDSTICK_MANY);
    let rounds = options.rounds;
    let counted = series::rounds(rounds);
    let title = format!("One connection, from the server's RST or FIN to the next SYN, ms; median of {counted}");
    let many_title = format!(
        "{CONNS} connections, the server ended (SIGTERM: FIN and RST in turn) and started again at once: from the \
         first end, and from the server's return, until all are back, ms; median of {counted}"
    );
    let mut tables = vec![
        medians(&title, &ONE, &one),
        ratios("Ratios of the medians", &ONE, &ONE[1..], &PAIRS, &one),
        medians(&many_title, &MANY, &many),
        ratios("Ratios of the medians", &MANY, &MANY[1..], &PAIRS, &many),
    ];
    if rounds > 1 {
        tables.push(spreads("One connection: least and greatest of the rounds", &ONE, &["RST p50", "FIN p50"], &one));
        let which = ["end→all p50", "return→all p50"];
        tables.push(spreads("Many: least and greatest of the rounds", &MANY, &which, &many));
    }
    Page {
        suite: "reconnect",
        intro: vec![
            format!("5 packets/s a connection; {counted} of {} s in turn", options.seconds),
            "Server: one connection: bench's own; many: `tg-cli serve` (epoll)".to_owned(),
            format!("Machine: {}", machine::describe()),
            diary.conclusion(),
        ],
        tables,
        targets: targets(&one, &many),
        picture: Some(drawn(&one, &many)),
        notes: notes(found),
        failures: Vec::new(),
    }
}

fn shown(found: &[Found], series: impl Fn(&Found) -> &Series, yardstick: &[f64]) -> Vec<Series> {
    let of = |f: &Found| match f.client {
        Client::Ctraffic if f.skipped.is_some() => {
            Series { client: format!("{}*", f.client.name()), rounds: vec![yardstick.to_vec()] }
        }
        _ => series(f).clone(),
    };
    found.iter().map(of).collect()
}

fn targets(one: &[Series], many: &[Series]) -> Vec<Target> {
    let of = |client: &str| {
        let ended = [("RST", "RST p50", "RST p99"), ("FIN", "FIN p50", "FIN p99")].map(|(how, p50, p99)| {
            [("p50", p50, P50_MAX_MS), ("p99", p99, P99_MAX_MS)].map(|(name, column, limit)| {
                let of = |client| median_of(one, client, &ONE, column);
                Target::at_most(format!("{client}: {how} → SYN, {name}"), of(client), limit, " ms").floor(of(FLOOR))
            })
        });
        let back = |client| median_of(many, client, &MANY, "return→all max");
        let what = format!("{client}: server's return → {CONNS} back, slowest");
        let back = Target::at_most(what, back(client), ALL_BACK_MAX_MS, " ms").floor(back(FLOOR));
        ended.into_iter().flatten().chain([back]).collect::<Vec<_>>()
    };
    OWN.into_iter().flat_map(of).collect()
}

fn drawn(one: &[Series], many: &[Series]) -> Picture {
    let panel = |title: String, x_axis: &str, columns: &[&str], which: &[&str], series: &[Series]| Panel::Lines {
        title,
        x_axis: x_axis.to_owned(),
        y_axis: "ms (logarithmic)".to_owned(),
        categories: which.iter().map(|c| (*c).to_owned()).collect(),
        lines: picture::lines(series, columns, which),
    };
    Picture {
        title: "reconnect: how long until a connection is asked for, or is back".to_owned(),
        panels: vec![
            panel(
                "One connection: from the server's RST or FIN to the next SYN".into(),
                "ended by, quantile",
                &ONE,
                &ONE[1..],
                one,
            ),
            panel(format!("{CONNS} connections: until all are back"), "from, over the ends", &MANY, &MANY[1..], many),
        ],
    }
}

fn notes(found: &[Found]) -> Vec<String> {
    let mut notes = vec![
        "All times are tcpdump's on lo. tg runs with `--backoff 1ms..5ms`, and so does one floor; the other \
         tries again 1 ms after each refusal. The floors send nothing. The server's return is its first grant that lasts."
            .to_owned(),
    ];
    for one in found {
        let name = one.client.name();
        match (&one.skipped, one.client) {
            (Some(_), Client::Ctraffic) => {
                let words = "* Not installed here: the yardstick's figures, of another machine of 2 cores, RST and \
                             FIN together.";
                notes.push(words.to_owned());
            }
            (Some(why), _) => notes.push(format!("{name}: skipped: {why}")),
            (None, _) => {}
        }
        let (incomplete, all) = one.incomplete;
        if incomplete > 0 {
            notes.push(format!(
                "{name}: not all of {CONNS} were lost and back within 1 s in {incomplete} of {all} ends."
            ));
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tg::Engine;
    use std::time::Duration;

    #[test]
    fn the_page_fits_and_marks_what_was_not_measured() {
        let found = |client: Client, skipped: Option<&str>, incomplete| {
            let series = |figures: &[f64]| {
                let rounds = if skipped.is_some() { Vec::new() } else { vec![figures.to_vec(); 2] };
                Series { client: client.name(), rounds }
            };
            let one = series(&[81.0, 0.14, 1.1, 1.4, 0.15, 1.2, 1.3]);
            let many = series(&[10.0, 12.5, 15.25, 4.5, 5.0]);
            Found { client, one, many, skipped: skipped.map(str::to_owned), incomplete }
        };
        let found = [
            found(Client::Tg(Engine::Epoll), None, (1, 20)),
            found(Client::Tg(Engine::Uring), Some("not built yet"), (0, 0)),
            found(Client::Floor, None, (0, 20)),
            found(Client::Ctraffic, Some("not installed"), (0, 0)),
        ];
        let programs = crate::programs::Programs { tg_cli: "tg-cli".into(), floor: "floor".into() };
        let options = Options { rounds: 2, seconds: 10, smoke: false, quiet_wait: Duration::ZERO, programs };
        let text = make(&options, &found, &Diary::new(Duration::ZERO)).text();
        assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
        assert!(text.contains("\ntg uring        –        –"), "{text}");
        assert!(text.contains("\nctraffic*       –      107      200        –      107      200        –\n"), "{text}");
        assert!(text.contains("\ntg epoll / floor 1-5ms     1.00     1.00"), "{text}");
        let flat = text.replace("\n  ", " ");
        assert!(flat.contains("\n- met: tg epoll: RST → SYN, p50: 0.14 ms (target: at most 0.2 ms)\n"), "{text}");
        assert!(text.contains("lost and back within 1 s in 1 of 20 ends."), "{text}");
        assert!(text.contains("- tg uring: skipped: not built yet\n"), "{text}");
    }
}
