//! What `reconnect` tells. Changes when its tables do.

use super::client::Client;
use super::{CONNS, Found, MANY, ONE};
use crate::machine;
use crate::quiet::Diary;
use crate::report::Page;
use crate::report::series::{self, Series, medians, ratios, spreads};
use crate::suite::Options;

/// The yardstick's figures for ctraffic, of another machine of 2 cores: RST and FIN together.
const YARDSTICK_ONE: [f64; 7] = [f64::NAN, 107.0, 199.5, f64::NAN, 107.0, 199.5, f64::NAN];
const YARDSTICK_MANY: [f64; 5] = [f64::NAN, 198.0, f64::NAN, f64::NAN, f64::NAN];
const PAIRS: [(&str, &str); 2] = [("tg epoll", "floor epoll"), ("tg uring", "floor epoll")];

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

fn notes(found: &[Found]) -> Vec<String> {
    let mut notes = vec![
        "All times are tcpdump's on lo. tg runs with `--backoff 1ms..5ms`; the floor tries again 1 ms after a \
         refusal, and sends nothing. The server's return is its first grant that lasts."
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
        let options = Options { rounds: 2, seconds: 10, quiet_wait: Duration::ZERO, programs };
        let text = make(&options, &found, &Diary::new(Duration::ZERO)).text();
        assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
        assert!(text.contains("\ntg uring        –        –"), "{text}");
        assert!(text.contains("\nctraffic*       –      107      200        –      107      200        –\n"), "{text}");
        assert!(text.contains("\ntg epoll / floor epoll     1.00     1.00"), "{text}");
        assert!(text.contains("lost and back within 1 s in 1 of 20 ends."), "{text}");
        assert!(text.contains("- tg uring: skipped: not built yet\n"), "{text}");
    }
}
