//! The closed-loop floor on io_uring: one enter for all answers. Changes when there is a cheaper way to do
//! it with io_uring.

use super::{Load, Tally};
use crate::ring::{GROUP, Ring, Wait};
use io_uring::types::Fixed;
use io_uring::{cqueue, opcode, squeue};
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, RawFd};

/// User data of sends; a receive has its connection's number plus one.
const SEND: u64 = 0;
/// A server that says nothing for so long is gone.
const PATIENCE_NS: u64 = 1_000_000_000;

pub fn run(load: &Load, streams: Vec<TcpStream>) -> io::Result<Tally> {
    let (mut ring, mut buffers) = Ring::new()?;
    let fds: Vec<RawFd> = streams.iter().map(AsRawFd::as_raw_fd).collect();
    ring.register_files(&fds)?;
    let packet = vec![0u8; load.size];
    for conn in 0..fds.len() {
        receive(&mut ring, conn)?;
        send(&mut ring, conn, &packet)?;
    }
    let mut tally = Tally::new(load);
    while !tally.is_over() {
        ring.enter(Wait::AnyWithin(PATIENCE_NS))?;
        while let Some(completion) = ring.pop() {
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
                receive(&mut ring, conn)?;
            }
            match result {
                0 => return Err(io::Error::other("the server closed a connection")),
                1.. if tally.echoed(conn, result as usize) => send(&mut ring, conn, &packet)?,
                1.. => {}
                _ if -result == libc::ENOBUFS => {}
                _ => return Err(io::Error::from_raw_os_error(-result)),
            }
        }
    }
    drop(streams);
    Ok(tally)
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
