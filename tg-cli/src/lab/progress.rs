//! How a lab goes, while it does: a line that is redrawn on a terminal, else a line now and then. Changes when what
//! is shown does.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tg_lab::lab::{Phase, PodProgress, Progress};
use tg_model::cluster_event::PodPhase;

const REDRAW: Duration = Duration::from_millis(500);
/// Where there is no terminal.
const LINE_WIDTH: usize = 81;
const LINE: Duration = Duration::from_secs(5);

/// A line is on the terminal that is to go before anything else is written.
static DRAWN: AtomicBool = AtomicBool::new(false);

/// Shows progress on stderr.
#[derive(Debug)]
pub struct Display {
    terminal: bool,
    shown: Option<(Instant, Phase)>,
    legend: bool,
}

/// Leaves an empty line for something else.
pub fn erase() {
    if DRAWN.swap(false, Ordering::SeqCst) {
        let mut err = io::stderr().lock();
        let _ = write!(err, "\r\x1b[K").and_then(|()| err.flush());
    }
}

impl Display {
    /// What suits stderr.
    pub fn new() -> Display {
        Display { terminal: io::stderr().is_terminal(), shown: None, legend: false }
    }

    /// Called several times a second; shows something when it is time to.
    pub fn show(&mut self, progress: &Progress) {
        let pause = if self.terminal { REDRAW } else { LINE };
        if self.shown.is_some_and(|(at, phase)| phase == progress.phase && at.elapsed() < pause) {
            return;
        }
        self.shown = Some((Instant::now(), progress.phase));
        let mut err = io::stderr().lock();
        if progress.traffic.is_some() && !std::mem::replace(&mut self.legend, true) {
            let start = if self.terminal { "\r\x1b[K" } else { "" };
            let _ = writeln!(err, "{start}{LEGEND}");
        }
        // Where stderr cannot be written to, nobody looks.
        let _ = if self.terminal {
            DRAWN.store(true, Ordering::SeqCst);
            write!(err, "\r{}\x1b[K", line(progress, width())).and_then(|()| err.flush())
        } else {
            writeln!(err, "{}", line(progress, LINE_WIDTH))
        };
    }
}

const LEGEND: &str = "connections of old pods > of new pods (- starting, ! terminating)";

fn width() -> usize {
    terminal_size::terminal_size_of(io::stderr()).map_or(80, |(width, _)| usize::from(width.0))
}

/// The line, cut to what fits (one column is left free: a line that fills the last one would wrap).
fn line(progress: &Progress, width: usize) -> String {
    let room = width.saturating_sub(1);
    let Some(traffic) = &progress.traffic else {
        let ready = progress.count(PodPhase::Ready);
        let text = format!("{}: {} of {} ready", progress.phase.name(), ready.0 + ready.1, progress.pods.len());
        return text.chars().take(room).collect();
    };
    let head = format!("{:>3} s  {}: ", traffic.elapsed.as_secs(), progress.phase.name());
    let tail = format!("  {} up, {} lost", traffic.active, traffic.totals.lost);
    let of = |new: bool| progress.pods.iter().filter(move |p| p.new == new).map(pod).collect::<Vec<_>>().join(" ");
    let each = format!("{} > {}", of(false), of(true));
    if head.chars().count() + each.len() + tail.len() <= room {
        return head + &each + &tail;
    }
    (head + &sums(progress) + &tail).chars().take(room).collect()
}

fn pod(pod: &PodProgress) -> String {
    let connections = pod.connections.map_or("?".into(), |n| n.to_string());
    match pod.phase {
        PodPhase::Ready => connections,
        PodPhase::Terminating => connections + "!",
        _ => "-".into(),
    }
}

/// Where there are too many pods to show each.
fn sums(progress: &Progress) -> String {
    let of = |new: bool| {
        let pods = progress.pods.iter().filter(|p| p.new == new);
        let connections: u64 = pods.clone().filter_map(|p| p.connections).sum();
        let count = |phase| pods.clone().filter(|p| p.phase == phase).count();
        format!("{connections} on {}+{}!", count(PodPhase::Ready), count(PodPhase::Terminating))
    };
    format!("{} > {}", of(false), of(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tg_core::run::Snapshot;
    use tg_model::journal::Totals;

    fn progress(pods: &[(bool, PodPhase, u64)]) -> Progress {
        let pod = |(new, phase, connections): &(bool, PodPhase, u64)| PodProgress {
            name: "mserver-8d75c6567-55fdh".into(),
            new: *new,
            phase: *phase,
            connections: Some(*connections),
        };
        let totals = Totals { lost: 21, ..Totals::default() };
        let traffic = Snapshot { elapsed: Duration::from_secs(9), active: 80, totals, ..Snapshot::default() };
        Progress { phase: Phase::Upgrading, pods: pods.iter().map(pod).collect(), traffic: Some(traffic) }
    }

    #[test]
    fn each_pods_connections_are_shown_where_they_fit_and_sums_where_not() {
        use PodPhase::{Created, Ready, Terminating};
        let few = [(false, Ready, 12), (false, Terminating, 10), (true, Ready, 8), (true, Created, 0)];
        assert_eq!(line(&progress(&few), 80), "  9 s  upgrading: 12 10! > 8 -  80 up, 21 lost");
        let many: Vec<_> = (0..40).map(|n| (n % 2 == 0, Ready, 2)).collect();
        assert_eq!(line(&progress(&many), 80), "  9 s  upgrading: 40 on 20+0! > 40 on 20+0!  80 up, 21 lost");
        for width in [0, 1, 30, 80] {
            assert!(line(&progress(&many), width).chars().count() <= width.saturating_sub(1));
        }
        let starting = Progress { traffic: None, phase: Phase::Starting, ..progress(&few) };
        assert_eq!(line(&starting, 80), "starting pods: 2 of 4 ready");
    }
}
