//! The floor of reconnecting: connections kept up, replaced the moment that the kernel knows of their
//! end. Changes when there is a faster way to do that.

use crate::sys::{self, Epoll};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::collections::VecDeque;
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

pub fn run(address: SocketAddr, conns: usize, time: Duration, backoff: Duration) -> io::Result<Kept> {
    sys::set_timer_slack_1ns();
    let mut epoll = Epoll::new()?;
    let end = Instant::now() + time;
    let mut sockets = Vec::with_capacity(conns);
    for number in 0..conns {
        sockets.push(Some(connect(&epoll, address, number)?));
    }
    let mut kept = Kept::default();
    // All wait equally long, so in the order of their times.
    let mut later: VecDeque<(Instant, usize)> = VecDeque::with_capacity(conns);
    loop {
        let now = Instant::now();
        if now >= end {
            return Ok(kept);
        }
        while let Some((at, number)) = later.front().copied()
            && at <= now
        {
            later.pop_front();
            sockets[number] = Some(connect(&epoll, address, number)?);
        }
        let until = later.front().map_or(end, |(at, _)| end.min(*at));
        epoll.wait(until.saturating_duration_since(now))?;
        for (number, _) in epoll.ready().filter(|(_, events)| events & ENDED != 0) {
            let number = number as usize;
            let Some(socket) = &sockets[number] else { continue };
            let refused = socket.take_error()?.and_then(|e| e.raw_os_error()) == Some(libc::ECONNREFUSED);
            if refused && !backoff.is_zero() {
                sockets[number] = None;
                later.push_back((Instant::now() + backoff, number));
            } else {
                sockets[number] = Some(connect(&epoll, address, number)?);
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
