//! The closed-loop floor on epoll. Changes when there is a cheaper way to do it with epoll.

use super::{Load, Tally};
use crate::sys::Epoll;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const RECEIVE_BUFFER: usize = 64 << 10;
/// A server that says nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(1);

pub fn run(load: &Load, mut streams: Vec<TcpStream>) -> io::Result<Tally> {
    let mut epoll = Epoll::new()?;
    let packet = vec![0u8; load.size];
    let mut buffer = vec![0u8; RECEIVE_BUFFER];
    for (number, stream) in streams.iter_mut().enumerate() {
        epoll.add(stream, number as u64)?;
        send(stream, &packet)?;
    }
    let mut tally = Tally::new(load);
    while !tally.is_over() {
        epoll.wait(PATIENCE)?;
        for (number, _) in epoll.ready() {
            let conn = number as usize;
            match streams[conn].read(&mut buffer) {
                Ok(0) => return Err(io::Error::other("the server closed a connection")),
                Ok(bytes) if tally.echoed(conn, bytes) => send(&mut streams[conn], &packet)?,
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(tally)
}

fn send(stream: &mut TcpStream, packet: &[u8]) -> io::Result<()> {
    if stream.write(packet)? == packet.len() {
        Ok(())
    } else {
        Err(io::Error::other("a packet did not fit the send buffer"))
    }
}
