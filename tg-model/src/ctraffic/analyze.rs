//! What ctraffic's analyser prints for saved statistics, byte for byte. Changes when that does.

use super::go::print_float;
use super::json::{ConnStat, Sample, Statistics};
use crate::wire::printable;
use std::collections::BTreeMap;
use std::fmt;

const SECOND_NS: u64 = 1_000_000_000;

/// Rows that a table of seconds may have: those of the longest plan, a year.
pub const ROWS_MAX: u64 = 366 * 86_400;

/// What to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Analysis {
    /// Connections lost and lasting, by host.
    Hosts,
    /// Connections active, new, failed and connecting, each second.
    Connections,
    /// KiB/s received, between samples.
    Throughput,
}

impl Analysis {
    /// Every one there is.
    pub const ALL: [Analysis; 3] = [Analysis::Hosts, Analysis::Connections, Analysis::Throughput];

    /// The name that ctraffic's `-analyze` takes.
    pub const fn name(self) -> &'static str {
        match self {
            Analysis::Hosts => "hosts",
            Analysis::Connections => "connections",
            Analysis::Throughput => "throughput",
        }
    }
}

impl std::str::FromStr for Analysis {
    type Err = String;
    fn from_str(s: &str) -> Result<Analysis, String> {
        let names = Analysis::ALL.map(Analysis::name).join(", ");
        Analysis::ALL
            .into_iter()
            .find(|a| a.name() == s)
            .ok_or_else(|| format!("no analysis `{s}`: want one of {names}"))
    }
}

/// Statistics that cannot be analysed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AnalyzeError {
    /// More rows than any run has.
    #[error("Duration is {duration_ns} ns: a row a second makes {rows} rows, more than a year of them ({ROWS_MAX})")]
    Rows {
        /// As in the statistics.
        duration_ns: u64,
        /// What it would take.
        rows: u64,
    },
}

/// An analysis ready to be printed: a row at a time, so that a long one need not be held as text.
#[derive(Debug)]
pub struct Table<'a>(Kind<'a>);

#[derive(Debug)]
enum Kind<'a> {
    Hosts { lost: BTreeMap<&'a str, u64>, lasting: BTreeMap<&'a str, u64> },
    Connections { rows: u64, changes: BTreeMap<u64, Change> },
    Throughput { packet_size: u64, samples: &'a [Sample] },
}

/// Analyses `stats`. What is returned prints itself.
pub fn analyze(stats: &Statistics, analysis: Analysis) -> Result<Table<'_>, AnalyzeError> {
    Ok(Table(match analysis {
        Analysis::Hosts => {
            let lost = by_host(stats, |entry| !entry.err.is_empty());
            let lasting = by_host(stats, |entry| entry.err.is_empty());
            Kind::Hosts { lost, lasting }
        }
        Analysis::Connections => {
            // Row r covers r to r + 1 seconds and is there where r + 1 < Duration.
            let duration_ns = stats.duration_ns;
            let rows = duration_ns.saturating_sub(1) / SECOND_NS;
            if rows > ROWS_MAX {
                return Err(AnalyzeError::Rows { duration_ns, rows });
            }
            Kind::Connections { rows, changes: changes(&stats.conn_stats) }
        }
        Analysis::Throughput => Kind::Throughput { packet_size: stats.packet_size, samples: &stats.samples },
    }))
}

fn by_host(stats: &Statistics, admits: impl Fn(&ConnStat) -> bool) -> BTreeMap<&str, u64> {
    let mut hosts = BTreeMap::new();
    for entry in stats.conn_stats.iter().filter(|e| !e.host.is_empty() && admits(e)) {
        *hosts.entry(entry.host.as_str()).or_insert(0) += 1;
    }
    hosts
}

/// How a row differs from the one before (`active`, `connecting`), and what happened in it.
#[derive(Clone, Copy, Debug, Default)]
struct Change {
    active: i64,
    connecting: i64,
    new: u64,
    failed: u64,
}

