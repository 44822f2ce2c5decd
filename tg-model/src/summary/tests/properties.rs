//! Whatever a run goes through, its summary says it, and one wrong number anywhere is found.

use super::super::*;
use super::story::{self, SlotStory, header, journal, lines};
use crate::journal::{Line, Notes, Reader};
use crate::outcome::{AttemptFailure, DropReason, EndReason};
use proptest::prelude::*;
use serde_json::Value;

fn summary(conns: usize, lines: &[Line]) -> Summary {
    let mut builder = SummaryBuilder::new(&header(conns as u32));
    lines.iter().for_each(|l| builder.push(l));
    builder.finish(&Notes::default())
}

fn sum(run: &[SlotStory], of: impl Fn(&SlotStory) -> u64) -> u64 {
    run.iter().map(of).sum()
}

fn check_connections(s: &Summary, run: &[SlotStory]) -> Result<(), TestCaseError> {
    prop_assert_eq!(s.lost, sum(run, |r| r.lost.len() as u64));
    prop_assert_eq!(s.lasting, sum(run, |r| u64::from(r.lasting.is_some())));
    prop_assert_eq!(s.without_connection, run.len() as u64 - s.lasting);
    prop_assert_eq!(s.never_connected, sum(run, |r| u64::from(r.conns().next().is_none())));
    prop_assert_eq!(s.established, s.lost + s.lasting);
    prop_assert_eq!(s.reconnects, sum(run, |r| r.conns().count().saturating_sub(1) as u64));
    prop_assert_eq!(s.failed_attempts.total, sum(run, |r| r.failures().count() as u64));
    prop_assert_eq!(s.attempts, s.established + s.failed_attempts.total);
    for failure in AttemptFailure::ALL {
        let n = sum(run, |r| r.failures().filter(|f| f == failure).count() as u64);
        prop_assert_eq!(s.failed_attempts.by(*failure), n);
    }
    for reason in EndReason::ALL {
        let n = sum(run, |r| r.conns().filter(|c| c.reason == *reason).count() as u64);
        prop_assert_eq!(s.ended.by(*reason), n);
    }
    for host in [None, Some("pod-1"), Some("pod-2"), Some("pod.3")] {
        let of = |lost: bool| {
            let n = sum(run, |r| r.conns().filter(|c| c.host == host && c.reason.is_lost() == lost).count() as u64);
            (n > 0).then_some(n)
        };
        let name = host.unwrap_or(UNKNOWN_HOST);
        prop_assert_eq!(s.hosts.lost.get(name).copied(), of(true));
        prop_assert_eq!(s.hosts.lasting.get(name).copied(), of(false));
    }
    Ok(())
}

fn check_packets(s: &Summary, run: &[SlotStory]) -> Result<(), TestCaseError> {
    let conns = |of: &dyn Fn(&story::ConnStory) -> u64| sum(run, |r| r.conns().map(of).sum());
    let p = &s.packets;
    prop_assert_eq!(p.received, conns(&|c| c.received.into()));
    prop_assert_eq!(p.lost_in_flight, conns(&|c| c.lost_in_flight.into()));
    prop_assert_eq!(p.sent, p.received + p.lost_in_flight);
    for reason in &DropReason::ALL[1..] {
        let n = conns(&|c| c.dropped.iter().filter(|d| *d == reason).count() as u64);
        prop_assert_eq!(p.dropped.by.by(*reason), n);
    }
    prop_assert_eq!(p.dropped.by.no_connection, sum(run, |r| r.due_without_connection.into()));
    prop_assert_eq!(p.dropped.total, conns(&|c| c.dropped.len() as u64) + p.dropped.by.no_connection);
    prop_assert_eq!(p.intended, p.sent + p.dropped.total);
    prop_assert_eq!(s.retransmits, conns(&|c| c.retransmits.into()));
    prop_assert_eq!(s.latency.count, p.received);
    prop_assert_eq!(s.lateness.count, p.sent);
    Ok(())
}

