//! What is kept of each slot while a journal is folded, and the checks by slot.

use super::accounting::{Violations, add_totals};
use super::spread::{OutageFold, Parts};
use crate::counts::Counts;
use crate::id::{ConnId, SlotId};
use crate::journal::{AttemptFailed, Closed, Established, Outage, SlotTotals, Totals};

/// One slot, as its lines so far tell.
#[derive(Clone, Debug, Default)]
struct Slot {
    established: u64,
    lost: u64,
    failed_attempts: u64,
    /// The packets of its connections that have ended.
    closed: Counts,
    /// Its totals were read.
    stated: bool,
    /// Its latest connection: number and time of establishment.
    latest: Option<(u64, u64)>,
    /// The latest connection of which a time without service was told.
    outage_told: Option<u64>,
    out: Option<OpenOutage>,
    /// A time without service that a replacement did not end: it was lost before it carried a packet.
    unserved: Option<Unserved>,
}

/// See [`Slot::unserved`].
#[derive(Clone, Copy, Debug)]
struct Unserved {
    /// Number of the replacement in its slot.
    replacement: u64,
    parts: Parts,
}

/// A time without service whose own line was not read yet: what a cut journal tells of it.
#[derive(Clone, Copy, Debug)]
struct OpenOutage {
    /// Number of the connection lost in its slot; `None` before the first one.
    lost: Option<u64>,
    known_ns: u64,
    detection_ns: u64,
    established_ns: Option<u64>,
}

/// The slots of a run.
#[derive(Debug)]
pub(super) struct Slots {
    conns: u32,
    slots: Vec<Slot>,
    stated: u64,
    stated_sum: Totals,
}

impl Slots {
    pub fn new(conns: u32) -> Slots {
        Slots { conns, slots: Vec::new(), stated: 0, stated_sum: Totals::default() }
    }

    /// The slot's entry, made when it is first spoken of: a header may ask for many.
    fn slot(&mut self, id: SlotId, violations: &mut Violations) -> Option<&mut Slot> {
        if id.0 >= self.conns {
            violations.note(|| format!("slot {}: the plan has {} slots", id.0, self.conns));
            return None;
        }
        let at = id.0 as usize;
        if self.slots.len() <= at {
            self.slots.resize(at + 1, Slot::default());
        }
        self.slots.get_mut(at)
    }

    pub fn established(&mut self, line: &Established, violations: &mut Violations) {
        let Some(slot) = self.slot(line.conn.slot, violations) else { return };
        slot.established += 1;
        slot.latest = slot.latest.max(Some((line.conn.nth, line.established_ns)));
        match &mut slot.out {
            Some(out) if out.lost.is_some() => out.established_ns = Some(line.established_ns),
            // A slot's time to its first connection is no time without service.
            out => *out = None,
        }
    }

    pub fn closed(&mut self, line: &Closed, violations: &mut Violations) {
        let conn = line.established.conn;
        let Some(slot) = self.slot(conn.slot, violations) else { return };
        slot.closed.add(&line.counts);
        if !line.reason.is_lost() {
            return;
        }
        slot.lost += 1;
        // This line waits for the socket to be closed: the replacement's may have come before it.
        if slot.outage_told < Some(conn.nth) {
            let replacement = slot.latest.filter(|(nth, _)| *nth > conn.nth);
            slot.out = Some(OpenOutage {
                lost: Some(conn.nth),
                known_ns: line.ended_ns,
                detection_ns: line.detection_ns,
                established_ns: replacement.map(|(_, at_ns)| at_ns),
            });
        }
    }

    /// Whether the slot went on to a later connection: then this one is lost, with or without a record.
    pub fn is_replaced(&self, conn: ConnId) -> bool {
        let slot = self.slots.get(conn.slot.0 as usize);
        slot.and_then(|s| s.latest).is_some_and(|(nth, _)| nth > conn.nth)
    }

    pub fn attempt_failed(&mut self, line: &AttemptFailed, violations: &mut Violations) {
        let Some(slot) = self.slot(line.slot, violations) else { return };
        slot.failed_attempts += 1;
        if slot.established == 0 && slot.out.is_none() {
            slot.out =
                Some(OpenOutage { lost: None, known_ns: line.started_ns, detection_ns: 0, established_ns: None });
        }
    }

