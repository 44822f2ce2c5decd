//! The echo server on io_uring: what was received is sent from the buffer that it came in. Changes when
//! there is a cheaper way to do it with io_uring.

use super::{Served, announce};
use crate::ring::{Buffers, GROUP, Ring, Wait};
use io_uring::types::Fd;
use io_uring::{cqueue, opcode, squeue};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, RawFd};

/// In the upper half of the user data; the lower one has the descriptor (receives, sends).
const ACCEPT: u64 = 1;
const RECEIVE: u64 = 2;
/// With the buffer's number in between.
const SEND: u64 = 3;
const STDIN: u64 = 4;
const CLOSE: u64 = 5;
const KIND_SHIFT: u32 = 56;
const BUFFER_SHIFT: u32 = 32;

pub fn run(listener: &TcpListener, address: SocketAddr) -> io::Result<Served> {
    let (mut ring, mut buffers) = Ring::new()?;
    push(&mut ring, opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).build(), ACCEPT, 0)?;
    let readable = (libc::POLLIN | libc::POLLHUP) as u32;
    push(&mut ring, opcode::PollAdd::new(Fd(libc::STDIN_FILENO), readable).build(), STDIN, 0)?;
    announce(address);
    let mut served = Served::default();
    loop {
        ring.enter(Wait::Any)?;
        while let Some(completion) = ring.pop() {
            let user_data = completion.user_data();
            let fd = user_data as u32 as RawFd;
            match user_data >> KIND_SHIFT {
                ACCEPT => accepted(&mut ring, listener, &completion, &mut served)?,
                RECEIVE => received(&mut ring, &mut buffers, fd, &completion, &mut served)?,
                SEND => buffers.give_back((user_data >> BUFFER_SHIFT) as u16),
                STDIN => return Ok(served),
                _ => {}
            }
        }
    }
}

fn accepted(
    ring: &mut Ring,
    listener: &TcpListener,
    completion: &cqueue::Entry,
    served: &mut Served,
) -> io::Result<()> {
    if completion.result() >= 0 {
        served.connections += 1;
        receive(ring, completion.result())?;
    }
    if !cqueue::more(completion.flags()) {
        push(ring, opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).build(), ACCEPT, 0)?;
    }
    Ok(())
}

fn received(
    ring: &mut Ring,
    buffers: &mut Buffers,
    fd: RawFd,
    completion: &cqueue::Entry,
    served: &mut Served,
) -> io::Result<()> {
    let result = completion.result();
    match (cqueue::buffer_select(completion.flags()), result) {
        (Some(id), 1..) => {
            served.bytes += u64::from(result.cast_unsigned());
            let send = opcode::Send::new(Fd(fd), buffers.address(id), result.cast_unsigned());
            let send = send.flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL).build();
            push(ring, send, SEND, u64::from(id) << BUFFER_SHIFT | u64::from(fd.cast_unsigned()))?;
        }
        (Some(id), _) => buffers.give_back(id),
        (None, _) => {}
    }
    match result {
        1.. if cqueue::more(completion.flags()) => Ok(()),
        1.. => receive(ring, fd),
        _ if -result == libc::ENOBUFS => receive(ring, fd),
        // A send that is still under way holds the socket itself.
        _ => push(ring, opcode::Close::new(Fd(fd)).build(), CLOSE, 0),
    }
}

fn receive(ring: &mut Ring, fd: RawFd) -> io::Result<()> {
    push(ring, opcode::RecvMulti::new(Fd(fd), GROUP).build(), RECEIVE, u64::from(fd.cast_unsigned()))
}

fn push(ring: &mut Ring, entry: squeue::Entry, kind: u64, data: u64) -> io::Result<()> {
    // SAFETY: entries point to nothing but provided buffers, which are never freed; one that is being
    // sent is given back once the send has completed.
    unsafe { ring.push(&entry.user_data(kind << KIND_SHIFT | data)) }
}
