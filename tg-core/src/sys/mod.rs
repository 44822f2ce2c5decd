//! The operating system: the only place (with the io_uring engine) that holds `unsafe`, and the only
//! one that reads a clock.
#![allow(unsafe_code)]

pub mod clock;
pub mod datagram;
pub mod epoll;
pub mod host;
pub mod limits;
pub mod ring_stream;
pub mod socket;
pub mod tcp_info;
pub mod thread;
mod timer;
