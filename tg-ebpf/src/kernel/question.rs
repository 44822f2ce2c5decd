//! A netlink socket to ask the kernel by, in the namespace of the thread that opens it. Changes when how it is opened,
//! or how long is waited for an answer, does.

use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;
use std::io;

/// The kernel's messages are no longer than this (`NLMSG_GOODSIZE`, or what a dump was offered).
pub const DATAGRAM_MAX: usize = 64 << 10;

/// `protocol`: one of [`netlink_sys::protocols`].
pub fn open(protocol: isize) -> io::Result<Socket> {
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    // The observer must not wait for ever for an answer that does not come.
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(1, 0))?;
    Ok(socket)
}
