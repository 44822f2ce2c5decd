//! Times of which a run's journal does not tell all: connections and attempts may have been then that no line tells
//! of. Changes when there is another way to see that.
//!
//! A slot's connections are numbered, and each tells how many attempts failed before it: so what is missing shows.

use super::{Conn, Run};
use crate::input::Journal;
use crate::moment::signed;
use crate::spans::Spans;
use std::collections::{BTreeMap, HashSet};
use tg_model::journal::Line;

/// Lines come so much later than others of their time, at most.
const LATE_NS: i64 = 1_000_000_000;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Untold {
    connections: Spans,
    /// Of attempts, and of connections: those began as attempts.
    attempts: Spans,
}

impl Untold {
    /// Whether something may have been under way in a span that no line tells of: an attempt or a connection.
    pub fn touches(&self, from: i64, to: i64) -> bool {
        self.attempts.touches(from, to)
    }

    /// Whether it may have been a connection.
    pub fn has_connection(&self, from: i64, to: i64) -> bool {
        self.connections.touches(from, to)
    }
}

/// How much of a journal there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// But for attempts that were under way at the end: none began before this.
    Whole(i64),
    /// Everything up to then.
    Cut(i64),
    /// Lines are missing anywhere.
    Lossy,
}

/// One slot's lines.
#[derive(Default)]
struct Slot<'r> {
    conns: Vec<&'r Conn>,
    /// Begins and ends of attempts that failed, in the order of time.
    attempts: Vec<(i64, i64)>,
}

/// Slot by slot.
pub fn of(run: &Run, journal: &Journal<Line>) -> Untold {
    let state = state(run, journal);
    let mut slots: BTreeMap<u32, Slot> = (0..run.slots).map(|slot| (slot, Slot::default())).collect();
    for conn in &run.conns {
        slots.entry(conn.id.slot.0).or_default().conns.push(conn);
    }
    for (_, a) in &run.attempts {
        slots.entry(a.slot.0).or_default().attempts.push((signed(a.started_ns), signed(a.ended_ns)));
    }
    let (mut connections, mut attempts) = (Vec::new(), Vec::new());
    for slot in slots.values_mut() {
        slot.attempts.sort_unstable();
        let last = slot.between(&mut connections, &mut attempts);
        slot.after(last, state, journal.header.plan.reconnect, &mut connections, &mut attempts);
    }
    attempts.extend(&connections);
    Untold { connections: Spans::new(connections), attempts: Spans::new(attempts) }
}

fn state(run: &Run, journal: &Journal<Line>) -> State {
    let lost = run.footer.map_or(0, |f| f.records_lost);
    let connect_timeout = u64::try_from(journal.header.plan.connect_timeout.as_nanos()).unwrap_or(u64::MAX);
    match run.footer {
        _ if missing(journal) > 0 || lost > 0 => State::Lossy,
        Some(f) => State::Whole(signed(f.stopped_ns).saturating_sub_unsigned(connect_timeout)),
        None => State::Cut(run.last_ns.saturating_sub(LATE_NS)),
    }
}

/// How many lines cannot be read, by the numbers that are missing: the header has number 1.
fn missing(journal: &Journal<Line>) -> u64 {
    let numbers: HashSet<u64> = journal.lines.iter().map(|(number, _)| *number).collect();
    let last = numbers.iter().max().copied().unwrap_or(1);
    last.saturating_sub(1).saturating_sub(numbers.len() as u64)
}

