//! ctraffic's side of reports: its JSON and its analyses from journals, and what can be said of its own
//! files.

use super::CUT;
use super::input::Input;
use super::text::{self, Page};
use crate::exit::Problem;
use crate::output;
use crate::span;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::BufRead;
use tg_model::ctraffic::{self, Analysis, FromJournal, Statistics};
use tg_model::journal::{Line, Reader};

/// Prints a journal as ctraffic's JSON.
pub fn ctraffic_of_journal(journal: impl BufRead) -> Result<(), Problem> {
    let mut journal = Reader::new(journal).map_err(Problem::failed)?;
    let statistics = ctraffic::from_journal(&mut journal).map_err(Problem::failed)?;
    output::stdout_with(|out| statistics.write(out))
}

/// Prints the file called `name`, a journal, as ctraffic's JSON.
pub fn print_journal<R: BufRead>(name: &str, journal: Reader<R>) -> Result<(), Problem> {
    let statistics = statistics(name, journal)?;
    output::stdout_with(|out| statistics.write(out))
}

/// ctraffic's form has no place for what is wrong with a journal: that is told on stderr.
fn statistics<R: BufRead>(name: &str, mut journal: Reader<R>) -> Result<Statistics, Problem> {
    let mut fold = FromJournal::new(journal.header());
    let mut ended = false;
    while let Some(line) = journal.next_line().map_err(Problem::failed)? {
        ended |= matches!(line, Line::Footer(_));
        fold.push(&line);
    }
    let unreadable = journal.notes().unreadable_count;
    if unreadable > 0 {
        let lines = text::some(unreadable, "line");
        output::stderr(&format!("note: {name}: {lines} of it cannot be read: what was told there is missing"));
    }
    if !ended {
        output::stderr(&format!("note: {name}: {CUT}"));
    }
    Ok(fold.finish())
}

/// Prints what ctraffic's analyser prints.
pub fn analyze(name: &str, input: Input, analysis: Analysis) -> Result<(), Problem> {
    let statistics = match input {
        Input::Journal(journal) => statistics(name, *journal)?,
        Input::Ctraffic(statistics) => *statistics,
    };
    let table = ctraffic::analyze(&statistics, analysis).map_err(Problem::failed)?;
    output::stdout_with(|out| write!(out, "{table}"))
}

/// What a file of ctraffic tells, under the names of tg's own report where they mean the same.
#[derive(Debug, Serialize)]
pub struct Totals {
    started: String,
    duration_ns: u64,
    lost: u64,
    /// Null where the file was made without `-stats all`.
    lasting: Option<u64>,
    failed_attempts: u64,
    hosts: Hosts,
    errors: BTreeMap<String, u64>,
    connections: u64,
    rate_kib_per_second: f64,
    packet_size: u64,
    sent: u64,
    received: u64,
    dropped: u64,
    retransmits: u64,
}

#[derive(Debug, Default, Serialize)]
struct Hosts {
    lost: BTreeMap<String, u64>,
    lasting: BTreeMap<String, u64>,
}

impl Totals {
    pub fn of(s: &Statistics) -> Totals {
        let mut hosts = Hosts::default();
        let mut errors = BTreeMap::new();
        // Never connected is neither lost nor lasting.
        for entry in s.conn_stats.iter().filter(|e| e.connect_ns > 0) {
            let host = if entry.host.is_empty() { tg_model::summary::UNKNOWN_HOST } else { &entry.host };
            let by_host = if entry.err.is_empty() { &mut hosts.lasting } else { &mut hosts.lost };
            *by_host.entry(host.to_owned()).or_default() += 1;
            if !entry.err.is_empty() {
                *errors.entry(entry.err.clone()).or_default() += 1;
            }
        }
        Totals {
            started: s.started.to_string(),
            duration_ns: s.duration_ns,
            lost: s.failed_connections,
            lasting: (!s.conn_stats.is_empty()).then(|| hosts.lasting.values().sum()),
            failed_attempts: s.failed_connects,
            hosts,
            errors,
            connections: s.connections,
            rate_kib_per_second: s.rate,
            packet_size: s.packet_size,
            sent: s.sent,
            received: s.received,
            dropped: s.dropped,
            retransmits: s.retransmits,
        }
    }
}

/// The report on a file of ctraffic: without latency and reasons, which it has not.
pub fn text(statistics: &Statistics) -> String {
    let t = Totals::of(statistics);
    let mut page = Page::default();
    text::hosts(&mut page, "Lost", t.lost, &t.hosts.lost);
    match t.lasting {
        Some(lasting) => text::hosts(&mut page, "Lasting", lasting, &t.hosts.lasting),
        None => page.wrapped("", "Which connections lasted is not in the file: run ctraffic with `-stats all`."),
    }
    if !t.errors.is_empty() {
        page.line("\nWhat ctraffic met when they were lost");
        let mut errors: Vec<_> = t.errors.iter().collect();
        errors.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        errors.iter().take(10).for_each(|(error, n)| page.wrapped("  ", &format!("{n:>6}  {error}")));
    }
    page.line("");
    page.line(&format!("Failed attempts to connect: {}", t.failed_attempts));
    page.line(&format!("Packets: {} sent, {} received, {} dropped", t.sent, t.received, t.dropped));
    page.wrapped(
        "",
        &format!(
            "Run of ctraffic: {}, {} KiB/s over all, packets of {} bytes, {}, from {}",
            text::some(t.connections, "connection"),
            t.rate_kib_per_second,
            t.packet_size,
            span::show(t.duration_ns),
            t.started
        ),
    );
    page.line("");
    page.line("Next");
    page.line("  add --analyze connections       active, new and failed, second by second");
    page.line("  add --analyze throughput        what came back, second by second");
    page.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lossy() -> Statistics {
        Statistics::read(include_bytes!("../../../tg-model/tests/fixtures/ctraffic/lossy.json")).unwrap()
    }

    #[test]
    fn a_file_of_ctraffic_is_reported_as_far_as_it_goes() {
        let text = text(&lossy());
        assert!(text.starts_with("Lost connections: 16\n  vm 16\nLasting connections: 16\n  vm 16\n"), "{text}");
        assert!(text.contains("    16  EOF"), "{text}");
        assert!(text.contains("Failed attempts to connect: 55\n"), "{text}");
        assert!(text.contains("Packets: 743 sent, 727 received, 0 dropped\n"), "{text}");
        assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
    }

    #[test]
    fn without_connections_nothing_is_made_up() {
        let mut statistics = lossy();
        statistics.conn_stats.clear();
        let text = text(&statistics);
        assert!(text.starts_with("Lost connections: 16\nWhich connections lasted is not in the file"), "{text}");
        assert_eq!(serde_json::to_value(Totals::of(&statistics)).unwrap()["lasting"], serde_json::Value::Null);
    }
}
