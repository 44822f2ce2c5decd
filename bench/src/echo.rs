//! A small echo server that ends its connections on request: what `tg-cli serve` has no reason to do. One
//! thread. Changes when a suite wants something else of a server.

use crate::capture::endings::How;
use anyhow::Context;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::SockRef;
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
const FIRST: usize = 2;
const BUFFER: usize = 64 << 10;

/// A server that listens, until it is dropped.
pub struct Echo {
    orders: Sender<Order>,
    accepted: Receiver<()>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    End(How),
    /// For so long; the reply tells for how long it was.
    Stall(Duration, Sender<Duration>),
    Stop,
}

impl Echo {
    /// Listens on this address.
    ///
    /// # Errors
    /// It is taken.
    pub fn start(address: SocketAddr) -> anyhow::Result<Echo> {
        let mut listener = TcpListener::bind(address).with_context(|| format!("listening on {address}"))?;
        let poll = Poll::new().context("making a poll")?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE).context("watching the listener")?;
        let waker = Waker::new(poll.registry(), WAKER).context("making a waker")?;
        let (orders, orders_out) = channel();
        let (accepted_in, accepted) = channel();
        let server = Server { poll, listener, streams: HashMap::new(), next: FIRST, accepted: accepted_in };
        let thread = std::thread::Builder::new().name("echo".into());
        let thread = thread.spawn(move || server.run(&orders_out)).context("starting the echo thread")?;
        Ok(Echo { orders, accepted, waker, thread: Some(thread) })
    }

    /// Waits for another connection; false when none came for so long.
    pub fn accepted(&self, at_most: Duration) -> bool {
        // An end of the thread shows in what was captured.
        !matches!(self.accepted.recv_timeout(at_most), Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected))
    }

    /// Ends every connection there is.
    pub fn end(&self, how: How) {
        self.order(Order::End(how));
    }

    /// Neither reads nor accepts for so long. Waits for the end of it, and gives how long it was.
    ///
    /// # Errors
    /// The server has ended.
    pub fn stall(&self, time: Duration) -> anyhow::Result<Duration> {
        let (reply, replied) = channel();
        self.order(Order::Stall(time, reply));
        replied.recv().context("the echo server has ended")
    }

    fn order(&self, order: Order) {
        // A thread that has ended has no connections.
        let _ = self.orders.send(order);
        let _ = self.waker.wake();
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.order(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Server {
    poll: Poll,
    listener: TcpListener,
    streams: HashMap<Token, TcpStream>,
    next: usize,
    accepted: Sender<()>,
}

impl Server {
    fn run(mut self, orders: &Receiver<Order>) {
        let mut events = Events::with_capacity(128);
        let mut buffer = vec![0; BUFFER];
        loop {
            if self.poll.poll(&mut events, None).is_err_and(|e| e.kind() != ErrorKind::Interrupted) {
                return;
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    WAKER => {
                        for order in orders.try_iter() {
                            match order {
                                Order::End(how) => self.end(how),
                                Order::Stall(time, reply) => {
                                    let began = Instant::now();
                                    std::thread::sleep(time);
                                    // Nobody may be waiting for it any more.
                                    let _ = reply.send(began.elapsed());
                                }
                                Order::Stop => return,
                            }
                        }
                    }
                    token => self.echo(token, &mut buffer),
                }
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let token = Token(self.next);
            self.next += 1;
            let watched = self.poll.registry().register(&mut stream, token, Interest::READABLE);
            if watched.and_then(|()| stream.set_nodelay(true)).is_ok() {
                self.streams.insert(token, stream);
                let _ = self.accepted.send(());
            }
        }
    }

    fn echo(&mut self, token: Token, buffer: &mut [u8]) {
        let Some(stream) = self.streams.get_mut(&token) else { return };
        if drain(stream, buffer).is_err_and(|e| e.kind() != ErrorKind::WouldBlock) {
            self.streams.remove(&token);
        }
    }

    fn end(&mut self, how: How) {
        for (_, stream) in self.streams.drain() {
            if how == How::Reset {
                // Where it fails it is a FIN, and the capture counts it as one.
                let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            }
        }
    }
}

/// Echoes what there is; the error at its end says why there is no more.
fn drain(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        match stream.read(buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            // A client that does not read is let go: there is no memory for what it is owed.
            count => stream.write_all(&buffer[..count]).map_err(|_| ErrorKind::BrokenPipe)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream as Client;

    const LIMIT: Duration = Duration::from_secs(60);

    #[test]
    fn it_echoes_and_ends_connections_as_asked() {
        let address = crate::server::free_address().unwrap();
        let echo = Echo::start(address).unwrap();
        for how in [How::Close, How::Reset] {
            let mut client = Client::connect(address).unwrap();
            assert!(echo.accepted(LIMIT));
            client.write_all(b"there and back").unwrap();
            let mut back = [0; 14];
            client.read_exact(&mut back).unwrap();
            assert_eq!(&back, b"there and back");
            echo.end(how);
            let end = client.read(&mut back).map_err(|e| e.kind());
            assert_eq!(end, if how == How::Close { Ok(0) } else { Err(ErrorKind::ConnectionReset) });
        }
        assert!(!echo.accepted(Duration::ZERO));
        let asked = Duration::from_millis(3);
        assert!(echo.stall(asked).unwrap() >= asked);
        drop(echo);
        // A process that another test starts at this moment has the listener, too, until it runs.
        let until = Instant::now() + LIMIT;
        while Client::connect(address).is_ok() {
            assert!(Instant::now() < until, "it still listens");
        }
    }
}
