//! References to journal lines, and the clocks of the journals. Changes when what evidence refers to does.

use crate::moment::{Moment, signed};
use tg_model::verdict::{Clock, Evidence, InputState};

/// A journal's line, and when what it tells of was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Which of the inputs.
    pub input: usize,
    pub line: u64,
    pub seq: Option<u64>,
    pub at: Moment,
}

/// The inputs by number: the run is 0.
#[derive(Debug)]
pub struct Sources {
    pub states: Vec<InputState>,
}

impl Sources {
    /// A journal's own time on the run's clock.
    pub fn at(&self, input: usize, ns: u64) -> Moment {
        let clock = self.states[input].clock;
        moved(clock, ns)
    }

    pub fn source(&self, input: usize, line: u64, seq: Option<u64>, ns: u64) -> Source {
        Source { input, line, seq, at: self.at(input, ns) }
    }

    /// A line of the run.
    pub fn of_run(line: u64, ns: i64) -> Source {
        Source { input: 0, line, seq: None, at: Moment::exact(ns) }
    }

    pub fn evidence(&self, source: Source, words: String) -> Evidence {
        let file = self.states[source.input].file.clone();
        Evidence { file, line: source.line, seq: source.seq, at_ns: source.at.ns, words }
    }
}

/// A time of a journal with this clock on the run's clock.
pub fn moved(clock: Clock, ns: u64) -> Moment {
    Moment { ns: signed(ns).saturating_add(clock.offset_ns), error_ns: clock.error_ns.unwrap_or(u64::MAX), late_ns: 0 }
}
