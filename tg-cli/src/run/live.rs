//! What is shown while a run goes on: one calm line on a terminal, or `--monitor`'s line a second.
//! Changes when what is shown does.

use crate::span;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};
use tg_core::run::Snapshot;
use tg_model::journal::Totals;

const REDRAW: Duration = Duration::from_millis(500);
const SECOND: Duration = Duration::from_secs(1);

/// Shows a run's progress on stderr.
#[derive(Debug)]
pub enum Display {
    /// Nothing.
    Silent,
    /// One line, redrawn.
    Live { next: Instant, drawn: bool },
    /// `--monitor`.
    Monitor { next: Instant, before: Option<Totals> },
}

impl Display {
    /// What suits stderr.
    pub fn new(monitor: bool) -> Display {
        let now = Instant::now();
        match (monitor, io::stderr().is_terminal()) {
            (true, _) => Display::Monitor { next: now + SECOND, before: None },
            (false, true) => Display::Live { next: now, drawn: false },
            (false, false) => Display::Silent,
        }
    }

    /// Shows something when it is time to, and says for how long there is nothing more to show.
    pub fn tick(&mut self, snapshot: impl FnOnce() -> Snapshot) -> Duration {
        let now = Instant::now();
        let mut err = io::stderr().lock();
        // Where stderr cannot be written to, nobody looks.
        let (next, _) = match self {
            Display::Silent => return Duration::MAX,
            Display::Live { next, .. } if now < *next => (*next, Ok(())),
            Display::Live { next, drawn } => {
                (*next, *drawn) = (now + REDRAW, true);
                (*next, write!(err, "\r{}\x1b[K", live_line(&snapshot(), width())).and_then(|()| err.flush()))
            }
            Display::Monitor { next, .. } if now < *next => (*next, Ok(())),
            Display::Monitor { next, before } => {
                // Whole seconds: no drift where this is called late, one line where it stood still.
                *next += SECOND * (1 + u32::try_from((now - *next).as_secs()).unwrap_or(u32::MAX - 1));
                let snapshot = snapshot();
                let header = if before.is_none() { MONITOR_HEADER } else { "" };
                let line = monitor_line(&snapshot, &before.replace(snapshot.totals).unwrap_or_default());
                (*next, write!(err, "{header}{line}"))
            }
        };
        next.saturating_duration_since(Instant::now())
    }

    /// Leaves an empty line for something else; a later tick draws again.
    pub fn erase(&mut self) {
        if let Display::Live { drawn, .. } = self
            && std::mem::take(drawn)
        {
            let mut err = io::stderr().lock();
            let _ = write!(err, "\r\x1b[K").and_then(|()| err.flush());
        }
    }
}

fn width() -> usize {
    terminal_size::terminal_size_of(io::stderr()).map_or(80, |(width, _)| usize::from(width.0))
}

/// The line in words, or in short where a terminal is too narrow for them (one column is left free: a
/// line that fills the last one would wrap).
fn live_line(s: &Snapshot, width: usize) -> String {
    let room = width.saturating_sub(1);
    let (elapsed, received) = (s.elapsed.as_secs(), s.totals.counts.received);
    let (active, connecting, lost) = (s.active, s.connecting, s.totals.lost);
    let [p50, p99, late] = [s.latency_p50_ns, s.latency_p99_ns, s.lateness_p99_ns].map(measured);
    let line = format!(
        "{elapsed:>4} s  {active} active  {connecting} connecting  {lost} lost  {received} packets  \
         latency {p50} / {p99} p99  lateness {late} p99"
    );
    if line.chars().count() <= room {
        return line;
    }
    let line = format!(
        "{elapsed} s  {active} act  {connecting} conn  {lost} lost  {received} pkt  p50 {p50}  p99 {p99}  late {late}"
    );
    line.chars().take(room).collect()
}

/// Of no packet in that second there is no time.
fn measured(ns: u64) -> String {
    if ns == 0 { "–".to_owned() } else { span::show(ns) }
}

/// Active and connecting are of the moment, the rest is of the second.
const MONITOR_HEADER: &str = "  Time  Active Connecting    New Failed      Sent  Received   Dropped\n";

fn monitor_line(s: &Snapshot, before: &Totals) -> String {
    let (now, was) = (&s.totals, before);
    // Figures of one moment may be older than others: never below 0.
    let since = |now: u64, was: u64| now.saturating_sub(was);
    format!(
        "{:>6.1} {:>7} {:>10} {:>6} {:>6} {:>9} {:>9} {:>9}\n",
        s.elapsed.as_secs_f64(),
        s.active,
        s.connecting,
        since(now.established, was.established),
        since(now.lost, was.lost),
        since(now.counts.sent, was.counts.sent),
        since(now.counts.received, was.counts.received),
        since(now.counts.dropped.total(), was.counts.dropped.total()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tg_model::counts::{Counts, Dropped};

    fn snapshot() -> Snapshot {
        let dropped = Dropped { no_connection: 10, late: 2, ..Dropped::default() };
        let counts = Counts { sent: 4990, received: 4980, dropped, ..Counts::default() };
        Snapshot {
            elapsed: Duration::from_millis(12_500),
            active: 79,
            connecting: 1,
            totals: Totals { established: 90, lost: 11, counts, ..Totals::default() },
            latency_p50_ns: 123_456,
            latency_p99_ns: 1_500_000,
            lateness_p99_ns: 12_000,
        }
    }

    #[test]
    fn the_live_line_says_what_matters_and_fits() {
        let line = live_line(&snapshot(), 200);
        assert_eq!(
            line,
            "  12 s  79 active  1 connecting  11 lost  4980 packets  latency 123 µs / 1.5 ms p99  lateness 12 µs p99"
        );
        assert_eq!(
            live_line(&snapshot(), 80),
            "12 s  79 act  1 conn  11 lost  4980 pkt  p50 123 µs  p99 1.5 ms  late 12 µs"
        );
        for width in [0, 1, 40] {
            assert_eq!(live_line(&snapshot(), width).chars().count(), width.saturating_sub(1));
        }
    }

    #[test]
    fn the_monitors_columns_stand_under_their_names() {
        let before = Totals { established: 80, lost: 1, ..Totals::default() };
        let line = monitor_line(&snapshot(), &before);
        assert_eq!(line, "  12.5      79          1     10     10      4990      4980        12\n");
        assert_eq!(line.len(), MONITOR_HEADER.len());
    }
}