/// The times without service of a slot, and whether each ended: one goes on through replacements that
/// carried no packet.
fn outages(slot: &SlotStory) -> Vec<([u64; 3], bool)> {
    let mut all = Vec::new();
    let mut sum = [0; 3];
    for (nth, lost) in slot.lost.iter().enumerate() {
        sum = std::array::from_fn(|part| sum[part] + u64::from(lost.parts_ns[part]));
        let over = slot.conns().nth(nth + 1).is_some_and(|next| !next.unserved);
        let last = nth + 1 == slot.lost.len();
        if over || last {
            all.push((std::mem::take(&mut sum), over));
        }
    }
    if slot.conns().next().is_none() {
        all.push(([7; 3], false));
    }
    all
}

fn check_outages(s: &Summary, run: &[SlotStory]) -> Result<(), TestCaseError> {
    let all: Vec<([u64; 3], bool)> = run.iter().flat_map(outages).collect();
    let o = &s.outages;
    prop_assert_eq!(o.count, all.len() as u64);
    prop_assert_eq!(o.over, all.iter().filter(|(_, over)| *over).count() as u64);
    prop_assert_eq!(o.still_out, o.count - o.over);
    for (part, at) in [(o.detection, 0), (o.reconnect, 1), (o.wait, 2)] {
        prop_assert_eq!(part.total_ns, all.iter().map(|(p, _)| p[at]).sum::<u64>());
        prop_assert_eq!(part.max_ns, all.iter().map(|(p, _)| p[at]).max().unwrap_or(0));
        prop_assert!(part.p50_ns <= part.max_ns);
    }
    prop_assert_eq!(o.max_ns, all.iter().map(|(p, _)| p.iter().sum()).max().unwrap_or(0));
    prop_assert_eq!(o.total_ns, o.detection.total_ns + o.reconnect.total_ns + o.wait.total_ns);
    Ok(())
}

/// The places of numbers in a line of JSON that the accounting covers.
fn counters(value: &Value, at: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(k, v)| counters(v, &format!("{at}/{k}"), out)),
        Value::Number(_) if at.contains("counts") || at.contains("totals") => out.push(at.to_owned()),
        _ => {}
    }
}

