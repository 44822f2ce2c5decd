//! Where a journal of a node has holes. Changes when there is another way to lose evidence.

use crate::input::Journal;
use crate::moment::Moment;
use crate::source::Sources;
use tg_model::node_event::{Gap, LossCause, NodeLine, Numbered};

/// Events were lost somewhere in a span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Which of the inputs.
    pub input: usize,
    /// `None`: lines of the journal itself are missing.
    pub program: Option<String>,
    pub from: Moment,
    pub to: Moment,
    pub lost: Option<u64>,
    pub why: String,
}

impl Hole {
    /// Whether it touches a span of the run's clock.
    pub fn touches(&self, from_ns: i64, to_ns: i64) -> bool {
        self.from.earliest() <= to_ns && from_ns <= self.to.latest()
    }
}

fn in_words(cause: LossCause) -> &'static str {
    match cause {
        LossCause::RingFull => "the ring buffer was full",
        LossCause::TableFull => "a table of the kernel was full",
        LossCause::Missed => "the kernel did not run the program",
        LossCause::SocketFull => "the netlink socket's buffer was full",
        LossCause::Undecodable => "records could not be understood",
        LossCause::SlowReader => "who read was too slow",
    }
}

/// The end of time, for a journal that breaks off.
pub const NEVER: Moment = Moment { ns: i64::MAX, error_ns: 0, late_ns: 0 };

/// The holes of a journal whose lines are sorted by number. `run_last_ns`: when the run ended, by its own clock.
pub fn of(
    input: usize,
    lines: &[&(u64, Numbered)],
    journal: &Journal<Numbered>,
    sources: &Sources,
    run_last_ns: i64,
) -> Vec<Hole> {
    let at = |ns| sources.at(input, ns);
    let mut holes = Vec::new();
    let mut ended = None;
    // The header is number 0, and its time is the journal's origin.
    let (mut before, mut before_ns) = (0, 0);
    let mut open: Option<u64> = None;
    for (_, line) in lines {
        let missing = line.seq.saturating_sub(before).saturating_sub(1);
        if missing > 0 {
            open = Some(open.unwrap_or(0).saturating_add(missing));
        }
        before = line.seq;
        match &line.line {
            NodeLine::Gap(gap) => holes.push(told(input, gap, sources)),
            NodeLine::Footer(footer) => ended = Some(footer.ended_ns),
            _ => {}
        }
        // A line without a time of its own leaves the hole open to the next one with a time.
        let Some(ns) = time_of(&line.line) else { continue };
        if let Some(lost) = open.take() {
            let (from, to) = (before_ns.min(ns), before_ns.max(ns));
            let why = "lines of the journal are missing".to_owned();
            holes.push(Hole { input, program: None, from: at(from), to: at(to), lost: Some(lost), why });
        }
        before_ns = ns;
    }
    let (from, why) = match ended.map(at) {
        Some(end) if end.latest() >= run_last_ns => return holes,
        Some(end) => (end, "the observer ended before the run"),
        None if journal.lines.is_empty() => (at(before_ns), "the journal is empty"),
        None => (at(before_ns), "the journal has no end: its writer was killed, or still writes"),
    };
    holes.push(Hole { input, program: None, from, to: NEVER, lost: open, why: why.to_owned() });
    holes
}

fn told(input: usize, gap: &Gap, sources: &Sources) -> Hole {
    Hole {
        input,
        program: Some(gap.program.clone()),
        from: sources.at(input, gap.from_ns),
        to: sources.at(input, gap.to_ns),
        lost: gap.lost,
        why: in_words(gap.cause).to_owned(),
    }
}

fn time_of(line: &NodeLine) -> Option<u64> {
    match line {
        NodeLine::Header(_) => Some(0),
        NodeLine::Namespace(n) => Some(n.at_ns),
        NodeLine::Watched(w) => Some(w.at_ns),
        NodeLine::Snapshot(s) => Some(s.at_ns),
        NodeLine::Event(e) => Some(e.at_ns),
        NodeLine::Footer(f) => Some(f.ended_ns),
        NodeLine::Program(_) | NodeLine::Gap(_) => None,
    }
}
