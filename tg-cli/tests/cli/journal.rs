//! A run's journal, while it grows and afterwards. Changes when what tests ask of it does.

use super::process::Process;
use super::until;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use tempfile::TempDir;
use tg_model::id::{ConnId, SlotId};
use tg_model::journal::{AttemptFailed, Closed, Established, Identified, Line, Outage, Reader, RunEvent};

/// A place for a run's journal.
pub struct Journal {
    path: String,
    _directory: TempDir,
}

/// What a journal holds.
pub struct Story {
    pub engine: String,
    lines: Vec<Line>,
}

impl Journal {
    pub fn new() -> Journal {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run.jsonl").to_str().unwrap().to_owned();
        Journal { path, _directory: directory }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is there; `None` as long as there is no header. A line of which a part is there counts as
    /// none.
    fn look(&self) -> Option<Story> {
        let mut reader = Reader::new(BufReader::new(File::open(&self.path).ok()?)).ok()?;
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            lines.push(line);
        }
        assert_eq!(reader.notes().unreadable_count, 0, "{:?}", reader.notes());
        Some(Story { engine: reader.header().engine.clone(), lines })
    }

    /// What is there in the end.
    pub fn read(&self) -> Story {
        self.look().expect("a journal")
    }

    /// Waits for what `run` records.
    pub fn wait_until(&self, what: &str, run: &mut Process, reached: impl Fn(&Story) -> bool) {
        until(what, || {
            let goes_on = run.is_running();
            let reached = self.look().is_some_and(|story| reached(&story));
            assert!(reached || goes_on, "the run ended before: {what}");
            reached.then_some(())
        });
    }
}

impl Story {
    fn pick<'a, T: 'a>(&'a self, pick: impl Fn(&'a Line) -> Option<T>) -> Vec<T> {
        self.lines.iter().filter_map(pick).collect()
    }

    pub fn established(&self) -> Vec<&Established> {
        self.pick(|l| if let Line::Established(e) = l { Some(e) } else { None })
    }

    pub fn identified(&self) -> Vec<&Identified> {
        self.pick(|l| if let Line::Identified(i) = l { Some(i) } else { None })
    }

    pub fn closed(&self) -> Vec<&Closed> {
        self.pick(|l| if let Line::Closed(c) = l { Some(&**c) } else { None })
    }

    pub fn lost(&self) -> Vec<&Closed> {
        self.closed().into_iter().filter(|c| c.reason.is_lost()).collect()
    }

    pub fn failed(&self) -> Vec<&AttemptFailed> {
        self.pick(|l| if let Line::AttemptFailed(a) = l { Some(a) } else { None })
    }

    pub fn slots_that_failed(&self) -> BTreeSet<SlotId> {
        self.failed().iter().map(|a| a.slot).collect()
    }

    pub fn outages(&self) -> Vec<&Outage> {
        self.pick(|l| if let Line::Outage(o) = l { Some(o) } else { None })
    }

    pub fn has_event(&self, wanted: &RunEvent) -> bool {
        self.lines.iter().any(|l| matches!(l, Line::Event(e) if e.event == *wanted))
    }

    /// The first second is over.
    pub fn has_sample(&self) -> bool {
        self.lines.iter().any(|l| matches!(l, Line::Sample(_)))
    }

    /// How many connections have been told that this host answers.
    pub fn answered_by(&self, host: &str) -> usize {
        self.identified().iter().filter(|i| i.host.as_deref() == Some(host)).count()
    }

    /// Packets sent to a host.
    pub fn sent_to(&self, host: &str) -> u64 {
        let to_host = |c: &&Closed| c.host.as_deref() == Some(host);
        self.closed().into_iter().filter(to_host).map(|c| c.counts.sent).sum()
    }

    /// Every replacement's first attempt began in the very moment that the loss was known, and what is
    /// said of the attempts between is what they were.
    pub fn check_lineage(&self) {
        let ends: BTreeMap<ConnId, &Closed> = self.closed().into_iter().map(|c| (c.established.conn, c)).collect();
        for new in self.established() {
            let Some(old) = new.conn.predecessor() else { continue };
            let old = ends.get(&old).unwrap_or_else(|| panic!("{new:?} replaces none"));
            assert!(old.reason.is_lost(), "{old:?}");
            assert_eq!(new.first_attempt_ns, old.ended_ns, "{old:?} {new:?}");
            let between = self.failed_between(new.conn.slot, old.ended_ns, new.established_ns);
            assert_eq!(between.len() as u64, new.failed_attempts, "{new:?} {between:?}");
            let first = between.first().map_or(new.attempt_ns, |failed| failed.started_ns);
            assert_eq!(first, old.ended_ns, "{old:?} {between:?} {new:?}");
            assert!(between.iter().all(|failed| failed.ended_ns <= new.attempt_ns), "{new:?} {between:?}");
        }
    }

    fn failed_between(&self, slot: SlotId, since_ns: u64, until_ns: u64) -> Vec<&AttemptFailed> {
        let within = |a: &&AttemptFailed| a.slot == slot && (since_ns..until_ns).contains(&a.started_ns);
        self.failed().into_iter().filter(within).collect()
    }
}