proptest! {
    // Each case encodes and decodes histograms of 30 000 counters.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_run_is_summed_up(run in story::run()) {
        let s = summary(run.len(), &lines(&run));
        prop_assert_eq!(&s.accounting.violations, &Vec::<String>::new());
        prop_assert!(s.accounting.ok && s.journal.complete);
        prop_assert_eq!(s.ending, RunEnding::Planned);
        prop_assert_eq!(s.duration_ns, story::STOPPED_NS - story::ZERO_NS);
        check_connections(&s, &run)?;
        check_packets(&s, &run)?;
        check_outages(&s, &run)?;
    }

    #[test]
    fn reading_text_gives_the_same_as_pushing_lines(run in story::run()) {
        let lines = lines(&run);
        let text = journal(run.len() as u32, &lines);
        let read = Summary::read(Reader::new(text.as_slice()).unwrap()).unwrap();
        prop_assert_eq!(read, summary(run.len(), &lines));
    }

    #[test]
    fn one_wrong_counter_is_found(run in story::run(), line: prop::sample::Index, field: prop::sample::Index) {
        let mut lines = lines(&run);
        let stating: Vec<usize> = (0..lines.len())
            .filter(|i| matches!(lines[*i], Line::Closed(_) | Line::Slot(_) | Line::Footer(_)))
            .collect();
        let at = stating[line.index(stating.len())];
        let mut value = serde_json::to_value(&lines[at]).unwrap();
        let mut places = Vec::new();
        counters(&value, "", &mut places);
        let place = &places[field.index(places.len())];
        let number = value.pointer_mut(place).unwrap();
        *number = (number.as_u64().unwrap() + 2).into();
        lines[at] = serde_json::from_value(value).unwrap();
        let s = summary(run.len(), &lines);
        prop_assert!(!s.accounting.ok, "{place} of line {at}");
    }

    #[test]
    fn one_missing_line_is_found(run in story::run(), at: prop::sample::Index) {
        let mut lines = lines(&run);
        let counted: Vec<usize> = (0..lines.len())
            .filter(|i| matches!(
                lines[*i],
                Line::Established(_) | Line::Closed(_) | Line::AttemptFailed(_) | Line::Slot(_)
            ))
            .collect();
        lines.remove(counted[at.index(counted.len())]);
        prop_assert!(!summary(run.len(), &lines).accounting.ok);
    }

    #[test]
    fn a_journal_cut_anywhere_tells_what_is_in_it(run in story::run(), at: prop::sample::Index) {
        let lines = lines(&run);
        let text = journal(run.len() as u32, &lines);
        let header_len = text.iter().position(|b| *b == b'\n').unwrap() + 1;
        // Before the footer's last brace at the latest; a line that lacks its newline alone can be read.
        let cut = header_len + at.index(text.len() - 1 - header_len);
        let whole_lines = text[..=cut].iter().filter(|b| **b == b'\n').count() - 1;
        let before = &lines[..whole_lines];
        let s = Summary::read(Reader::new(&text[..cut]).unwrap()).unwrap();
        let count = |of: fn(&Line) -> bool| before.iter().filter(|l| of(l)).count() as u64;
        prop_assert_eq!(s.ending, RunEnding::Cut);
        prop_assert!(!s.journal.complete);
        let completed = count(|l| matches!(l, Line::Closed(c) if !c.reason.is_lost()));
        prop_assert_eq!(s.established, count(|l| matches!(l, Line::Established(_))));
        prop_assert_eq!(s.failed_attempts.total, count(|l| matches!(l, Line::AttemptFailed(_))));
        prop_assert_eq!(s.lost + s.lasting, s.established);
        prop_assert_eq!(s.lasting, completed + s.alive_at_cut);
        // A slot has one connection at most: of the last one that it came to, no end is told yet.
        let alive = (0..run.len() as u32).filter(|slot| {
            let conns = |l: &Line| match l {
                Line::Established(e) if e.conn.slot.0 == *slot => Some((e.conn.nth, true)),
                Line::Closed(c) if c.established.conn.slot.0 == *slot => Some((c.established.conn.nth, false)),
                _ => None,
            };
            let latest = before.iter().filter_map(conns).max_by_key(|(nth, up)| (*nth, !up));
            latest.is_some_and(|(_, up)| up)
        });
        prop_assert_eq!(s.alive_at_cut, alive.count() as u64);
        prop_assert_eq!(s.hosts.lost.values().sum::<u64>(), s.lost);
        prop_assert_eq!(s.hosts.lasting.values().sum::<u64>(), s.lasting);
        prop_assert!(s.attempts >= s.established + s.failed_attempts.total);
        prop_assert!(s.accounting.ok && !s.accounting.unchecked.is_empty());
        prop_assert!(s.outages.count <= s.lost + s.never_connected);
        prop_assert!(s.outages.still_out <= run.len() as u64);
    }

    #[test]
    fn absurd_numbers_do_not_panic(run in story::run(), line: prop::sample::Index, field: prop::sample::Index) {
        let mut lines = lines(&run);
        let numbers: Vec<usize> = (0..lines.len()).filter(|i| !matches!(lines[*i], Line::Identified(_))).collect();
        for _ in 0..2 {
            let at = numbers[line.index(numbers.len())];
            let text = serde_json::to_string(&lines[at]).unwrap();
            let digits: Vec<(usize, &str)> = text.match_indices(|c: char| c.is_ascii_digit()).collect();
            let (place, digit) = digits[field.index(digits.len())];
            let absurd = format!("{}{}{}", &text[..place], u64::MAX, &text[place + digit.len()..]);
            if let Ok(damaged) = serde_json::from_str::<Line>(&absurd) {
                lines[at] = damaged.clone();
                lines.push(damaged);
            }
        }
        let _ = summary(run.len(), &lines);
    }
}
