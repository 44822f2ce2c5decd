//! The server on tokio-uring: a task for each connection, TCP only. Changes with how tasks start and end;
//! what a connection does is in `connection`.
//!
//! What the ring has been given it keeps until it completes: dropping a future stops neither its accept
//! nor its read. And tokio-uring must not be dropped before: of an operation whose task is gone it frees
//! the buffer first and cancels it afterwards (`Drop for Driver` in 0.5), so the kernel would write to
//! memory that is another's. So listeners and connections are shut down, which completes what they have
//! in the ring, and their tasks are waited for.

mod connection;

use super::control::{Command, Control};
use super::introduction::Introduction;
use super::listen::Sockets;
use super::{Config, Drain, ServerError, Thread};
use crate::sys::ring_stream;
use io_uring::{IoUring, Probe, opcode};
use socket2::SockRef;
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio_uring::net::{TcpListener, TcpStream};

const ENTRIES: u32 = 1024;
/// Room for the completions of all connections when they end together.
const COMPLETIONS: u32 = 32 * 1024;
/// As in the epoll server.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whether this process may use a ring with the operations that the server needs. tokio-uring itself
/// panics where it may not. Not for the caller's thread: the kernel interrupts the thread that had a
/// ring once more, when it frees the ring (io_ring_exit_work).
fn probe() -> io::Result<()> {
    let ring = IoUring::new(ENTRIES)?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    let needed = [opcode::Accept::CODE, opcode::Read::CODE, opcode::Write::CODE, opcode::AsyncCancel::CODE];
    if needed.into_iter().all(|code| probe.is_supported(code)) {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::Unsupported, "the kernel lacks operations of 5.6"))
    }
}

/// Starts the server's thread and waits until it has its ring.
pub(super) fn start(sockets: Sockets, config: &Config) -> Result<(Arc<Control>, Thread), ServerError> {
    let wake = Arc::new(Wake::default());
    let waker = Arc::clone(&wake);
    let control = Arc::new(Control::new(move || waker.wake()));
    let (ready, started) = mpsc::sync_channel(1);
    let shared = (Arc::clone(&control), config.drain, Introduction::new(config));
    let thread = super::spawn(move || {
        let runtime = runtime()?;
        // The receiver waits for this.
        let _ = ready.send(());
        let (control, drain, introduction) = shared;
        let server = Rc::new(Server::new(control, drain, wake, introduction));
        runtime.block_on(server.run(sockets));
        Ok(())
    })?;
    match started.recv() {
        Ok(()) => Ok((control, thread)),
        // It ended without a word: by the error that it gives, or by a panic.
        Err(_) => Err(thread.join().unwrap_or(Err(ServerError::Panicked)).err().unwrap_or(ServerError::Panicked)),
    }
}

fn runtime() -> Result<tokio_uring::Runtime, ServerError> {
    probe().map_err(ServerError::RingRefused)?;
    let mut builder = tokio_uring::builder();
    builder.entries(ENTRIES).uring_builder(tokio_uring::uring_builder().setup_cqsize(COMPLETIONS));
    tokio_uring::Runtime::new(&builder).map_err(|error| ServerError::Setup { what: "start tokio-uring", error })
}

/// Wakes the main task, from this thread or another one.
#[derive(Default)]
struct Wake(Mutex<Option<Waker>>);

impl Wake {
    fn wake(&self) {
        let waker = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits until `done`, which whoever makes it true tells by `wake`.
    async fn until(&self, done: impl Fn() -> bool) {
        poll_fn(|context| {
            // Registered before the look: what becomes true in between wakes this task again.
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
            if done() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

struct Server {
    control: Arc<Control>,
    drain: Drain,
    wake: Arc<Wake>,
    introduction: RefCell<Introduction>,
    streams: RefCell<HashMap<u64, Rc<TcpStream>>>,
}

impl Server {
    fn new(control: Arc<Control>, drain: Drain, wake: Arc<Wake>, introduction: Introduction) -> Server {
        Server { control, drain, wake, introduction: RefCell::new(introduction), streams: RefCell::default() }
    }

    async fn run(self: Rc<Self>, sockets: Sockets) {
        let listeners: Vec<_> = sockets.tcp.into_iter().map(|l| Rc::new(TcpListener::from_std(l))).collect();
        let start = |l: &Rc<TcpListener>| tokio_uring::spawn(Rc::clone(&self).accept(Rc::clone(l)));
        let accepting: Vec<_> = listeners.iter().map(start).collect();
        self.wake.until(|| self.control.command() != Command::Serve).await;
        for listener in &listeners {
            // It cannot fail on a listening socket.
            let _ = SockRef::from(&ring_stream::of_listener(listener)).shutdown(Shutdown::Both);
        }
        drop(listeners);
        for task in accepting {
            // A task that panicked has dropped its listener too.
            let _ = task.await;
        }
        if let (Command::Drain, Drain::Wait(limit)) = (self.control.command(), self.drain) {
            self.serve_out(limit).await;
        }
        self.close_all().await;
    }

    /// Serves those that are there until they are gone, the time is up, or all is to be closed.
    async fn serve_out(&self, limit: Duration) {
        let done = || self.streams.borrow().is_empty() || self.control.command() == Command::Close;
        // Both ends of the wait are well.
        let _ = tokio::time::timeout(limit, self.wake.until(done)).await;
    }

    /// Ends those that are there, and waits for their tasks.
    async fn close_all(&self) {
        let reset = self.drain == Drain::Reset && self.control.command() == Command::Drain;
        for stream in self.streams.borrow().values() {
            let stream = ring_stream::of_stream(stream);
            // As with a process that dies: bytes that were not read make it a reset.
            // Either fails only where the connection is over already.
            let _ = if reset || ring_stream::has_unread(&stream) {
                ring_stream::reset(&stream)
            } else {
                SockRef::from(&stream).shutdown(Shutdown::Both)
            };
        }
        self.wake.until(|| self.streams.borrow().is_empty()).await;
    }

    async fn accept(self: Rc<Self>, listener: Rc<TcpListener>) {
        loop {
            let accepted = listener.accept().await;
            if self.control.command() != Command::Serve {
                return;
            }
            match accepted {
                Ok((stream, peer)) => self.open(stream, peer),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.control.counters.accept_errors.add(1);
                    if e.kind() != io::ErrorKind::ConnectionAborted {
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    }

    fn open(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr) {
        // It fails only where the client has gone already, which the first read will tell.
        let _ = stream.set_nodelay(true);
        let stream = Rc::new(stream);
        let counters = &self.control.counters;
        let id = counters.connections_total.get();
        counters.connections_total.add(1);
        counters.connections.add(1);
        self.streams.borrow_mut().insert(id, Rc::clone(&stream));
        let open = Open { server: Rc::clone(self), id };
        tokio_uring::spawn(async move {
            // Any error leaves nobody to answer.
            let server = &open.server;
            let _ = connection::serve(&stream, peer, &server.introduction, &server.control.counters).await;
            drop(stream);
            drop(open);
        });
    }
}

/// A connection in the figures, whether its task ends or panics.
struct Open {
    server: Rc<Server>,
    id: u64,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.server.streams.borrow_mut().remove(&self.id);
        self.server.control.counters.connections.sub(1);
        self.server.wake.wake();
    }
}
