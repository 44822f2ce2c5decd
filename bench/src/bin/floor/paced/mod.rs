//! What both paced floors share: the load, its absolute schedule, what became of it. Changes when the load
//! does.

mod epoll;
mod uring;

use crate::Engine;
use crate::connect::{Times, connect};
use crate::sys::{self, quantile};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

/// From the connections' establishment to the first packet.
const LEAD_NS: u64 = 200_000_000;
/// From the last packet to the end, for its echo.
const TAIL_NS: u64 = 100_000_000;

/// A paced load.
pub struct Load {
    pub address: SocketAddr,
    pub conns: usize,
    /// Packets/s over all connections.
    pub pps: f64,
    /// Bytes a packet.
    pub size: usize,
    pub seconds: f64,
    /// A sleep of more than twice this length before a packet is made as two, the last of this length.
    pub nap_ns: u64,
    /// Busy waiting before a packet is due.
    pub spin_ns: u64,
    /// Packets that are due within so long leave together, at its end.
    pub batch_ns: u64,
    /// SCHED_FIFO.
    pub fifo: bool,
}

impl Load {
    /// # Errors
    /// Zero, or more than a floor has room for.
    pub fn check(&self) -> Result<(), &'static str> {
        let positive = self.conns > 0 && self.size > 0 && self.pps > 0.0 && self.seconds > 0.0;
        // Every packet's lateness is kept; written so that NaN is refused, too.
        let bounded = self.pps * self.seconds <= 1e8 && self.conns <= 1 << 20 && self.size <= 1 << 20;
        if positive && bounded { Ok(()) } else { Err("a figure is zero or too large") }
    }

    fn packets(&self) -> u64 {
        (self.pps * self.seconds) as u64
    }

    /// How long to sleep before looking again, of what is left to the next packet. Zero in the spin window: the spin
    /// looks at the sockets, too.
    fn sleep_ns(&self, left_ns: u64) -> u64 {
        let sleep = left_ns.saturating_sub(self.spin_ns);
        if sleep > 2 * self.nap_ns { sleep - self.nap_ns } else { sleep }
    }

    /// How this thread is scheduled.
    pub fn set_up_thread(&self) -> io::Result<()> {
        sys::set_timer_slack_1ns();
        if self.batch_ns == 0 {
            sys::set_short_slice();
        }
        if self.fifo { sys::set_fifo() } else { Ok(()) }
    }
}

/// Connects, sends, and reads what comes back.
///
/// # Errors
/// Whatever fails first.
pub fn run(engine: Engine, load: &Load) -> io::Result<Tally> {
    load.set_up_thread()?;
    let connected = connect(load.address, load.conns)?;
    match engine {
        Engine::Epoll => epoll::run(load, connected),
        Engine::Uring => uring::run(load, connected),
    }
}

/// Packet k is due at its own time, whatever became of those before.
pub struct Schedule {
    base: Instant,
    interval_ns: f64,
    batch_ns: u64,
    end_ns: u64,
    total: u64,
    next: u64,
    conns: u64,
}

impl Schedule {
    /// Begins a moment from now.
    pub fn new(load: &Load) -> Schedule {
        Schedule {
            base: Instant::now(),
            interval_ns: 1e9 / load.pps,
            batch_ns: load.batch_ns,
            end_ns: LEAD_NS + (load.seconds * 1e9) as u64 + TAIL_NS,
            total: load.packets(),
            next: 0,
            conns: load.conns as u64,
        }
    }

    /// Nanoseconds since the schedule was made.
    pub fn now(&self) -> u64 {
        self.base.elapsed().as_nanos() as u64
    }

    /// When the next packet is due; after the last one, when all is over.
    pub fn due(&self) -> u64 {
        if self.next < self.total { LEAD_NS + (self.next as f64 * self.interval_ns) as u64 } else { self.end_ns }
    }

    /// When the next packet leaves with its batch; after the last one, when all is over.
    pub fn wake(&self) -> u64 {
        self.due() + if self.next < self.total { self.batch_ns } else { 0 }
    }

    /// The connection that the next packet goes to, if it is due.
    pub fn take(&mut self, now: u64) -> Option<usize> {
        if self.next == self.total || now < self.due() {
            return None;
        }
        let conn = self.next % self.conns;
        self.next += 1;
        Some(conn as usize)
    }

    pub fn is_over(&self, now: u64) -> bool {
        self.next == self.total && now >= self.end_ns
    }
}

