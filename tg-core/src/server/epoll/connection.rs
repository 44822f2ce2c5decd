//! One TCP connection on epoll: reads while its client takes what it is sent, and only then. Changes
//! with how a connection uses its socket.

use crate::server::introduction::Introduction;
use crate::server::session::Session;
use crate::server::stats::Counters;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

/// Reads that one turn may make before others have theirs.
const READS_PER_TURN: usize = 16;

/// When a connection is to be advanced next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// At its next event.
    Wait,
    /// Without an event: it may have more to do now.
    Again,
    /// Never.
    Close,
}

#[derive(Debug)]
pub(super) struct Connection<S> {
    stream: S,
    session: Session,
    /// What the kernel has not taken, from `taken` on. There is no reading while there is some, so it
    /// is never more than one read gave and the session had held back. No memory where there is none.
    pending: Vec<u8>,
    taken: usize,
    /// The client sends no more, or the connection is broken: a read will say so.
    hang_up: bool,
    /// A read has said so.
    input_over: bool,
}

impl<S: Read + Write> Connection<S> {
    pub fn new(stream: S, peer: SocketAddr) -> Connection<S> {
        let session = Session::new(peer);
        Connection { stream, session, pending: Vec::new(), taken: 0, hang_up: false, input_over: false }
    }

    /// Does what can be done without blocking. `hang_up`: the event says that the client sends no more.
    pub fn advance(
        &mut self,
        hang_up: bool,
        buffer: &mut [u8],
        introduction: &mut Introduction,
        counters: &Counters,
    ) -> Next {
        self.hang_up |= hang_up;
        for _ in 0..READS_PER_TURN {
            match self.step(buffer, introduction, counters) {
                Ok(None) => {}
                Ok(Some(next)) => return next,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Next::Wait,
                // Reset, or any other end that leaves nobody to answer.
                Err(_) => return Next::Close,
            }
        }
        Next::Again
    }

    /// One read and what it is answered with. `None`: go on.
    fn step(
        &mut self,
        buffer: &mut [u8],
        introduction: &mut Introduction,
        counters: &Counters,
    ) -> io::Result<Option<Next>> {
        self.flush(counters)?;
        if self.input_over {
            return Ok(Some(Next::Close));
        }
        let len = self.stream.read(buffer)?;
        if len == 0 {
            self.input_over = true;
            let owed = self.session.finish();
            self.send(&owed, counters)?;
            return Ok(None);
        }
        counters.bytes_received.add(len);
        let answer = self.session.receive(&buffer[..len], introduction);
        let rest = &buffer[answer.rest..len];
        if answer.head.is_empty() {
            self.send(rest, counters)?;
        } else {
            // The first packet: its echo leaves in one piece.
            self.send(&[&answer.head, rest].concat(), counters)?;
        }
        // A read that leaves room has emptied the socket, and what comes now makes an event. An end that
        // came before has made its event already: go on until a read meets it.
        let emptied = len < buffer.len() && !self.hang_up;
        Ok(emptied.then_some(Next::Wait))
    }

