//! The end of the fold: what a footer states, or what can be said of a journal without one.

use super::builder::{SummaryBuilder, count_host};
use super::shape::{JournalState, RunEnding, Summary, UnreadableLine};
use super::spread::Spread;
use crate::journal::{Ending, Footer, Notes};
use crate::outcome::EndReason;

impl SummaryBuilder {
    /// The summary. `notes` says what was wrong with the file; empty where lines came from elsewhere.
    pub fn finish(mut self, notes: &Notes) -> Summary {
        let base = std::mem::take(&mut self.base);
        let mut s = Summary {
            hosts: std::mem::take(&mut self.hosts),
            ended: self.ended,
            reconnects: self.reconnects,
            failed_attempts: self.failed_attempts,
            retransmits: self.retransmits,
            latency: Spread::from(&self.latency),
            service_time: Spread::from(&self.service_time),
            lateness: Spread::from(&self.lateness),
            never_connected: self.slots.never_connected(),
            ..base
        };
        match self.footer.take() {
            Some(footer) => self.finish_in_order(&footer, &mut s),
            None => self.finish_cut(&mut s),
        }
        s.outages = self.outages.outages();
        s.without_connection = u64::from(s.plan.conns).saturating_sub(s.lasting);
        s.cpu_us_per_packet =
            (s.packets.sent > 0 && s.cpu_ns > 0).then(|| s.cpu_ns as f64 / 1e3 / s.packets.sent as f64);
        s.journal = JournalState {
            complete: s.ending != RunEnding::Cut && !notes.cut && notes.unreadable_count == 0 && s.records_lost == 0,
            cut: notes.cut,
            unreadable_lines: notes.unreadable_count,
            unreadable: notes
                .unreadable
                .iter()
                .cloned()
                .map(|(line, reason)| UnreadableLine { line, reason })
                .collect(),
        };
        let unchecked = match s.ending {
            RunEnding::Cut => vec!["slots and run: the journal ends before their totals".into()],
            _ => Vec::new(),
        };
        s.accounting = self.violations.accounting(missing(&s), unchecked);
        s
    }

    /// A run that ended in order states its totals itself.
    fn finish_in_order(&mut self, footer: &Footer, s: &mut Summary) {
        s.ending = footer.ending.into();
        s.error.clone_from(&footer.error);
        s.duration_ns = footer.zero_ns.map_or(0, |zero| footer.stopped_ns.saturating_sub(zero));
        s.lost = footer.totals.lost;
        s.lasting = self.ended.completed;
        s.established = footer.totals.established;
        s.attempts = footer.totals.attempts;
        s.failed_attempts.total = footer.totals.failed_attempts;
        s.packets = footer.totals.counts.into();
        s.records_lost = footer.records_lost;
        s.cpu_ns = footer.cpu_ns;
        self.slots.add_open_outages(None, &mut self.outages);
        let violations = &mut self.violations;
        self.slots.check_run(&footer.totals, violations);
        violations.equal(|| "connections without an end".into(), self.open.len() as u64, 0);
        violations.equal(|| "latencies of packets received".into(), s.latency.count, s.packets.received);
        violations.equal(|| "service times of packets received".into(), s.service_time.count, s.packets.received);
        violations.equal(|| "latenesses of packets sent".into(), s.lateness.count, s.packets.sent);
    }

    /// A run that was killed: connections from their own lines, packets from the last sample.
    fn finish_cut(&mut self, s: &mut Summary) {
        s.ending = RunEnding::Cut;
        let end_ns = self.stopped_ns.unwrap_or(self.last_ns);
        s.duration_ns = self.zero_ns.map_or(0, |zero| end_ns.saturating_sub(zero));
        s.lost = EndReason::ALL.iter().filter(|r| r.is_lost()).map(|r| self.ended.by(*r)).sum();
        for (conn, host) in &self.open {
            let replaced = self.slots.is_replaced(*conn);
            *(if replaced { &mut s.lost } else { &mut s.alive_at_cut }) += 1;
            count_host(if replaced { &mut s.hosts.lost } else { &mut s.hosts.lasting }, host.as_deref());
        }
        s.lasting = self.ended.completed + s.alive_at_cut;
        s.established = self.established;
        let sampled = self.sampled.unwrap_or_default();
        s.attempts = sampled.attempts.max(self.established + self.failed_attempts.total);
        let closed_sum = self.slots.closed_sum();
        let later = closed_sum.intended > sampled.counts.intended;
        s.packets = (if later { closed_sum } else { sampled.counts }).into();
        self.slots.add_open_outages(Some(self.last_ns), &mut self.outages);
    }
}

impl From<Ending> for RunEnding {
    fn from(ending: Ending) -> RunEnding {
        match ending {
            Ending::Planned => RunEnding::Planned,
            Ending::Stopped => RunEnding::Stopped,
            Ending::Aborted => RunEnding::Aborted,
            Ending::Failed => RunEnding::Failed,
        }
    }
}

/// In words, the lines that a journal lacks although its run ended in order.
fn missing(s: &Summary) -> Option<String> {
    let (records, lines) = (s.records_lost, s.journal.unreadable_lines);
    let records = match records {
        0 => None,
        1 => Some("1 record was lost".to_owned()),
        n => Some(format!("{n} records were lost")),
    };
    let lines = match lines {
        0 => None,
        1 => Some("1 line cannot be read".to_owned()),
        n => Some(format!("{n} lines cannot be read")),
    };
    let both: Vec<String> = records.into_iter().chain(lines).collect();
    (!both.is_empty()).then(|| format!("{}: what would be counted from there is missing", both.join(" and ")))
}