/// What became of a load. Shows itself as one line of JSON.
pub struct Tally {
    pub received: u64,
    lateness_ns: Vec<u64>,
    /// Bytes of the echo that is under way, by connection.
    got: Vec<usize>,
    size: usize,
    connects: Times,
}

impl Tally {
    pub fn new(load: &Load, connects: Times) -> Tally {
        let lateness_ns = Vec::with_capacity(load.packets() as usize);
        Tally { received: 0, lateness_ns, got: vec![0; load.conns], size: load.size, connects }
    }

    pub fn sent(&mut self, lateness_ns: u64) {
        self.lateness_ns.push(lateness_ns);
    }

    pub fn echoed(&mut self, conn: usize, bytes: usize) {
        self.got[conn] += bytes;
        while self.got[conn] >= self.size {
            self.got[conn] -= self.size;
            self.received += 1;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = self.lateness_ns.clone();
        sorted.sort_unstable();
        let at = |q| quantile(&sorted, q);
        write!(
            f,
            "{{\"sent\":{},\"received\":{},\"lateness\":{{\"p50_ns\":{},\"p99_ns\":{},\"max_ns\":{}}},\"connect\":{}}}",
            sorted.len(),
            self.received,
            at(0.5),
            at(0.99),
            at(1.0),
            self.connects
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load() -> Load {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        Load {
            address,
            conns: 3,
            pps: 400.0,
            size: 100,
            seconds: 0.025,
            nap_ns: 0,
            spin_ns: 0,
            batch_ns: 0,
            fifo: false,
        }
    }

    #[test]
    fn packets_are_due_at_even_distances_and_take_connections_in_turn() {
        let mut schedule = Schedule::new(&load());
        let mut taken = Vec::new();
        assert_eq!(schedule.take(LEAD_NS - 1), None);
        while let Some(conn) = schedule.take(schedule.due()) {
            taken.push((conn, schedule.due()));
        }
        let conns: Vec<usize> = taken.iter().map(|(conn, _)| *conn).collect();
        assert_eq!(conns, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(taken[0].1, LEAD_NS + 2_500_000);
        assert_eq!(taken[8].1, LEAD_NS + 9 * 2_500_000);
        assert_eq!(schedule.due(), LEAD_NS + 25_000_000 + TAIL_NS);
        assert!(!schedule.is_over(schedule.due() - 1) && schedule.is_over(schedule.due()));
    }

    #[test]
    fn a_batch_leaves_when_its_first_packet_has_waited_its_time() {
        let mut schedule = Schedule::new(&Load { batch_ns: 6_000_000, ..load() });
        assert_eq!(schedule.wake(), LEAD_NS + 6_000_000);
        let now = schedule.wake();
        assert_eq!(std::iter::from_fn(|| schedule.take(now)).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(schedule.wake(), LEAD_NS + 3 * 2_500_000 + 6_000_000);
        while schedule.take(u64::MAX).is_some() {}
        assert_eq!(schedule.wake(), schedule.due());
    }

    #[test]
    fn a_long_sleep_ends_with_a_nap() {
        let load = Load { nap_ns: 200, spin_ns: 50, ..load() };
        assert_eq!([2500, 250, 450, 451, 50, 0].map(|left| load.sleep_ns(left)), [2250, 200, 400, 201, 0, 0]);
        assert_eq!(Load { nap_ns: 0, ..load }.sleep_ns(2500), 2450);
    }

    #[test]
    fn an_echo_counts_when_its_last_byte_is_there() {
        let mut tally = Tally::new(&load(), Times::default());
        tally.echoed(0, 99);
        tally.echoed(1, 99);
        assert_eq!(tally.received, 0);
        tally.echoed(0, 101);
        assert_eq!(tally.received, 2);
        for lateness_ns in 1..=100 {
            tally.sent(lateness_ns);
        }
        let want = r#"{"sent":100,"received":2,"lateness":{"p50_ns":50,"p99_ns":99,"max_ns":100},"connect":{"p50_ns":0,"p99_ns":0,"max_ns":0}}"#;
        assert_eq!(tally.to_string(), want);
    }

    #[test]
    fn absurd_loads_are_refused() {
        assert!(load().check().is_ok());
        for bad in [
            Load { conns: 0, ..load() },
            Load { size: 0, ..load() },
            Load { pps: 0.0, ..load() },
            Load { pps: f64::NAN, ..load() },
            Load { seconds: f64::INFINITY, ..load() },
        ] {
            assert!(bad.check().is_err());
        }
    }
}
