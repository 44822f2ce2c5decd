//! The paced floor on epoll. Changes when there is a cheaper way to do it with epoll.

use super::{Load, Schedule, Tally};
use crate::connect::Connected;
use crate::sys::Epoll;
use std::io::{self, Read, Write};
use std::thread;
use std::time::Duration;

const RECEIVE_BUFFER: usize = 64 << 10;

pub fn run(load: &Load, connected: Connected) -> io::Result<Tally> {
    let mut epoll = Epoll::new()?;
    let mut streams = connected.streams;
    for (number, stream) in streams.iter().enumerate() {
        epoll.add(stream, number as u64)?;
    }
    let packet = vec![0u8; load.size];
    let mut buffer = vec![0u8; RECEIVE_BUFFER];
    let mut tally = Tally::new(load, connected.times);
    let mut schedule = Schedule::new(load);
    loop {
        let mut now = schedule.now();
        if now >= schedule.wake() {
            // What becomes due meanwhile waits until the sockets have been looked at.
            let until = now;
            let mut due = schedule.due();
            while let Some(conn) = schedule.take(until) {
                if streams[conn].write(&packet)? != packet.len() {
                    return Err(io::Error::other("a packet did not fit the send buffer"));
                }
                tally.sent(now - due);
                now = schedule.now();
                due = schedule.due();
            }
        }
        if schedule.is_over(now) {
            return Ok(tally);
        }
        let wait = Duration::from_nanos(load.sleep_ns(schedule.wake().saturating_sub(now)));
        if load.batch_ns == 0 {
            epoll.wait(wait)?;
        } else {
            // Echoes wait for the next batch: one wake-up for all of them.
            thread::sleep(wait);
            epoll.wait(Duration::ZERO)?;
        }
        for (number, _) in epoll.ready() {
            let conn = number as usize;
            match streams[conn].read(&mut buffer) {
                Ok(0) => return Err(io::Error::other("the server closed a connection")),
                Ok(bytes) => tally.echoed(conn, bytes),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
    }
}
