//! What a stand-in server does to a connection or a datagram. Changes when a way to misbehave is added.

use super::NAME_LEN;
use super::random::Random;
use super::server::{Options, Shared, Stop};
use socket2::SockRef;
use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// How long a thread may not see that its server stops.
const GLANCE: Duration = Duration::from_millis(20);
/// How long bytes are kept back for more to come.
const JOIN: Duration = Duration::from_millis(1);
/// What `TooMuch` sends beyond the echo.
const EXTRA: [u8; 100] = [0x55; 100];

/// `after` counts echoed bytes of a connection (UDP: it is passed over, and each datagram is hit).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Well, in odd pieces.
    Echo,
    /// Accepts and says nothing.
    Silent,
    /// Sends 100 bytes more than it got. UDP: each echo twice.
    TooMuch { after: u64 },
    /// Sends other bytes than it got.
    SomethingElse { after: u64 },
    /// Sends FIN and reads on. TCP only.
    HalfClose { after: u64 },
    /// Echoes byte by byte. TCP only.
    Trickle,
    /// Resets the connection. TCP only.
    Reset { after: u64 },
    /// Has the port and does not listen: connects (UDP: datagrams) are refused.
    Refuse,
}

impl Behaviour {
    pub fn has_datagrams(self) -> bool {
        !matches!(self, Behaviour::HalfClose { .. } | Behaviour::Trickle | Behaviour::Reset { .. })
    }

    fn after(self) -> Option<u64> {
        match self {
            Behaviour::TooMuch { after }
            | Behaviour::SomethingElse { after }
            | Behaviour::HalfClose { after }
            | Behaviour::Reset { after } => Some(after),
            Behaviour::Echo | Behaviour::Silent | Behaviour::Trickle | Behaviour::Refuse => None,
        }
    }
}

/// Writes the name over the start, only for its length.
fn put_name(name: &str, bytes: &mut [u8]) {
    let len = name.len().min(NAME_LEN).min(bytes.len());
    bytes[..len].copy_from_slice(&name.as_bytes()[..len]);
}

fn is_unclean(first: &[u8]) -> u64 {
    u64::from(first.iter().take(NAME_LEN).any(|b| *b != 0))
}

/// Serves one connection to its end.
pub fn connection(stream: Arc<TcpStream>, options: &Options, shared: &Shared, random: Random) {
    let mut connection = Connection { stream, options, shared, random, echoed: 0, hit: false };
    // An error is the peer's way to end, or the server's own.
    let _ = connection.serve();
    if shared.stopping() == Some(Stop::Reset) {
        connection.reset_at_close();
    }
    // Unread bytes would turn the FIN of the close into a reset; a peer that goes on sending gets one.
    for _ in 0..64 {
        if shared.stopping() != Some(Stop::Fin) || !matches!((&*connection.stream).read(&mut [0; 65536]), Ok(1..)) {
            break;
        }
    }
}

struct Connection<'a> {
    stream: Arc<TcpStream>,
    options: &'a Options,
    shared: &'a Shared,
    random: Random,
    echoed: u64,
    /// The behaviour's `after` was reached.
    hit: bool,
}

