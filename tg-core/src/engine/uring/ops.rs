//! Beginning operations: connect, receive, send, close. Changes when one of them is to be asked of the
//! kernel in another way.

use super::UringEngine;
use super::buffers::GROUP;
use super::key::Kind;
use super::sockets::{Phase, Sending};
use crate::engine::{Closing, Connect, Event, Token};
use crate::payload::Message;
use crate::sys::{socket, tcp_info};
use io_uring::{opcode, squeue, types::Fd};
use socket2::{SockAddr, Socket as Descriptor};
use std::io;
use std::net::Shutdown;
use std::time::Duration;
use tg_model::plan::Transport;
use tg_model::tcp_info::TcpInfo;
use tg_model::time::Nanos;

/// Tries to make room in a full queue: more are needed only where the kernel has no memory.
const TRIES: usize = 1000;

impl UringEngine {
    pub(super) fn connect(&mut self, token: Token, connect: &Connect) {
        if let Some(index) = self.sockets.part(token.slot) {
            let info = self.tcp_info(index);
            self.replaced.push((index, info));
        }
        if let Err(error) = self.try_connect(token, connect) {
            self.announce(token, Event::ConnectFailed { errno: errno(&error) });
        }
    }

    fn try_connect(&mut self, token: Token, connect: &Connect) -> io::Result<()> {
        let remote = SockAddr::from(connect.remote);
        let descriptor = match socket::open(connect) {
            Err(e) if e.raw_os_error() == Some(libc::EMFILE) && self.sockets.closing() > 0 => {
                // Those being closed in the background may have their descriptors.
                self.flush();
                self.drain();
                socket::open(connect)?
            }
            opened => opened?,
        };
        if connect.transport == Transport::Udp {
            descriptor.connect(&remote)?;
            let local = socket::local(&descriptor)?;
            let index = self.adopt(token, true, descriptor)?;
            self.sockets.at(index).scratch.reserve(self.packet_size);
            self.announce(token, Event::Connected { local });
            return Ok(());
        }
        let index = self.sockets.insert(token, Phase::Connecting, false, descriptor).ok_or_else(taken)?;
        let socket = self.sockets.at(index);
        let fd = Fd(socket.fd());
        let address = socket.address.insert(Box::new(remote));
        // It waits although the descriptor is non-blocking: `io_connect` in io_uring/net.c takes
        // EINPROGRESS for a reason to poll.
        let entry = opcode::Connect::new(fd, address.as_ptr().cast(), address.len()).build();
        // SAFETY: the address is in a box that the socket keeps until it is connected or settled, both
        // after this operation's completion.
        unsafe { self.push(index, Kind::Connect, entry) };
        Ok(())
    }

    /// Takes in a connected socket, and receives from it.
    pub(super) fn adopt(&mut self, token: Token, datagram: bool, descriptor: Descriptor) -> io::Result<u32> {
        let index = self.sockets.insert(token, Phase::Open, datagram, descriptor).ok_or_else(taken)?;
        self.receive(index);
        Ok(index)
    }

    /// Begins the receive that is to be always pending.
    pub(super) fn receive(&mut self, index: u32) {
        if self.is_queued(index) {
            // A message of this socket. The kernel promises no order between the completions of one
            // batch, and a message's echo must not be told before the message.
            self.flush();
        }
        let socket = self.sockets.at(index);
        socket.receiving = true;
        let entry = opcode::RecvMulti::new(Fd(socket.fd()), GROUP).build();
        // SAFETY: it points to no memory; the group's buffers outlive the ring.
        unsafe { self.push(index, Kind::Receive, entry) };
    }

    pub(super) fn send(&mut self, token: Token, message: Message) {
        let refused = |errno| Event::Unsent { errno: Some(errno) };
        let Some(index) = self.sockets.find(token) else {
            return self.announce(token, refused(libc::ENOTCONN));
        };
        let socket = self.sockets.at(index);
        if socket.phase != Phase::Open || socket.sending != Sending::Idle {
            return self.announce(token, refused(libc::EALREADY));
        }
        let fd = Fd(socket.fd());
        let (start, len) = (message.start as usize, message.len as usize);
        let bytes = match message.sequence {
            None => start.checked_add(len).and_then(|end| self.payload.get(start..end)),
            Some(sequence) => socket.scratch.assemble(&self.payload, message, sequence),
        };
        let Some(bytes) = bytes else {
            return self.announce(token, refused(libc::EINVAL));
        };
        let entry = opcode::Send::new(fd, bytes.as_ptr(), message.len)
            // Without MSG_DONTWAIT a send to a full buffer would wait for room. With MSG_WAITALL one that
            // is cut short counts as failed, so only those sent whole have no completion: `io_send` in
            // io_uring/net.c. None is still under way once the kernel has taken it.
            .flags(libc::MSG_DONTWAIT | libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS);
        socket.sending = Sending::Message { start: message.start, len: message.len, at: Nanos::ZERO };
        // SAFETY: the payload is never written, and the datagram not before `sending` is idle again,
        // which this operation's completion makes it. Both outlive the ring.
        unsafe { self.push(index, Kind::Send, entry) };
        self.queued.push_back((self.ring.pushed(), index));
    }