/// Sums entries up by the rows where they begin and end, so that a long run with many connections
/// does not cost rows × entries.
fn changes(entries: &[ConnStat]) -> BTreeMap<u64, Change> {
    let mut changes: BTreeMap<u64, Change> = BTreeMap::new();
    for entry in entries {
        // The row in which it ends does not count it any more, but as failed.
        let end = entry.ended_ns / SECOND_NS;
        if !entry.err.is_empty() {
            changes.entry(end).or_default().failed += 1;
        }
        // What starts on a row's last nanosecond is in that row.
        let start = entry.started_ns.div_ceil(SECOND_NS).saturating_sub(1);
        if start >= end {
            continue;
        }
        // ctraffic's "started after the row's begin" leaves out an entry that started at 0.
        if entry.started_ns > 0 {
            changes.entry(start).or_default().new += 1;
        }
        let connected = match entry.connect_ns {
            0 => end,
            ns => (ns.div_ceil(SECOND_NS).saturating_sub(1)).clamp(start, end),
        };
        changes.entry(start).or_default().connecting += 1;
        let at_connected = changes.entry(connected).or_default();
        at_connected.connecting -= 1;
        at_connected.active += 1;
        changes.entry(end).or_default().active -= 1;
    }
    changes
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Hosts { lost, lasting } => {
                write_hosts(f, "Lost", lost)?;
                write_hosts(f, "Lasting", lasting)
            }
            Kind::Connections { rows, changes } => write_connections(f, *rows, changes),
            Kind::Throughput { packet_size, samples } => write_throughput(f, *packet_size, samples),
        }
    }
}

fn write_hosts(f: &mut fmt::Formatter<'_>, which: &str, hosts: &BTreeMap<&str, u64>) -> fmt::Result {
    writeln!(f, "{which} connections: {}", hosts.values().sum::<u64>())?;
    for (host, count) in hosts {
        // A server chose that name: it may not steer the terminal.
        writeln!(f, "  {} {count}", printable(host.as_bytes()))?;
    }
    Ok(())
}

fn write_connections(f: &mut fmt::Formatter<'_>, rows: u64, changes: &BTreeMap<u64, Change>) -> fmt::Result {
    writeln!(f, "Time Active New Failed Connecting")?;
    let (mut active, mut connecting) = (0, 0);
    let mut ahead = changes.iter().peekable();
    for row in 0..rows {
        let change = ahead.next_if(|(at, _)| **at == row).map_or(Change::default(), |(_, change)| *change);
        active += change.active;
        connecting += change.connecting;
        let time = print_float(row as f64 + 0.5);
        writeln!(f, "{time} {active} {} {} {connecting}", change.new, change.failed)?;
    }
    Ok(())
}

fn write_throughput(f: &mut fmt::Formatter<'_>, packet_size: u64, samples: &[Sample]) -> fmt::Result {
    writeln!(f, "Time Throughput")?;
    for pair in samples.windows(2) {
        let [from, to] = pair else { continue };
        // No time passed, or the file is damaged: there is no rate to tell.
        let Some(span_ns) = to.time_ns.checked_sub(from.time_ns).filter(|ns| *ns > 0) else { continue };
        let packets = to.received.saturating_sub(from.received);
        let rate = packets as f64 * packet_size as f64 / 1024.0 / seconds(span_ns);
        writeln!(f, "{} {}", print_float(seconds(from.time_ns + span_ns / 2)), print_float(rate))?;
    }
    Ok(())
}

