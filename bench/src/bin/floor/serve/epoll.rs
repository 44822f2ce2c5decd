//! The echo server on epoll. Changes when there is a cheaper way to do it with epoll.

use super::{Served, announce};
use crate::sys::Epoll;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

const BUFFER: usize = 64 << 10;
const STDIN: u64 = u64::MAX;
const LISTENER: u64 = u64::MAX - 1;
const LONG: Duration = Duration::from_secs(3600);

pub fn run(listener: &TcpListener, address: SocketAddr) -> io::Result<Served> {
    let mut epoll = Epoll::new()?;
    listener.set_nonblocking(true)?;
    epoll.add(listener, LISTENER)?;
    epoll.add(&io::stdin(), STDIN)?;
    announce(address);
    let mut streams: Vec<Option<TcpStream>> = Vec::new();
    let mut buffer = vec![0u8; BUFFER];
    let mut served = Served::default();
    loop {
        epoll.wait(LONG)?;
        for (number, _) in epoll.ready() {
            match number {
                STDIN => return Ok(served),
                LISTENER => served.connections += accept(listener, &epoll, &mut streams)?,
                number => {
                    let place = &mut streams[number as usize];
                    let Some(stream) = place else { continue };
                    match echo(stream, &mut buffer) {
                        Ok(bytes) => served.bytes += bytes as u64,
                        Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                        Err(_) => *place = None,
                    }
                }
            }
        }
    }
}

/// All that wait. A connection's number is its descriptor.
fn accept(listener: &TcpListener, epoll: &Epoll, streams: &mut Vec<Option<TcpStream>>) -> io::Result<u64> {
    let mut accepted = 0;
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(accepted),
            Err(e) if e.kind() == ErrorKind::ConnectionAborted => continue,
            Err(e) => return Err(e),
        };
        stream.set_nonblocking(true)?;
        let number = stream.as_raw_fd() as usize;
        epoll.add(&stream, number as u64)?;
        if streams.len() <= number {
            streams.resize_with(number + 1, || None);
        }
        streams[number] = Some(stream);
        accepted += 1;
    }
}

fn echo(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let bytes = stream.read(buffer)?;
    // A client that does not read is let go: there is no memory for what it is owed.
    if bytes == 0 || stream.write(&buffer[..bytes]).map_err(|_| ErrorKind::BrokenPipe)? != bytes {
        return Err(ErrorKind::BrokenPipe.into());
    }
    Ok(bytes)
}