    /// Sends the rest of a message, waiting for room.
    pub(super) fn send_rest(&mut self, index: u32, start: u32, len: u32) {
        let socket = self.sockets.at(index);
        socket.sending = Sending::Rest { start, len };
        let Some(bytes) = self.payload.get(start as usize..).and_then(|b| b.get(..len as usize)) else {
            return;
        };
        let entry = opcode::Send::new(Fd(socket.fd()), bytes.as_ptr(), len)
            .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
            .build();
        // SAFETY: the payload is never written and outlives the ring.
        unsafe { self.push(index, Kind::Rest, entry) };
    }

    pub(super) fn close(&mut self, token: Token, how: Closing) {
        self.silence(token);
        self.closed_since_staged = true;
        let replaced = self.replaced.iter().position(|(index, _)| self.sockets.at(*index).token == token);
        if let Some((index, info)) = replaced.map(|at| self.replaced.swap_remove(at)) {
            // The replacement's connect leaves first.
            self.flush();
            self.close_socket(index, how);
            return self.announce(token, Event::Closed { info: info.map(Box::new) });
        }
        if self.sockets.find(token).is_none() {
            // The attempt had failed already.
            self.staged.retain(|taken| taken.completion.token != token);
        }
        let info = self.sockets.find(token).and_then(|index| {
            let info = self.tcp_info(index);
            self.close_socket(index, how);
            info
        });
        self.announce(token, Event::Closed { info: info.map(Box::new) });
    }

    /// What the kernel knows of a stream, once it has what was submitted.
    fn tcp_info(&mut self, index: u32) -> Option<TcpInfo> {
        if self.is_queued(index) {
            // A message leaves before the end does; anything else can be cancelled once it is under way.
            self.flush();
        }
        let socket = self.sockets.at(index);
        socket.descriptor.as_ref().filter(|_| !socket.datagram).and_then(tcp_info::read)
    }

    fn close_socket(&mut self, index: u32, how: Closing) {
        let socket = self.sockets.at(index);
        let connected = socket.phase == Phase::Open;
        let stream = !socket.datagram;
        if let Some(descriptor) = socket.descriptor.as_ref().filter(|_| stream) {
            if how == Closing::Reset {
                let _ = descriptor.set_linger(Some(Duration::ZERO));
            } else if connected {
                // Sends the FIN now: the descriptor cannot be closed yet. It also ends what waits on
                // the socket, after the bytes that are there have been received: closing with such
                // bytes left would send an RST.
                let _ = descriptor.shutdown(Shutdown::Both);
            }
        }
        self.sockets.retire(index);
        if !(stream && connected && how == Closing::Orderly) {
            self.cancel(index, connected);
        }
        self.sockets.settle(index);
    }

    /// Cancels what waits on a socket.
    fn cancel(&mut self, index: u32, connected: bool) {
        let socket = self.sockets.at(index);
        let waits = [
            (!connected, Kind::Connect),
            (socket.receiving, Kind::Receive),
            (matches!(socket.sending, Sending::Rest { .. }), Kind::Rest),
        ];
        for (_, kind) in waits.into_iter().filter(|(waits, _)| *waits) {
            let entry = opcode::AsyncCancel::new(self.sockets.key(kind, index).pack()).build();
            // SAFETY: it points to no memory.
            unsafe { self.push(index, Kind::Cancel, entry) };
        }
    }

    /// The kernel has not taken the socket's last operation yet.
    fn is_queued(&mut self, index: u32) -> bool {
        self.sockets.at(index).place > self.ring.taken()
    }

    /// Queues an operation of a socket, entering the ring where the queue is full.
    ///
    /// # Safety
    /// Memory that `entry` points to stays valid, and is not written, until the operation's completion
    /// has been taken or the ring is gone.
    unsafe fn push(&mut self, index: u32, kind: Kind, entry: squeue::Entry) {
        let entry = entry.user_data(self.sockets.key(kind, index).pack());
        for _ in 0..TRIES {
            // SAFETY: the caller's promise; the engine's `drop` waits for completions, or leaks.
            if unsafe { self.ring.push(&entry) } {
                let socket = self.sockets.at(index);
                socket.pending += 1;
                socket.place = self.ring.pushed();
                self.outstanding += 1;
                return;
            }
            self.flush();
        }
        self.broken.get_or_insert_with(|| io::Error::from_raw_os_error(libc::ENOMEM));
    }
}

fn taken() -> io::Error {
    io::Error::from_raw_os_error(libc::EISCONN)
}

/// The error's number; EIO for one that did not come from the kernel.
pub(super) fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}
