//! One TCP connection on tokio-uring: reads, then sends, one after the other. Changes with how a
//! connection uses its socket.

use crate::server::introduction::Introduction;
use crate::server::session::Session;
use crate::server::stats::Counters;
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use tokio_uring::buf::BoundedBuf;
use tokio_uring::net::TcpStream;

/// A pending read owns its buffer: a small one while a connection has little to say …
const BUFFER_MIN: usize = 2 * 1024;
/// … and a larger one for the next read after each that filled it.
const BUFFER_MAX: usize = 64 * 1024;

/// Answers the connection until its client ends it.
pub(super) async fn serve(
    stream: &TcpStream,
    peer: SocketAddr,
    introduction: &RefCell<Introduction>,
    counters: &Counters,
) -> io::Result<()> {
    let mut session = Session::new(peer);
    let mut buffer = Vec::with_capacity(BUFFER_MIN);
    loop {
        let (result, filled) = stream.read(buffer).await;
        let len = match result {
            Ok(0) => {
                send(stream, session.finish(), 0, counters).await?;
                return Ok(());
            }
            Ok(len) => len,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {
                buffer = filled;
                continue;
            }
            Err(e) => return Err(e),
        };
        counters.bytes_received.add(len);
        buffer = filled;
        // Its length only ever grows by a read.
        buffer.truncate(len);
        let answer = session.receive(&buffer, &mut introduction.borrow_mut());
        if answer.head.is_empty() {
            buffer = send(stream, buffer, answer.rest, counters).await?;
        } else {
            // The first packet: its echo leaves in one piece.
            let mut echo = answer.head;
            echo.extend_from_slice(&buffer[answer.rest..]);
            send(stream, echo, 0, counters).await?;
        }
        buffer = for_next_read(buffer, len);
    }
}

/// Sends `bytes` from `taken` on, gives the buffer back. There is no reading meanwhile, so a client that
/// does not read costs one buffer.
async fn send(stream: &TcpStream, mut bytes: Vec<u8>, mut taken: usize, counters: &Counters) -> io::Result<Vec<u8>> {
    let mut pending = Pending::new(counters, bytes.len() - taken);
    while taken < bytes.len() {
        let (result, slice) = stream.write(bytes.slice(taken..)).submit().await;
        bytes = slice.into_inner();
        match result {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                taken += n;
                pending.sent(n);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(bytes)
}

/// An empty buffer for the read after one that gave `len` bytes into `buffer`.
fn for_next_read(mut buffer: Vec<u8>, len: usize) -> Vec<u8> {
    let capacity = buffer.capacity();
    let wanted = match len {
        _ if len == capacity => (2 * capacity).min(BUFFER_MAX),
        _ if len < capacity / 4 => BUFFER_MIN,
        _ => capacity,
    };
    if wanted != capacity {
        return Vec::with_capacity(wanted);
    }
    buffer.clear();
    buffer
}

/// An output that is being sent, in the figures; also where the sending fails.
struct Pending<'a> {
    counters: &'a Counters,
    len: usize,
}

impl Pending<'_> {
    fn new(counters: &Counters, len: usize) -> Pending<'_> {
        counters.bytes_pending.add(len);
        counters.connections_paused.add(1);
        Pending { counters, len }
    }

    fn sent(&mut self, n: usize) {
        self.counters.bytes_sent.add(n);
        self.counters.bytes_pending.sub(n);
        self.len -= n;
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.counters.bytes_pending.sub(self.len);
        self.counters.connections_paused.sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_follows_what_reads_give() {
        let mut buffer = Vec::with_capacity(BUFFER_MIN);
        let mut capacities = Vec::new();
        // Filled until it grows no more, half used, hardly used twice.
        for len in [usize::MAX, usize::MAX, usize::MAX, usize::MAX, usize::MAX, usize::MAX, 32 * 1024, 100, 100] {
            buffer.resize(len.min(buffer.capacity()), 0);
            let len = buffer.len();
            buffer = for_next_read(buffer, len);
            assert!(buffer.is_empty());
            capacities.push(buffer.capacity() / 1024);
        }
        assert_eq!(capacities, [4, 8, 16, 32, 64, 64, 64, 2, 2]);
    }
}
