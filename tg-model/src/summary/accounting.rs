//! Whether numbers add up: what is compared, and how a difference is put in words.

use super::shape::Accounting;
use crate::counts::Counts;
use crate::journal::Totals;
use crate::outcome::DropReason;

/// Violations kept in words; the rest is only counted.
const SHOWN: usize = 10;

/// Collects what does not add up.
#[derive(Debug, Default)]
pub(super) struct Violations {
    shown: Vec<String>,
    count: u64,
}

impl Violations {
    pub fn note(&mut self, what: impl FnOnce() -> String) {
        self.count += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(what());
        }
    }

    /// The equations of one connection, slot or run.
    pub fn check(&mut self, name: impl std::fmt::Display, counts: &Counts) {
        if let Err(why) = counts.check() {
            self.note(|| format!("{name}: {why}"));
        }
    }

    /// Two counts of the same thing.
    pub fn equal(&mut self, what: impl FnOnce() -> String, counted: u64, stated: u64) {
        if counted != stated {
            self.note(|| format!("{}: {counted} counted, {stated} stated", what()));
        }
    }

    /// Two counts of the same packets.
    pub fn equal_counts(&mut self, name: impl std::fmt::Display, counted: &Counts, stated: &Counts) {
        for ((what, counted), (_, stated)) in fields(counted).into_iter().zip(fields(stated)) {
            self.equal(|| format!("{name}, {what}"), counted, stated);
        }
    }

    /// Two totals of the same run.
    pub fn equal_totals(&mut self, name: &str, counted: &Totals, stated: &Totals) {
        self.equal(|| format!("{name}, attempts"), counted.attempts, stated.attempts);
        self.equal(|| format!("{name}, failed attempts"), counted.failed_attempts, stated.failed_attempts);
        self.equal(|| format!("{name}, established"), counted.established, stated.established);
        self.equal(|| format!("{name}, lost"), counted.lost, stated.lost);
        self.equal_counts(name, &counted.counts, &stated.counts);
    }

    /// The result; `missing` says in words which lines are not there, where that explains differences.
    pub fn accounting(&self, missing: Option<String>, unchecked: Vec<String>) -> Accounting {
        let violation_count = self.count + u64::from(missing.is_some());
        let violations: Vec<String> = missing.into_iter().chain(self.shown.iter().cloned()).take(SHOWN).collect();
        Accounting { ok: violation_count == 0, violations, violation_count, unchecked }
    }
}

/// Adds `b` to `a`; saturates, as `b` may come from a damaged file.
pub(super) fn add_totals(a: &mut Totals, b: &Totals) {
    a.attempts = a.attempts.saturating_add(b.attempts);
    a.failed_attempts = a.failed_attempts.saturating_add(b.failed_attempts);
    a.established = a.established.saturating_add(b.established);
    a.lost = a.lost.saturating_add(b.lost);
    a.counts.add(&b.counts);
}

fn fields(c: &Counts) -> [(&'static str, u64); 13] {
    [
        ("intended", c.intended),
        ("sent", c.sent),
        ("received", c.received),
        ("lost in flight", c.lost_in_flight),
        ("dropped (no connection)", c.dropped.by(DropReason::NoConnection)),
        ("dropped (in-flight limit)", c.dropped.by(DropReason::InFlightLimit)),
        ("dropped (buffer full)", c.dropped.by(DropReason::BufferFull)),
        ("dropped (late)", c.dropped.by(DropReason::Late)),
        ("dropped (send failed)", c.dropped.by(DropReason::SendFailed)),
        ("late", c.late),
        ("duplicate", c.duplicate),
        ("reordered", c.reordered),
        ("other host", c.other_host),
    ]
}