    /// Folds a time without service; one that a replacement did not end goes on in the slot's next line.
    pub fn outage(&mut self, line: &Outage, fold: &mut OutageFold, violations: &mut Violations) {
        let first_connection = line.lost.is_none() && line.replacement.is_some();
        let Some(slot) = self.slot(line.slot, violations) else { return };
        let lost = line.lost.map(|conn| conn.nth);
        slot.outage_told = slot.outage_told.max(lost);
        slot.out = slot.out.filter(|out| out.lost > lost);
        if first_connection {
            return;
        }
        let mut parts = Parts::from(line);
        if let Some(before) = slot.unserved.take() {
            if lost == Some(before.replacement) {
                parts = parts.after(before.parts);
            } else {
                fold.add(before.parts, false);
            }
        }
        match line.replacement {
            Some(replacement) if !line.over => {
                slot.unserved = Some(Unserved { replacement: replacement.nth, parts });
            }
            _ => fold.add(parts, line.over),
        }
    }

    /// A slot's own totals against what its lines add up to.
    pub fn stated(&mut self, line: &SlotTotals, violations: &mut Violations) {
        let name = format!("slot {}", line.slot.0);
        let totals = &line.totals;
        add_totals(&mut self.stated_sum, totals);
        self.stated += 1;
        let Some(slot) = self.slot(line.slot, violations) else { return };
        let (again, slot) = (std::mem::replace(&mut slot.stated, true), slot.clone());
        if again {
            violations.note(|| format!("{name} states its totals twice"));
        }
        violations.check(&name, &totals.counts);
        violations.equal(|| format!("{name}, established"), slot.established, totals.established);
        violations.equal(|| format!("{name}, lost"), slot.lost, totals.lost);
        violations.equal(|| format!("{name}, failed attempts"), slot.failed_attempts, totals.failed_attempts);
        // An attempt may be under way at the end: neither failed nor established.
        let over = totals.established.saturating_add(totals.failed_attempts);
        if totals.attempts.checked_sub(over).is_none_or(|under_way| under_way > 1) {
            violations.note(|| {
                let (e, f) = (totals.established, totals.failed_attempts);
                format!("{name}: attempts {} are not established {e} + failed {f}, or one more", totals.attempts)
            });
        }
        // What was due while there was no connection belongs to the slot alone.
        let mut sum = slot.closed;
        let alone = totals.counts.dropped.no_connection.saturating_sub(sum.dropped.no_connection);
        sum.intended = sum.intended.saturating_add(alone);
        sum.dropped.no_connection = sum.dropped.no_connection.saturating_add(alone);
        violations.equal_counts(format_args!("{name}, sum of its connections"), &sum, &totals.counts);
    }

    /// The run's own totals against the sum of the slots'.
    pub fn check_run(&self, stated: &Totals, violations: &mut Violations) {
        violations.equal(|| "slots that state their totals".into(), self.stated, u64::from(self.conns));
        violations.equal_totals("run, sum of its slots", &self.stated_sum, stated);
        violations.check("run", &stated.counts);
    }

    /// Slots that never had a connection.
    pub fn never_connected(&self) -> u64 {
        u64::from(self.conns) - self.slots.iter().filter(|s| s.established > 0).count() as u64
    }

    /// The packets of the connections that have ended.
    pub fn closed_sum(&self) -> Counts {
        let mut sum = Counts::default();
        self.slots.iter().for_each(|s| sum.add(&s.closed));
        sum
    }

    /// The times without service that the journal's end cuts off. `last_ns`: of a cut journal, its last
    /// moment, up to which those are counted that have no line yet.
    pub fn add_open_outages(&self, last_ns: Option<u64>, fold: &mut OutageFold) {
        for slot in &self.slots {
            let open = slot.out.zip(last_ns).map(|(out, last_ns)| out.until(last_ns));
            match (slot.unserved, open) {
                (None, None) => {}
                (Some(before), None) => fold.add(before.parts, false),
                (None, Some(parts)) => fold.add(parts, false),
                (Some(before), Some(parts)) => fold.add(parts.after(before.parts), false),
            }
        }
    }
}

impl OpenOutage {
    fn until(self, last_ns: u64) -> Parts {
        let up_ns = self.established_ns.unwrap_or(last_ns);
        Parts {
            detection_ns: self.detection_ns,
            reconnect_ns: up_ns.saturating_sub(self.known_ns),
            wait_ns: last_ns.saturating_sub(up_ns),
        }
    }
}
