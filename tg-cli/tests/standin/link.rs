//! A client's socket, whole packets on it, and the check of what comes back. Changes when the wire does.

use super::random::Random;
use super::{NAME_LEN, Transport};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

pub enum Link {
    Tcp(TcpStream),
    Udp(UdpSocket),
}

impl Link {
    pub fn connect(transport: Transport, target: SocketAddr) -> io::Result<Link> {
        if transport == Transport::Tcp {
            let stream = TcpStream::connect_timeout(&target, Duration::from_millis(1500))?;
            stream.set_nodelay(true)?;
            return Ok(Link::Tcp(stream));
        }
        let any: SocketAddr = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().expect("an address");
        let socket = UdpSocket::bind(any)?;
        socket.connect(target)?;
        Ok(Link::Udp(socket))
    }

    pub fn local(&self) -> SocketAddr {
        match self {
            Link::Tcp(stream) => stream.local_addr(),
            Link::Udp(socket) => socket.local_addr(),
        }
        .expect("a connected socket")
    }

    /// Whether the server writes its name over packet `number`.
    pub fn is_named(&self, number: u64) -> bool {
        number == 0 || matches!(self, Link::Udp(_))
    }

    pub fn send(&mut self, bytes: &[u8], random: &mut Random) -> io::Result<()> {
        match self {
            Link::Udp(socket) => socket.send(bytes).map(drop),
            Link::Tcp(stream) => {
                let mut rest = bytes;
                for piece in random.pieces(bytes.len()) {
                    let (now, later) = rest.split_at(piece);
                    stream.write_all(now)?;
                    rest = later;
                }
                Ok(())
            }
        }
    }

    pub fn receive(&mut self, size: usize, deadline: Instant) -> Result<Vec<u8>, String> {
        let left = || {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() { Err("timeout".to_owned()) } else { Ok(Some(left)) }
        };
        match self {
            Link::Udp(socket) => {
                socket.set_read_timeout(left()?).map_err(|e| text(&e))?;
                let mut echo = vec![0; size + 1];
                let n = socket.recv(&mut echo).map_err(|e| text(&e))?;
                echo.truncate(n);
                Ok(echo)
            }
            Link::Tcp(stream) => {
                let (mut echo, mut have) = (vec![0; size], 0);
                while have < size {
                    stream.set_read_timeout(left()?).map_err(|e| text(&e))?;
                    match stream.read(&mut echo[have..]).map_err(|e| text(&e))? {
                        0 => return Err("EOF".to_owned()),
                        n => have += n,
                    }
                }
                Ok(echo)
            }
        }
    }

    /// TCP: sends FIN and awaits the server's, with nothing before it.
    pub fn finish(&mut self, deadline: Duration) -> Result<(), String> {
        let Link::Tcp(stream) = self else { return Ok(()) };
        let end = |stream: &mut TcpStream| {
            stream.shutdown(Shutdown::Write)?;
            stream.set_read_timeout(Some(deadline))?;
            stream.read(&mut [0; 1024])
        };
        match end(stream).map_err(|e| text(&e))? {
            0 => Ok(()),
            n => Err(format!("{n} bytes too many")),
        }
    }
}

/// Checks that `echo` is what was sent, but for the server's name where there is one (`named`): after
/// its end the zeros sent remain. Gives the name: up to the first NUL, if that is not the first byte.
pub fn check_echo(sent: &[u8], echo: &[u8], named: bool) -> Result<Option<String>, String> {
    if sent.len() != echo.len() {
        return Err(format!("echo of {} bytes for {}", echo.len(), sent.len()));
    }
    let nul = echo.iter().take(NAME_LEN).position(|b| *b == 0);
    let name_end = if named { nul.unwrap_or(NAME_LEN) } else { 0 };
    if let Some(at) = (name_end..sent.len()).find(|at| sent[*at] != echo[*at]) {
        return Err(format!("echo differs at byte {at}"));
    }
    let host = nul.filter(|end| named && *end > 0);
    Ok(host.map(|end| String::from_utf8_lossy(&echo[..end]).into_owned()))
}

pub fn text(e: &io::Error) -> String {
    match e.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "timeout".to_owned(),
        ErrorKind::ConnectionReset => "reset".to_owned(),
        ErrorKind::ConnectionRefused => "refused".to_owned(),
        ErrorKind::BrokenPipe => "broken pipe".to_owned(),
        _ => e.to_string(),
    }
}
