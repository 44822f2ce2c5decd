//! One UDP socket on epoll. Changes with how datagrams are received and answered.

use crate::server::datagram::answer;
use crate::server::introduction::Introduction;
use crate::server::stats::Counters;
use crate::sys;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use std::io;

/// Datagrams that one turn may take before others have theirs.
const PER_TURN: usize = 256;

pub(super) struct Datagrams(UdpSocket);

impl Datagrams {
    pub fn new(socket: std::net::UdpSocket, registry: &Registry, token: Token) -> io::Result<Datagrams> {
        socket.set_nonblocking(true)?;
        let mut socket = UdpSocket::from_std(socket);
        registry.register(&mut socket, token, Interest::READABLE)?;
        Ok(Datagrams(socket))
    }

    /// Answers what has come; whether there may be more.
    pub fn advance(&mut self, buffer: &mut [u8], introduction: &mut Introduction, counters: &Counters) -> bool {
        let mut progress = false;
        for _ in 0..PER_TURN {
            match self.answer_one(buffer, introduction, counters) {
                Ok(()) => progress = true,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => counters.datagrams_failed.add(1),
            }
        }
        // Errors alone are no reason to spin: the next datagram's event comes back here.
        progress
    }

    /// Only the receipt's `WouldBlock` is given as such: an answer that finds the send buffer full is
    /// lost, as on any other queue of a network.
    fn answer_one(&self, buffer: &mut [u8], introduction: &mut Introduction, counters: &Counters) -> io::Result<()> {
        let received = sys::datagram::receive(&self.0, buffer)?;
        counters.datagrams_received.add(1);
        if received.truncated {
            counters.datagrams_truncated.add(1);
            return Ok(());
        }
        let Some(peer) = received.route.peer() else {
            counters.datagrams_failed.add(1);
            return Ok(());
        };
        let datagram = &mut buffer[..received.len];
        answer(datagram, peer, introduction);
        match sys::datagram::answer(&self.0, datagram, &received.route) {
            Ok(()) => counters.datagrams_sent.add(1),
            Err(_) => counters.datagrams_failed.add(1),
        }
        Ok(())
    }
}
