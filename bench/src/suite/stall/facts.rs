//! What a stall must look like, by arithmetic, and whether it does. Changes when another fact is checked.

use crate::load::Load;
use crate::tg::{Journal, Summary};
use std::time::Duration;

/// What is known of a run in which the server stood still once.
#[derive(Clone, Copy, Debug)]
pub struct Stall {
    pub load: Load,
    /// How long the server stood still.
    pub time: Duration,
}

impl Stall {
    /// The latency that this share of all packets is at most, open loop, ms. Packets that are due while
    /// the server stands wait for its return: between nothing and all of the stall, evenly. `None` where the
    /// quantile lies among the others.
    pub fn latency_ms(&self, quantile: f64) -> Option<f64> {
        let above = (1.0 - quantile) * f64::from(self.load.seconds) * 1e3;
        Some(self.time.as_secs_f64() * 1e3 - above).filter(|ms| *ms > 0.0)
    }

    /// The greatest latency must be so long, ms: a packet becomes due at the latest so much after the
    /// beginning. One part in a thousand is the histograms' precision.
    pub fn greatest_ms(&self) -> f64 {
        (self.time.as_secs_f64() - 1.0 / self.load.total_rate()) * 1e3 * 0.999
    }

    /// Packets of a connection that are due while the server stands.
    fn due_each(&self) -> f64 {
        self.time.as_secs_f64() * self.load.rate
    }
}

/// What does not hold of tg's report and journal.
pub fn failures(stall: &Stall, closed_loop: bool, summary: &Summary, journal: &Journal) -> Vec<String> {
    let packets = summary.packets;
    let planned = (stall.load.total_rate() * f64::from(stall.load.seconds)).round() as u64;
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what: String| {
        if !holds {
            wrong.push(what);
        }
    };
    check(summary.accounting.ok, "its own accounting adds up".to_owned());
    check(packets.intended == planned, format!("{planned} packets were due, it has {}", packets.intended));
    let accounted = packets.received + packets.lost_in_flight + packets.dropped.total;
    check(accounted == packets.intended, format!("{} due are {accounted} received, lost or dropped", packets.intended));
    check(summary.lost == 0, format!("no connection is lost, it has {}", summary.lost));
    let millis = |ns: u64| ns as f64 / 1e6;
    let (greatest, needed) = (millis(summary.latency.max_ns), stall.greatest_ms());
    check(greatest >= needed, format!("the greatest latency, {greatest:.1} ms, is at least {needed:.1} ms"));
    if closed_loop {
        let (latency, service) = in_between(stall, journal);
        let half = stall.time.as_secs_f64() * 500.0;
        check(
            latency >= half && service < half,
            format!(
                "one packet a connection has a service time over {half:.0} ms, two have such a latency: between the \
                 two it is {service:.1} and {latency:.1} ms"
            ),
        );
        let dropped = packets.dropped.total as f64;
        let (least, unanswered) = ((stall.due_each().floor() - 3.0).max(0.0), f64::from(stall.load.conns));
        check(
            dropped >= least * unanswered,
            format!("{dropped} packets are dropped, at least {} due", least * unanswered),
        );
    } else {
        // Those that this machine was too late for are no fault of the client's.
        let dropped = packets.dropped.total.saturating_sub(packets.dropped.late);
        check(dropped == 0, format!("no packet is dropped but for lateness, {dropped} are"));
        if let Some(needed) = stall.latency_ms(0.99).filter(|_| packets.dropped.late == 0) {
            let (p99, needed) = (millis(summary.latency.p99_ns), needed * 0.99);
            check(p99 >= needed, format!("the latency's p99, {p99:.1} ms, is at least {needed:.1} ms"));
        }
    }
    wrong
}

