//! A netlink socket to ask the kernel by, in the namespace of the thread that opens it. Changes when how it is opened,
//! or how long is waited for an answer, does.

use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;
use std::io;

/// The kernel's messages are no longer than this (`NLMSG_GOODSIZE`, or what a dump was offered).
pub const DATAGRAM_MAX: usize = 64 << 10;

/// The kernel answers before the request's system call is over, and whoever asks must be able to end within a second.
const PATIENCE: TimeVal = TimeVal::new(0, 500_000);

/// `protocol`: one of [`netlink_sys::protocols`].
pub fn open(protocol: isize) -> io::Result<Socket> {
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &PATIENCE)?;
    Ok(socket)
}
