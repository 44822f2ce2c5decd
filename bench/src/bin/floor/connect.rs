//! Many connections made without waiting for each: how, and how long each took. Changes when connects are
//! to be spread otherwise.

use crate::sys::{self, Epoll, quantile};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Attempts that may be under way at a time: more would only wait in the server's queue.
const UNDER_WAY: usize = 128;

/// Connections that do not block, without Nagle's delay.
pub struct Connected {
    pub streams: Vec<TcpStream>,
    pub times: Times,
}

/// How long connections took to be established, ns, sorted. Shows itself as JSON.
#[derive(Default)]
pub struct Times(Vec<u64>);

/// Makes them all.
///
/// # Errors
/// One fails.
pub fn connect(address: SocketAddr, conns: usize) -> io::Result<Connected> {
    let mut epoll = Epoll::new()?;
    let mut sockets: Vec<(Socket, Instant)> = Vec::with_capacity(conns);
    let mut times = Vec::with_capacity(conns);
    while times.len() < conns {
        let more = sockets.len() < conns && sockets.len() - times.len() < UNDER_WAY;
        if more {
            let began = Instant::now();
            let socket = begin(address)?;
            epoll.add_writable(&socket, sockets.len() as u64)?;
            sockets.push((socket, began));
        }
        // Looks only, as long as there is another one to begin.
        epoll.wait(if more { Duration::ZERO } else { Duration::from_secs(10) })?;
        let done: Vec<u64> = epoll.ready().map(|(number, _)| number).collect();
        for number in done {
            let (socket, began) = &sockets[number as usize];
            if let Some(error) = socket.take_error()? {
                return Err(io::Error::new(error.kind(), format!("connecting: {error}")));
            }
            times.push(began.elapsed().as_nanos() as u64);
            epoll.remove(socket)?;
        }
    }
    times.sort_unstable();
    let streams = sockets.into_iter().map(|(socket, _)| socket.into()).collect();
    Ok(Connected { streams, times: Times(times) })
}

fn begin(address: SocketAddr) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    sys::use_ports_in_turn(&socket);
    match socket.connect(&SockAddr::from(address)) {
        Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => Err(e),
        _ => Ok(socket),
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |q| quantile(&self.0, q);
        write!(f, "{{\"p50_ns\":{},\"p99_ns\":{},\"max_ns\":{}}}", at(0.5), at(0.99), at(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    #[test]
    fn all_are_connected_and_timed() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let connected = connect(listener.local_addr().unwrap(), 100).unwrap();
        let mut theirs: Vec<SocketAddr> = (0..100).map(|_| listener.accept().unwrap().1).collect();
        let mut ours: Vec<SocketAddr> = connected.streams.iter().map(|s| s.local_addr().unwrap()).collect();
        theirs.sort();
        ours.sort();
        assert_eq!(ours, theirs);
        assert_eq!(connected.times.0.len(), 100);
    }

    #[test]
    fn a_refusal_is_an_error() {
        // Has the port, so that nobody else gets it, and does not listen.
        let holder = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        holder.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let address = holder.local_addr().unwrap().as_socket().unwrap();
        assert_eq!(connect(address, 3).err().unwrap().kind(), io::ErrorKind::ConnectionRefused);
    }
}