/// Closed loop: one packet of each connection waits for its echo, a second one for the first. Latency and
/// service time, ms, halfway between the first `conns` and twice as many of the greatest.
fn in_between(stall: &Stall, journal: &Journal) -> (f64, f64) {
    let above = f64::from(stall.load.conns) * 1.5;
    let at = |h: &tg_model::histogram::Histogram| h.quantile(1.0 - above / h.len().max(1) as f64) as f64 / 1e6;
    (at(&journal.latency), at(&journal.service_time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stall() -> Stall {
        let load = Load { conns: 80, rate: 50.0, size: 1024, seconds: 10 };
        Stall { load, time: Duration::from_millis(500) }
    }

    #[test]
    fn what_arithmetic_says() {
        let near = |got: Option<f64>, want: f64| (got.unwrap() - want).abs() < 1e-6;
        assert!(near(stall().latency_ms(0.99), 400.0) && near(stall().latency_ms(0.999), 490.0));
        assert_eq!(stall().latency_ms(0.5), None);
        assert!((stall().greatest_ms() - 499.75 * 0.999).abs() < 1e-6);
    }

    /// Counts the packets of a run that goes by the book, one by one.
    #[test]
    fn the_quantile_agrees_with_a_count() {
        let stall = stall();
        let total = stall.load.total_rate();
        let begin = 3.0001;
        let mut latencies: Vec<f64> = (0..(total * 10.0) as u64)
            .map(|k| k as f64 / total)
            .map(|due| if (begin..begin + 0.5).contains(&due) { begin + 0.5 - due } else { 0.0 })
            .collect();
        latencies.sort_by(f64::total_cmp);
        let p99 = latencies[(latencies.len() as f64 * 0.99) as usize - 1] * 1e3;
        assert!((p99 - stall.latency_ms(0.99).unwrap()).abs() < 1.0, "{p99}");
        assert!(latencies.last().unwrap() * 1e3 >= stall.greatest_ms());
    }

    fn summary(received: u64, dropped: u64, p99_ms: u64, max_ms: u64) -> Summary {
        let times = format!(
            r#"{{"p50_ns":1,"p90_ns":1,"p99_ns":{},"p999_ns":1,"max_ns":{}}}"#,
            p99_ms * 1_000_000,
            max_ms * 1_000_000
        );
        let json = format!(
            r#"{{"duration_ns":1,"lost":0,"failed_attempts":{{"total":0}},"packets":{{"intended":40000,"sent":1,
            "received":{received},"dropped":{{"total":{dropped},"late":0}},"lost_in_flight":0}},"latency":{times},
            "service_time":{times},"lateness":{times},"accounting":{{"ok":true}}}}"#
        );
        Summary::parse(&json).unwrap()
    }

    fn journal(long_latencies: usize, long_services: usize) -> Journal {
        let mut journal = Journal::default();
        for i in 0..1000 {
            journal.latency.record(if i < long_latencies { 450_000_000 } else { 50_000 });
            journal.service_time.record(if i < long_services { 450_000_000 } else { 50_000 });
        }
        journal
    }

    #[test]
    fn each_fact_can_fail() {
        let none = journal(0, 0);
        let of = |summary: &Summary| failures(&stall(), false, summary, &none);
        assert_eq!(of(&summary(40_000, 0, 402, 501)), Vec::<String>::new());
        assert!(of(&summary(39_999, 0, 402, 501))[0].contains("40000 due are 39999"));
        assert!(of(&summary(39_999, 1, 402, 501))[0].contains("no packet is dropped"));
        assert!(of(&summary(40_000, 0, 20, 501))[0].contains("p99"));
        assert!(of(&summary(40_000, 0, 402, 30))[0].contains("greatest"));
        let closed = |summary: &Summary, journal: &Journal| failures(&stall(), true, summary, journal);
        assert_eq!(closed(&summary(38_160, 1840, 1, 501), &journal(160, 80)), Vec::<String>::new());
        assert!(closed(&summary(38_160, 1840, 1, 501), &journal(80, 80))[0].contains("two have such a latency"));
        assert!(closed(&summary(38_160, 1840, 1, 501), &journal(160, 160))[0].contains("two have such a latency"));
        assert!(closed(&summary(39_000, 1000, 1, 501), &journal(160, 80))[0].contains("dropped"));
    }
}
