//! The descriptors of tokio-uring's sockets, lent: that crate gives them as bare numbers only, and
//! socket2 sets options on descriptors that are known to be open. And what neither crate does with them.

use socket2::SockRef;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use tokio_uring::net::{TcpListener, TcpStream};

/// The descriptor of a listener.
pub fn of_listener(listener: &TcpListener) -> BorrowedFd<'_> {
    // SAFETY: the listener owns the descriptor and is borrowed for as long as it is lent.
    unsafe { BorrowedFd::borrow_raw(listener.as_raw_fd()) }
}

/// The descriptor of a stream.
pub fn of_stream(stream: &TcpStream) -> BorrowedFd<'_> {
    // SAFETY: the stream owns the descriptor and is borrowed for as long as it is lent.
    unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) }
}

/// Whether bytes of the peer wait to be read.
pub fn has_unread(stream: &BorrowedFd<'_>) -> bool {
    let mut one = [MaybeUninit::uninit()];
    SockRef::from(stream).recv_with_flags(&mut one, libc::MSG_PEEK | libc::MSG_DONTWAIT).is_ok_and(|n| n > 0)
}

/// Sends a reset, whatever is under way on the connection: that fails. (A close that resets has to wait
/// for it.)
///
/// # Errors
/// The connection is over already.
pub fn reset(stream: &BorrowedFd<'_>) -> io::Result<()> {
    // To connect to nowhere ends the connection (tcp_disconnect in net/ipv4/tcp.c).
    let nowhere = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
    let len = size_of_val(&nowhere) as libc::socklen_t;
    // SAFETY: the address is a sockaddr of the length given, which the call only reads.
    let result = unsafe { libc::connect(stream.as_raw_fd(), &raw const nowhere, len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