    /// Sends `bytes`, keeps what the kernel does not take. Nothing is pending before.
    fn send(&mut self, bytes: &[u8], counters: &Counters) -> io::Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            match self.stream.write(left) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => {
                    counters.bytes_sent.add(n);
                    left = &left[n..];
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.pending = left.to_vec();
                    self.taken = 0;
                    counters.bytes_pending.add(left.len());
                    counters.connections_paused.add(1);
                    return Err(e);
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Sends what is pending; an error where not all was taken.
    fn flush(&mut self, counters: &Counters) -> io::Result<()> {
        while self.taken < self.pending.len() {
            match self.stream.write(&self.pending[self.taken..])? {
                0 => return Err(ErrorKind::WriteZero.into()),
                n => {
                    self.taken += n;
                    counters.bytes_sent.add(n);
                    counters.bytes_pending.sub(n);
                }
            }
        }
        self.forget_pending(counters);
        Ok(())
    }

    fn forget_pending(&mut self, counters: &Counters) {
        if !self.pending.is_empty() {
            counters.bytes_pending.sub(self.pending.len() - self.taken);
            counters.connections_paused.sub(1);
            self.pending = Vec::new();
            self.taken = 0;
        }
    }

    /// Ends it: takes it out of the figures and closes the socket.
    pub fn retire(mut self, counters: &Counters) {
        self.forget_pending(counters);
        counters.connections.sub(1);
    }
}

impl<S: AsFd> Connection<S> {
    /// Has the close send a reset.
    pub fn will_reset(&self) {
        // It cannot fail on a TCP socket that is open.
        let _ = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Config;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    /// A socket that reads and takes as much at a time as a script says; 0 stands for "would block".
    struct Script {
        input: Vec<u8>,
        at: usize,
        reads: VecDeque<usize>,
        writes: VecDeque<usize>,
        output: Vec<u8>,
        most_unsent: usize,
        /// It said "would block": an event is to come.
        blocked: bool,
    }

    impl Script {
        fn new(input: Vec<u8>, reads: Vec<usize>, writes: Vec<usize>) -> Script {
            let (reads, writes) = (reads.into(), writes.into());
            Script { input, at: 0, reads, writes, output: Vec::new(), most_unsent: 0, blocked: false }
        }

        fn allowed(turns: &mut VecDeque<usize>, blocked: &mut bool) -> io::Result<usize> {
            let turn = turns.pop_front().unwrap_or(usize::MAX);
            *blocked = turn == 0;
            if turn == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(turn) }
        }
    }

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let left = &self.input[self.at..];
            let n = Script::allowed(&mut self.reads, &mut self.blocked)?.min(buffer.len()).min(left.len());
            buffer[..n].copy_from_slice(&left[..n]);
            self.at += n;
            self.most_unsent = self.most_unsent.max(self.at - self.output.len());
            Ok(n)
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = Script::allowed(&mut self.writes, &mut self.blocked)?.min(bytes.len());
            self.output.extend_from_slice(&bytes[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn all_is_echoed_however_reads_and_writes_fall(
            input in prop::collection::vec(any::<u8>(), 64..2000),
            reads in prop::collection::vec(0usize..200, 0..40),
            writes in prop::collection::vec(0usize..200, 0..40),
        ) {
            let counters = Counters::default();
            counters.connections.add(1);
            let mut introduction = Introduction::new(&Config { name: "n".into(), ..Config::default() });
            let script = Script::new(input.clone(), reads, writes);
            let mut connection = Connection::new(script, "192.0.2.1:1".parse().unwrap());
            let mut buffer = [0; 100];
            // The one event that tells of the client's end comes first.
            let (mut hang_up, mut turns) = (true, 0);
            loop {
                let next = connection.advance(hang_up, &mut buffer, &mut introduction, &counters);
                (hang_up, turns) = (false, turns + 1);
                prop_assert!(turns < 1000, "no progress");
                let stats = counters.read();
                // One read, and the start that was held back for the name.
                prop_assert!(stats.bytes_pending <= buffer.len() as u64 + 64);
                prop_assert_eq!(stats.connections_paused, u64::from(stats.bytes_pending > 0));
                match next {
                    Next::Wait => prop_assert!(connection.stream.blocked, "waits for an event that will not come"),
                    Next::Again => {}
                    Next::Close => break,
                }
            }
            let len = input.len() as u64;
            let mut want = input;
            want[0] = b'n';
            prop_assert_eq!(&connection.stream.output, &want);
            prop_assert!(connection.stream.most_unsent <= buffer.len() + 64);
            connection.retire(&counters);
            let stats = counters.read();
            prop_assert_eq!((stats.connections, stats.bytes_pending, stats.connections_paused), (0, 0, 0));
            prop_assert_eq!((stats.bytes_received, stats.bytes_sent), (len, len));
        }
    }

    #[test]
    fn a_short_read_waits_and_a_hang_up_reads_on() {
        for (hang_up, want) in [(false, Next::Wait), (true, Next::Close)] {
            let counters = Counters::default();
            let script = Script::new(vec![0; 70], vec![], vec![]);
            let mut connection = Connection::new(script, "192.0.2.1:1".parse().unwrap());
            let mut introduction = Introduction::new(&Config::default());
            assert_eq!(connection.advance(hang_up, &mut [0; 100], &mut introduction, &counters), want);
            assert_eq!(connection.stream.output.len(), 70);
        }
    }

    #[test]
    fn what_is_pending_at_the_end_leaves_the_figures() {
        let counters = Counters::default();
        counters.connections.add(1);
        let script = Script::new(vec![0; 70], vec![], vec![10, 0]);
        let mut connection = Connection::new(script, "192.0.2.1:1".parse().unwrap());
        let mut introduction = Introduction::new(&Config::default());
        assert_eq!(connection.advance(false, &mut [0; 100], &mut introduction, &counters), Next::Wait);
        assert_eq!((counters.bytes_pending.get(), counters.connections_paused.get()), (60, 1));
        connection.retire(&counters);
        assert_eq!((counters.bytes_pending.get(), counters.connections_paused.get()), (0, 0));
    }
}
