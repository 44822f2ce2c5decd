//! The descriptors of tokio-uring's sockets, lent: that crate gives them as bare numbers only, and
//! socket2 sets options on descriptors that are known to be open.

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