/// As Go's `Duration.Seconds`: its rounding is seen in the last digit.
fn seconds(ns: u64) -> f64 {
    (ns / SECOND_NS) as f64 + (ns % SECOND_NS) as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rules as the reference words them, entry by entry and row by row.
    fn literally(stats: &Statistics) -> String {
        let mut text = String::from("Time Active New Failed Connecting\n");
        let mut i = SECOND_NS;
        while i < stats.duration_ns {
            let last = i - SECOND_NS;
            let (mut active, mut new, mut failed, mut connecting) = (0, 0, 0, 0);
            for e in &stats.conn_stats {
                if e.ended_ns < last {
                    continue;
                } else if e.ended_ns < i {
                    failed += u64::from(!e.err.is_empty());
                } else if e.started_ns <= i {
                    new += u64::from(e.started_ns > last);
                    if e.connect_ns == 0 || e.connect_ns > i {
                        connecting += 1;
                    } else {
                        active += 1;
                    }
                }
            }
            let time = print_float((last / SECOND_NS) as f64 + 0.5);
            text += &format!("{time} {active} {new} {failed} {connecting}\n");
            i += SECOND_NS;
        }
        text
    }

    fn stats(duration_ns: u64, conn_stats: Vec<ConnStat>) -> Statistics {
        Statistics {
            started: jiff::Timestamp::UNIX_EPOCH,
            duration_ns,
            rate: 0.0,
            connections: 0,
            packet_size: 1024,
            failed_connections: 0,
            sent: 0,
            received: 0,
            dropped: 0,
            retransmits: 0,
            failed_connects: 0,
            conn_stats,
            samples: Vec::new(),
        }
    }

    /// Times at and around the borders of rows.
    fn time() -> impl Strategy<Value = u64> {
        (0u64..14, 0u64..4).prop_map(|(s, d)| s * SECOND_NS + [0, 1, SECOND_NS / 2, SECOND_NS - 1][d as usize])
    }

    proptest! {
        #[test]
        fn the_sum_of_changes_is_what_the_rules_say(
            duration in time(),
            times in prop::collection::vec((time(), time(), time(), any::<bool>()), 0..30),
        ) {
            let entries = times.into_iter().map(|(started_ns, connect_ns, ended_ns, lost)| {
                let err = if lost { "EOF".into() } else { String::new() };
                ConnStat { started_ns, connect_ns, ended_ns, err, ..ConnStat::default() }
            });
            let stats = stats(duration, entries.collect());
            prop_assert_eq!(analyze(&stats, Analysis::Connections).unwrap().to_string(), literally(&stats));
        }

        #[test]
        fn no_statistics_make_it_panic(
            packet_size: u64,
            entries in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>()), 0..9),
            samples in prop::collection::vec((any::<u64>(), any::<u64>()), 0..9),
        ) {
            let conn_stats = entries.into_iter().map(|(started_ns, connect_ns, ended_ns)| ConnStat {
                started_ns, connect_ns, ended_ns, err: "x".into(), host: "\x1b[2J".into(), ..ConnStat::default()
            }).collect();
            let samples =
                samples.into_iter().map(|(time_ns, received)| Sample { time_ns, received, ..Sample::default() }).collect();
            let stats = Statistics { packet_size, samples, ..stats(9 * SECOND_NS, conn_stats) };
            for analysis in Analysis::ALL {
                let text = analyze(&stats, analysis).unwrap().to_string();
                prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
            }
        }
    }

    #[test]
    fn a_duration_beyond_any_run_is_an_error_before_a_row_is_made() {
        let longest = stats((ROWS_MAX + 1) * SECOND_NS, Vec::new());
        assert!(analyze(&longest, Analysis::Connections).is_ok());
        let absurd = stats(1_000_000_000_000_000_000, Vec::new());
        let error = analyze(&absurd, Analysis::Connections).unwrap_err();
        assert_eq!(error, AnalyzeError::Rows { duration_ns: absurd.duration_ns, rows: 999_999_999 });
        assert!(analyze(&absurd, Analysis::Hosts).is_ok());
    }

    #[test]
    fn samples_without_time_between_them_make_no_row() {
        let sample = |time_ns, received| Sample { time_ns, received, ..Sample::default() };
        let samples =
            vec![sample(0, 0), sample(SECOND_NS, 80), sample(SECOND_NS, 90), sample(5, 90), sample(2 * SECOND_NS, 10)];
        let stats = Statistics { samples, ..stats(SECOND_NS, Vec::new()) };
        let text = analyze(&stats, Analysis::Throughput).unwrap().to_string();
        assert_eq!(text, "Time Throughput\n0.5 80\n1.000000002 0\n");
    }

    #[test]
    fn an_analysis_is_named_as_ctraffic_names_it() {
        for analysis in Analysis::ALL {
            assert_eq!(analysis.name().parse(), Ok(analysis));
        }
        assert!("host".parse::<Analysis>().unwrap_err().contains("hosts, connections, throughput"));
    }
}
