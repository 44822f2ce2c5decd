//! What both closed-loop floors share: one packet out on each connection, the next one when its echo is
//! there; and what is counted of it. Changes when that load does.

mod epoll;
mod uring;

use crate::Engine;
use crate::connect::connect;
use crate::sys;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Not counted, at the beginning.
const WARM_UP: Duration = Duration::from_millis(200);

/// A closed-loop load.
pub struct Load {
    pub address: SocketAddr,
    pub conns: usize,
    /// Bytes a packet.
    pub size: usize,
    pub seconds: f64,
    /// Each has its part of the connections.
    pub threads: usize,
}

impl Load {
    /// # Errors
    /// Zero, or more than a floor has room for.
    pub fn check(&self) -> Result<(), &'static str> {
        let positive = self.threads > 0 && self.conns >= self.threads && self.size > 0 && self.seconds > 0.0;
        let bounded = self.seconds <= 1e6 && self.conns <= 1 << 20 && self.size <= 1 << 20;
        if positive && bounded { Ok(()) } else { Err("a figure is zero or too large") }
    }
}

/// Connects, and keeps a packet out on each connection.
///
/// # Errors
/// Whatever fails first.
pub fn run(engine: Engine, load: &Load) -> io::Result<Tally> {
    let mut streams = connect(load.address, load.conns)?.streams;
    let of_thread = |streams: Vec<TcpStream>| match engine {
        Engine::Epoll => epoll::run(load, streams),
        Engine::Uring => uring::run(load, streams),
    };
    let all: io::Result<Vec<Tally>> = thread::scope(|scope| {
        let mut others = Vec::new();
        for thread in (1..load.threads).rev() {
            let part = streams.split_off(load.conns * thread / load.threads);
            others.push(scope.spawn(move || of_thread(part)));
        }
        let mut all = vec![of_thread(streams)];
        all.extend(others.into_iter().map(|t| t.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))));
        all.into_iter().collect()
    });
    all?.into_iter().reduce(Tally::and).ok_or_else(|| io::Error::other("no thread"))
}

/// What became of a load. Shows itself as one line of JSON.
pub struct Tally {
    size: usize,
    /// Bytes of the echo that is under way, by connection.
    got: Vec<usize>,
    received: u64,
    began: Instant,
    time: Duration,
    /// Of the time that counts: its beginning, and what had been received and used by then.
    counted: Option<(Instant, u64, u64)>,
    ended: Instant,
    cpu_ns: u64,
}

impl Tally {
    fn new(load: &Load) -> Tally {
        let now = Instant::now();
        let time = WARM_UP + Duration::from_secs_f64(load.seconds);
        let got = vec![0; load.conns];
        Tally { size: load.size, got, received: 0, began: now, time, counted: None, ended: now, cpu_ns: 0 }
    }

    /// Whether the time is over.
    fn is_over(&mut self) -> bool {
        let now = Instant::now();
        let passed = now - self.began;
        if self.counted.is_none() && passed >= WARM_UP {
            self.counted = Some((now, self.received, sys::cpu_ns()));
        }
        let over = passed >= self.time;
        if over {
            self.ended = now;
            self.cpu_ns = sys::cpu_ns();
        }
        over
    }

    /// Both together. They began and ended at the same times, as near as counts; the CPU time of each is the
    /// process's.
    fn and(self, other: Tally) -> Tally {
        let counted = match (self.counted, other.counted) {
            (Some((at, ours, cpu)), Some((_, theirs, other_cpu))) => Some((at, ours + theirs, cpu.min(other_cpu))),
            (one, other) => one.or(other),
        };
        let cpu_ns = self.cpu_ns.max(other.cpu_ns);
        Tally { received: self.received + other.received, counted, cpu_ns, ..self }
    }

    /// Whether an echo is complete: time for the next packet.
    fn echoed(&mut self, conn: usize, bytes: usize) -> bool {
        self.got[conn] += bytes;
        let whole = self.got[conn] >= self.size;
        if whole {
            self.got[conn] -= self.size;
            self.received += 1;
        }
        whole
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (since, before, cpu_before) = self.counted.unwrap_or((self.began, 0, 0));
        let (round_trips, seconds) = (self.received - before, (self.ended - since).as_secs_f64());
        let cpu_us = self.cpu_ns.saturating_sub(cpu_before) as f64 / 1e3;
        write!(
            f,
            "{{\"round_trips\":{round_trips},\"seconds\":{seconds:.6},\"received\":{},\"cpu_us_per_round_trip\":{:.4}}}",
            self.received,
            cpu_us / round_trips.max(1) as f64
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_is_whole_with_its_last_byte() {
        let load =
            Load { address: SocketAddr::from(([127, 0, 0, 1], 1)), conns: 2, size: 100, seconds: 1.0, threads: 2 };
        assert!(load.check().is_ok() && Load { threads: 3, ..load }.check().is_err());
        let mut tally = Tally::new(&load);
        assert!(!tally.echoed(0, 60) && !tally.echoed(1, 40) && tally.echoed(0, 40) && tally.echoed(1, 60));
        assert_eq!(tally.received, 2);
        let both = tally.and(Tally { received: 3, cpu_ns: 7, ..Tally::new(&load) });
        assert_eq!((both.received, both.cpu_ns), (5, 7));
        assert!(Load { seconds: f64::NAN, ..load }.check().is_err());
    }
}