impl Slot<'_> {
    /// What is missing up to its last connection; with when it was connected last.
    fn between(&self, connections: &mut Vec<(i64, i64)>, attempts: &mut Vec<(i64, i64)>) -> i64 {
        let (mut from, mut next) = (i64::MIN, 0);
        for conn in &self.conns {
            let begun = |ns| self.attempts.partition_point(|(began, _)| *began < ns);
            let failed = begun(conn.attempt_ns).saturating_sub(begun(from)) as u64;
            if conn.id.nth != next {
                connections.push((from, conn.attempt_ns));
            } else if failed < conn.failed_attempts {
                attempts.push((from, conn.attempt_ns));
            }
            from = conn.end.as_ref().map_or(conn.established_ns, |e| e.ns);
            next = conn.id.nth.saturating_add(1);
        }
        from
    }

    /// What may have come after `from`, where its last connection ended, or was established if it has no end.
    fn after(
        &self,
        from: i64,
        state: State,
        reconnect: bool,
        connections: &mut Vec<(i64, i64)>,
        attempts: &mut Vec<(i64, i64)>,
    ) {
        let last = self.conns.last().map(|c| c.end.as_ref().map(|e| e.reason.is_lost()));
        // An attempt that was under way at the end has no line.
        let tried = self.attempts.last().map_or(from, |(_, ended)| from.max(*ended));
        match (last, state) {
            (Some(Some(lost)), _) if !lost || !reconnect => {}
            (Some(None), State::Cut(ns)) => connections.push((from.max(ns), i64::MAX)),
            (_, State::Cut(_)) => connections.push((tried, i64::MAX)),
            (Some(None), _) | (_, State::Lossy) => connections.push((from, i64::MAX)),
            (_, State::Whole(ns)) => attempts.push((tried.max(ns), i64::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::End;
    use tg_model::counts::Counts;
    use tg_model::id::{ConnId, SlotId};
    use tg_model::outcome::EndReason;

    const LOST: Option<EndReason> = Some(EndReason::Reset);

    fn conn(nth: u64, began: i64, ended: i64, reason: Option<EndReason>, failed_attempts: u64) -> Conn {
        let (counts, tcp, line, detection_ns) = (Counts::default(), None, 1, 0);
        let end = reason.map(|reason| End { ns: ended, reason, detection_ns, counts, tcp, line });
        let id = ConnId { slot: SlotId(0), nth };
        let (attempt_ns, established_ns, host, identity) = (began, began, None, None);
        let [local, remote] = ["192.0.2.1:1", "192.0.2.2:2"].map(|a| a.parse().unwrap());
        Conn { id, attempt_ns, established_ns, failed_attempts, local, remote, host, identity, line, end }
    }

    type Found = (Vec<(i64, i64)>, Vec<(i64, i64)>);

    /// Of connections, of attempts.
    fn found(conns: &[Conn], attempts: &[(i64, i64)], state: State, reconnect: bool) -> Found {
        let slot = Slot { conns: conns.iter().collect(), attempts: attempts.to_vec() };
        let mut found = Found::default();
        let last = slot.between(&mut found.0, &mut found.1);
        slot.after(last, state, reconnect, &mut found.0, &mut found.1);
        found
    }

    #[test]
    fn numbers_tell_of_connections_and_attempts_that_are_missing() {
        let done = Some(EndReason::Completed);
        let whole = |conns: &[Conn], attempts| found(conns, attempts, State::Whole(90), true);
        assert_eq!(whole(&[conn(0, 1, 9, LOST, 0), conn(1, 20, 99, done, 1)], &[(10, 11)]), (vec![], vec![]));
        assert_eq!(whole(&[conn(0, 1, 9, LOST, 0), conn(1, 20, 99, done, 2)], &[(10, 11)]), (vec![], vec![(9, 20)]));
        assert_eq!(whole(&[conn(0, 1, 9, LOST, 0), conn(2, 20, 99, done, 0)], &[]), (vec![(9, 20)], vec![]));
        assert_eq!(whole(&[conn(1, 20, 99, done, 0)], &[]), (vec![(i64::MIN, 20)], vec![]));
    }

    #[test]
    fn what_came_after_a_slot_s_last_line_depends_on_what_there_is_of_the_journal() {
        let after = |reason, state, reconnect| found(&[conn(0, 1, 9, reason, 0)], &[(12, 14)], state, reconnect);
        let (none, to) = ((vec![], vec![]), i64::MAX);
        assert_eq!(after(Some(EndReason::Completed), State::Lossy, true), none);
        assert_eq!(after(LOST, State::Lossy, false), none);
        assert_eq!(after(LOST, State::Whole(90), true), (vec![], vec![(90, to)]));
        assert_eq!(after(LOST, State::Whole(10), true), (vec![], vec![(14, to)]));
        assert_eq!(after(LOST, State::Cut(10), true), (vec![(14, to)], vec![]));
        assert_eq!(after(LOST, State::Lossy, true), (vec![(9, to)], vec![]));
        assert_eq!(after(None, State::Cut(50), true), (vec![(50, to)], vec![]));
        assert_eq!(after(None, State::Lossy, true), (vec![(1, to)], vec![]));
        assert_eq!(found(&[], &[], State::Lossy, true), (vec![(i64::MIN, to)], vec![]));
    }
}
