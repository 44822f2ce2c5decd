//! Taking completions from the ring and making events of them. Changes when what an outcome means does.

use super::buffers::Filled;
use super::key::{Key, Kind};
use super::ops::errno;
use super::sockets::{Phase, Sending};
use super::{Taken, UringEngine};
use crate::engine::{Completion, Event};
use crate::sys::socket;
use io_uring::cqueue;
use tg_model::time::Nanos;

impl UringEngine {
    /// Takes all completions that are there, and stages the events among them: first the messages that
    /// were sent whole. Those have no completion of their own, so only an empty queue tells of them.
    pub(super) fn drain(&mut self) {
        if self.staged.is_empty() {
            self.closed_since_staged = false;
            // Back to the first cell: round the ring each packet would find a cold one.
            self.staged.clear();
        }
        while let Some(entry) = self.ring.pop() {
            if let Some(taken) = self.complete(&entry) {
                self.staged.push_back(taken);
            }
        }
        if self.ring.has_overflown() {
            // The kernel holds more of them.
            return;
        }
        let mut taken = std::mem::take(&mut self.taken);
        for key in taken.drain(..).rev() {
            if let Some(sent) = self.sent_whole(key) {
                self.staged.push_front(sent);
            }
        }
        self.taken = taken;
    }

    /// Whether a completion is staged. What was staged for sockets that were closed since is dropped.
    pub(super) fn has_staged(&mut self) -> bool {
        while self.closed_since_staged
            && let Some(first) = self.staged.front()
        {
            let token = first.completion.token;
            // An attempt that failed has left its slot by itself.
            if self.sockets.find(token).is_some() || matches!(first.completion.event, Event::ConnectFailed { .. }) {
                break;
            }
            let filled = self.staged.pop_front().and_then(|taken| taken.filled);
            self.discard(filled);
        }
        !self.staged.is_empty()
    }

    fn complete(&mut self, entry: &cqueue::Entry) -> Option<Taken> {
        let result = entry.result();
        let filled = self.buffers.filled_by(entry);
        let last = !cqueue::more(entry.flags());
        self.outstanding -= usize::from(last);
        let key = Key::unpack(entry.user_data()).filter(|key| self.sockets.knows(*key));
        let Some(Key { kind, index, .. }) = key else {
            self.discard(filled);
            return None;
        };
        let socket = self.sockets.at(index);
        socket.pending -= u32::from(last);
        if socket.phase == Phase::Closing {
            if kind == Kind::Send {
                socket.sending = Sending::Idle;
            }
            self.discard(filled);
            self.sockets.settle(index);
            return None;
        }
        let token = socket.token;
        let taken = |event, at, filled| Some(Taken { completion: Completion { token, at, event }, filled });
        match kind {
            Kind::Connect => taken(self.connected(index, result), self.came, None),
            Kind::Receive => {
                let (event, filled) = self.received_from(index, result, last, filled)?;
                taken(event, self.came, filled)
            }
            Kind::Send => {
                let (event, at) = self.sent(index, result)?;
                taken(event, at, None)
            }
            Kind::Rest => taken(self.sent_rest(index, result)?, self.came, None),
            Kind::Cancel => None,
        }
    }

    fn discard(&mut self, filled: Option<Filled>) {
        if let Some(filled) = filled {
            self.buffers.give_back(filled);
        }
    }

    fn connected(&mut self, index: u32, result: i32) -> Event {
        let socket = self.sockets.at(index);
        socket.address = None;
        let local = match (&socket.descriptor, result) {
            (Some(descriptor), 0) => socket::local(descriptor).map_err(|e| errno(&e)),
            (_, failed) => Err(-failed),
        };
        match local {
            Ok(local) => {
                socket.phase = Phase::Open;
                self.receive(index);
                Event::Connected { local }
            }
            Err(errno) => {
                self.sockets.retire(index);
                self.sockets.settle(index);
                Event::ConnectFailed { errno }
            }
        }
    }

    /// `last`: the kernel ended the receive with this. It does so after an error and the peer's FIN, and
    /// where it ran out of buffers or of room in the completion queue.
    fn received_from(
        &mut self,
        index: u32,
        result: i32,
        last: bool,
        filled: Option<Filled>,
    ) -> Option<(Event, Option<Filled>)> {
        let socket = self.sockets.at(index);
        socket.receiving = !last;
        let event = match -result {
            0 if !socket.datagram && socket.failed => return None,
            0 if !socket.datagram => return Some((Event::PeerClosed, None)),
            ..=0 => Some((Event::Received, filled)),
            libc::ENOBUFS | libc::EINTR => None,
            errno => return self.failed(index, errno).map(|event| (event, None)),
        };
        if last {
            self.receive(index);
        }
        event
    }

    /// A message that the kernel has taken, where it did not say what was wrong with it.
    fn sent_whole(&mut self, key: Key) -> Option<Taken> {
        let socket = self.sockets.knows(key).then(|| self.sockets.at(key.index))?;
        let Sending::Message { at, .. } = socket.sending else { return None };
        socket.sending = Sending::Idle;
        socket.pending -= 1;
        let token = socket.token;
        self.outstanding -= 1;
        if self.sockets.at(key.index).phase == Phase::Closing {
            self.sockets.settle(key.index);
            return None;
        }
        let completion = Completion { token, at, event: Event::Sent { whole: true } };
        Some(Taken { completion, filled: None })
    }

    /// The outcome of a message that was not sent whole, and when the kernel was handed it.
    fn sent(&mut self, index: u32, result: i32) -> Option<(Event, Nanos)> {
        let socket = self.sockets.at(index);
        let Sending::Message { start, len, at } = socket.sending else {
            return None;
        };
        socket.sending = Sending::Idle;
        let event = match u32::try_from(result) {
            // Not marked as a success, but one.
            Ok(accepted) if accepted >= len => Event::Sent { whole: true },
            Ok(accepted) => {
                self.send_rest(index, start + accepted, len - accepted);
                Event::Sent { whole: false }
            }
            Err(_) => Event::Unsent { errno: Some(-result).filter(|errno| *errno != libc::EAGAIN) },
        };
        Some((event, at))
    }

    fn sent_rest(&mut self, index: u32, result: i32) -> Option<Event> {
        let socket = self.sockets.at(index);
        let Sending::Rest { start, len } = socket.sending else {
            return None;
        };
        match u32::try_from(result) {
            Ok(accepted) if accepted >= len => {
                socket.sending = Sending::Idle;
                Some(Event::SentRest)
            }
            // Something ended the wait for room; if it was an error, the next try meets it.
            Ok(accepted) => {
                self.send_rest(index, start + accepted, len - accepted);
                None
            }
            Err(_) if matches!(-result, libc::EINTR | libc::EAGAIN) => {
                self.send_rest(index, start, len);
                None
            }
            Err(_) => {
                socket.sending = Sending::Idle;
                self.failed(index, -result)
            }
        }
    }

    /// Tells of a socket's failure, once.
    fn failed(&mut self, index: u32, errno: i32) -> Option<Event> {
        let socket = self.sockets.at(index);
        let again = std::mem::replace(&mut socket.failed, true);
        (!again).then_some(Event::Failed { errno })
    }
}
