//! The paced floor on io_uring: one submit for all that is due, multishot receives into provided
//! buffers. Changes when there is a cheaper way to do it with io_uring.

use super::{Load, Schedule, Tally};
use crate::connect::Connected;
use crate::ring::{Buffers, GROUP, Ring, Wait};
use io_uring::types::Fixed;
use io_uring::{cqueue, opcode, squeue};
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// User data of sends; a receive has its connection's number plus one.
const SEND: u64 = 0;

pub fn run(load: &Load, connected: Connected) -> io::Result<Tally> {
    let Connected { streams, times } = connected;
    let (mut ring, mut buffers) = Ring::new()?;
    let fds: Vec<RawFd> = streams.iter().map(AsRawFd::as_raw_fd).collect();
    ring.register_files(&fds)?;
    for conn in 0..fds.len() {
        receive(&mut ring, conn)?;
    }
    let packet = vec![0u8; load.size];
    let mut tally = Tally::new(load, times);
    let mut schedule = Schedule::new(load);
    let mut rearm = Vec::with_capacity(fds.len());
    loop {
        let mut now = schedule.now();
        if now >= schedule.wake() {
            // What becomes due meanwhile waits until the sockets have been looked at.
            let until = now;
            let mut due = schedule.due();
            while let Some(conn) = schedule.take(until) {
                send(&mut ring, conn, &packet)?;
                tally.sent(now - due);
                now = schedule.now();
                due = schedule.due();
            }
        }
        if schedule.is_over(now) {
            return Ok(tally);
        }
        let wait = load.sleep_ns(schedule.wake().saturating_sub(now));
        ring.enter(match (wait, load.batch_ns) {
            (0, _) => Wait::No,
            (wait, 0) => Wait::AnyWithin(wait),
            // Echoes wait for the next batch: one wake-up for all of them.
            (wait, _) => Wait::Whole(wait),
        })?;
        while let Some(completion) = ring.pop() {
            take(&completion, &mut buffers, &mut tally, &mut rearm)?;
        }
        for conn in rearm.drain(..) {
            receive(&mut ring, conn)?;
        }
    }
}

fn take(
    completion: &cqueue::Entry,
    buffers: &mut Buffers,
    tally: &mut Tally,
    rearm: &mut Vec<usize>,
) -> io::Result<()> {
    let (user_data, result) = (completion.user_data(), completion.result());
    if user_data == SEND {
        // Successes are not told.
        return Err(io::Error::from_raw_os_error(-result));
    }
    let conn = (user_data - 1) as usize;
    if let Some(id) = cqueue::buffer_select(completion.flags()) {
        buffers.give_back(id);
    }
    if !cqueue::more(completion.flags()) {
        rearm.push(conn);
    }
    match result {
        0 => return Err(io::Error::other("the server closed a connection")),
        1.. => tally.echoed(conn, result as usize),
        _ if -result == libc::ENOBUFS => {}
        _ => return Err(io::Error::from_raw_os_error(-result)),
    }
    Ok(())
}

fn receive(ring: &mut Ring, conn: usize) -> io::Result<()> {
    let receive = opcode::RecvMulti::new(Fixed(conn as u32), GROUP).build().user_data(conn as u64 + 1);
    // SAFETY: it points to nothing but the provided buffers, which are never freed.
    unsafe { ring.push(&receive) }
}

fn send(ring: &mut Ring, conn: usize, packet: &[u8]) -> io::Result<()> {
    let send = opcode::Send::new(Fixed(conn as u32), packet.as_ptr(), packet.len() as u32).flags(libc::MSG_NOSIGNAL);
    let send = send.build().flags(squeue::Flags::SKIP_SUCCESS).user_data(SEND);
    // SAFETY: the packet is only read, and lives as long as the loop that enters the ring.
    unsafe { ring.push(&send) }
}
