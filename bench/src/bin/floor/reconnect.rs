//! The floor of reconnecting: connections kept up, replaced the moment that the kernel knows of their
//! end. Changes when there is a faster way to do that.

use crate::sys::{self, Epoll};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const ENDED: u32 = (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32;

/// What happened to the connections.
#[derive(Default)]
pub struct Kept {
    /// Connections that ended and were replaced.
    pub reconnects: u64,
    /// Attempts that were refused.
    pub refused: u64,
}

/// How long to wait after an attempt that was refused: the least, doubled for each one before, up to the
/// greatest. Zero: not at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    min_us: u64,
    max_us: u64,
}

impl Backoff {
    pub fn new(min_us: u64, max_us: u64) -> Backoff {
        Backoff { min_us, max_us: max_us.max(min_us) }
    }

    fn after(self, refusals: u32) -> Duration {
        Duration::from_micros(self.min_us.saturating_mul(1 << refusals.min(20)).min(self.max_us))
    }
}

/// A place among the connections.
#[derive(Default)]
struct Place {
    socket: Option<Socket>,
    /// In a row.
    refusals: u32,
}

pub fn run(address: SocketAddr, conns: usize, time: Duration, backoff: Backoff) -> io::Result<Kept> {
    sys::set_timer_slack_1ns();
    let mut epoll = Epoll::new()?;
    let end = Instant::now() + time;
    let mut places = Vec::with_capacity(conns);
    for number in 0..conns {
        places.push(Place { socket: Some(connect(&epoll, address, number)?), refusals: 0 });
    }
    let mut kept = Kept::default();
    let mut later: BinaryHeap<Reverse<(Instant, usize)>> = BinaryHeap::with_capacity(conns);
    loop {
        let now = Instant::now();
        if now >= end {
            return Ok(kept);
        }
        while let Some(Reverse((at, number))) = later.peek().copied()
            && at <= now
        {
            later.pop();
            places[number].socket = Some(connect(&epoll, address, number)?);
        }
        let until = later.peek().map_or(end, |Reverse((at, _))| end.min(*at));
        epoll.wait(until.saturating_duration_since(now))?;
        for (number, _) in epoll.ready().filter(|(_, events)| events & ENDED != 0) {
            let number = number as usize;
            let place = &mut places[number];
            let Some(socket) = &place.socket else { continue };
            let refused = socket.take_error()?.and_then(|e| e.raw_os_error()) == Some(libc::ECONNREFUSED);
            let wait = if refused { backoff.after(place.refusals) } else { Duration::ZERO };
            place.refusals = if refused { place.refusals + 1 } else { 0 };
            if wait.is_zero() {
                place.socket = Some(connect(&epoll, address, number)?);
            } else {
                place.socket = None;
                later.push(Reverse((Instant::now() + wait, number)));
            }
            *(if refused { &mut kept.refused } else { &mut kept.reconnects }) += 1;
        }
    }
}

/// Begins to connect.
fn connect(epoll: &Epoll, address: SocketAddr, number: usize) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    match socket.connect(&SockAddr::from(address)) {
        Ok(()) => {}
        // A refusal that is known already is told by epoll all the same.
        Err(e) if matches!(e.raw_os_error(), Some(libc::EINPROGRESS | libc::ECONNREFUSED)) => {}
        Err(e) => return Err(e),
    }
    epoll.add(&socket, number as u64)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_greatest() {
        let backoff = Backoff::new(1000, 5000);
        let waits: Vec<u128> = (0..5).map(|refusals| backoff.after(refusals).as_micros()).collect();
        assert_eq!(waits, [1000, 2000, 4000, 5000, 5000]);
        assert_eq!(Backoff::default().after(9), Duration::ZERO);
        assert_eq!(Backoff::new(7, 7).after(40).as_micros(), 7);
    }
}