impl Connection<'_> {
    fn serve(&mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        // A write that cannot go on looks now and then whether the server stops.
        self.stream.set_write_timeout(Some(GLANCE))?;
        let mut first = vec![0; NAME_LEN];
        let mut have = 0;
        while have < NAME_LEN {
            match self.read(&mut first[have..])? {
                0 => return Ok(()),
                n => have += n,
            }
        }
        self.shared.count(|c| c.unclean += is_unclean(&first));
        put_name(&self.options.name, &mut first);
        self.answer(&first)?;
        loop {
            let mut bytes = vec![0; self.random.within(1..=4000)];
            let n = self.read(&mut bytes)?;
            if n == 0 {
                return Ok(());
            }
            bytes.truncate(n);
            while self.random.once_in(3) && self.join(&mut bytes)? {}
            self.answer(&bytes)?;
        }
    }

    /// 0: the peer sends no more, or the server stops.
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.shared.stopping().is_some() {
            return Ok(0);
        }
        let n = (&*self.stream).read(bytes)?;
        self.shared.count(|c| c.bytes += n as u64);
        Ok(n)
    }

    /// Keeps bytes back until more have come or a while is over. False: nothing came.
    fn join(&mut self, bytes: &mut Vec<u8>) -> io::Result<bool> {
        self.stream.set_read_timeout(Some(JOIN))?;
        let mut more = [0; 3000];
        let result = self.read(&mut more);
        self.stream.set_read_timeout(None)?;
        match result {
            Ok(0) => Ok(false),
            Ok(n) => {
                bytes.extend_from_slice(&more[..n]);
                Ok(true)
            }
            Err(e) if is_timeout(&e) => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn answer(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.options.behaviour == Behaviour::Silent {
            return Ok(());
        }
        let until = match self.options.behaviour.after() {
            Some(after) if !self.hit => after.saturating_sub(self.echoed),
            _ => u64::MAX,
        };
        if until > bytes.len() as u64 {
            return self.send(bytes);
        }
        let (well, badly) = bytes.split_at(until as usize);
        self.send(well)?;
        self.hit = true;
        match self.options.behaviour {
            Behaviour::TooMuch { .. } => self.write(&EXTRA)?,
            Behaviour::HalfClose { .. } => self.stream.shutdown(Shutdown::Write)?,
            Behaviour::Reset { .. } => {
                self.reset_at_close();
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            _ => {}
        }
        self.send(badly)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut bytes = bytes.to_vec();
        match self.options.behaviour {
            Behaviour::SomethingElse { .. } if self.hit => bytes.iter_mut().for_each(|b| *b = !*b),
            Behaviour::HalfClose { .. } if self.hit => return Ok(()),
            _ => {}
        }
        self.echoed += bytes.len() as u64;
        let trickle = self.options.behaviour == Behaviour::Trickle;
        let pieces = if trickle { vec![1; bytes.len()] } else { self.random.pieces(bytes.len()) };
        let mut rest = bytes.as_slice();
        for piece in pieces {
            let (now, later) = rest.split_at(piece);
            self.write(now)?;
            rest = later;
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match (&*self.stream).write(rest) {
                Ok(n) => rest = &rest[n..],
                Err(e) if is_timeout(&e) && self.shared.stopping().is_none() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn reset_at_close(&self) {
        let _ = SockRef::from(&*self.stream).set_linger(Some(Duration::ZERO));
    }
}

fn is_timeout(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// Serves datagrams until the server stops, and those that wait then: they would be lost in silence.
/// The socket is bound to one address, so echoes come from it.
pub fn datagrams(socket: &UdpSocket, options: &Options, shared: &Shared) {
    socket.set_read_timeout(Some(GLANCE)).expect("a time-out");
    let mut buffer = [0; 65536];
    let mut peers = HashSet::new();
    loop {
        let stopping = shared.stopping().is_some();
        socket.set_nonblocking(stopping).expect("a mode");
        let (n, peer) = match socket.recv_from(&mut buffer) {
            Ok(received) => received,
            Err(e) if stopping && e.kind() == io::ErrorKind::WouldBlock => return,
            // The time-out, or what an earlier echo met.
            Err(_) => continue,
        };
        let datagram = &mut buffer[..n];
        let is_new = peers.insert(peer);
        shared.count(|c| {
            c.connections += u64::from(is_new);
            c.bytes += n as u64;
            c.unclean += is_unclean(datagram);
            c.datagrams += 1;
        });
        put_name(&options.name, datagram);
        let times = match options.behaviour {
            Behaviour::Silent => 0,
            Behaviour::TooMuch { .. } => 2,
            _ => 1,
        };
        if matches!(options.behaviour, Behaviour::SomethingElse { .. }) {
            datagram.iter_mut().for_each(|b| *b = !*b);
        }
        for _ in 0..times {
            let _ = socket.send_to(datagram, peer);
        }
    }
}
