//! A ctraffic server in a test: started, stopped as a test wants it, restarted at its port, counted.
//! Changes when what a test can do to a server does.

use super::behaviour::{self, Behaviour};
use super::{Transport, random::Random};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Nothing that a test waits for takes this long: it would be stuck.
const STUCK: Duration = Duration::from_secs(60);

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    pub name: String,
    pub bind: SocketAddr,
    pub transport: Transport,
    pub behaviour: Behaviour,
    pub seed: u64,
}

impl Options {
    /// A good TCP server.
    pub fn new(name: &str, bind: SocketAddr) -> Options {
        Options { name: name.to_owned(), bind, transport: Transport::Tcp, behaviour: Behaviour::Echo, seed: 1 }
    }
}

/// What it saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// TCP: accepted. UDP: addresses that sent something.
    pub connections: u64,
    /// Payload bytes received.
    pub bytes: u64,
    /// UDP: datagrams received. (Nothing marks packets in TCP.)
    pub datagrams: u64,
    /// Connections, or datagrams, whose first 64 bytes were not zeros as a client has to send them.
    pub unclean: u64,
}

/// How the connections of a server end that stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// As when a process dies: each has its FIN. (A peer that still sends gets a reset after it.)
    Fin,
    /// Each is reset, and no FIN comes before.
    Reset,
}

/// What a server and its threads share.
#[derive(Debug, Default)]
pub struct Shared {
    counts: Mutex<Counts>,
    counted: Condvar,
    stop: Mutex<Option<Stop>>,
}

impl Shared {
    pub fn count(&self, what: impl FnOnce(&mut Counts)) {
        what(&mut self.counts.lock().unwrap());
        self.counted.notify_all();
    }

    pub fn stopping(&self) -> Option<Stop> {
        *self.stop.lock().unwrap()
    }
}

/// A running server. Dropping it stops it as a process that dies.
#[derive(Debug)]
pub struct Server {
    options: Options,
    shared: Arc<Shared>,
    socket: Bound,
    worker: Option<JoinHandle<Vec<Accepted>>>,
}

#[derive(Debug)]
enum Bound {
    Listener(Arc<TcpListener>),
    Datagrams,
    /// Holds the port, so that nobody else can have it.
    Refusing(#[expect(dead_code, reason = "kept open")] Socket),
}

/// The thread owns the stream: it is closed when the thread is done with it.
#[derive(Debug)]
struct Accepted {
    stream: Weak<TcpStream>,
    thread: JoinHandle<()>,
}

impl Server {
    pub fn start(options: Options) -> io::Result<Server> {
        let (mut options, shared) = (options, Arc::new(Shared::default()));
        if options.transport == Transport::Udp && !options.behaviour.has_datagrams() {
            return Err(io::Error::other(format!("no {:?} over UDP", options.behaviour)));
        }
        let socket = bind(&options)?;
        options.bind = socket.local_addr()?.as_socket().expect("an IP address");
        let (socket, worker) = match (options.behaviour, options.transport) {
            (Behaviour::Refuse, Transport::Tcp) => (Bound::Refusing(socket), None),
            (Behaviour::Refuse, Transport::Udp) => {
                // Bound and connected to itself: what anybody else sends finds no socket.
                socket.connect(&options.bind.into())?;
                (Bound::Refusing(socket), None)
            }
            (_, Transport::Tcp) => {
                socket.listen(1024)?;
                let listener = Arc::new(TcpListener::from(socket));
                let (own, options, shared) = (Arc::clone(&listener), options.clone(), Arc::clone(&shared));
                (Bound::Listener(listener), Some(thread::spawn(move || accept(&own, &options, &shared))))
            }
            (_, Transport::Udp) => {
                let socket = UdpSocket::from(socket);
                let (options, shared) = (options.clone(), Arc::clone(&shared));
                let serve = move || {
                    behaviour::datagrams(&socket, &options, &shared);
                    Vec::new()
                };
                (Bound::Datagrams, Some(thread::spawn(serve)))
            }
        };
        Ok(Server { options, shared, socket, worker })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.options.bind
    }

    pub fn counts(&self) -> Counts {
        *self.shared.counts.lock().unwrap()
    }

    /// Waits for what it counts.
    pub fn wait_until(&self, reached: impl Fn(&Counts) -> bool) {
        let counts = self.shared.counts.lock().unwrap();
        let (counts, timeout) = self.shared.counted.wait_timeout_while(counts, STUCK, |c| !reached(c)).unwrap();
        let counts = *counts;
        assert!(!timeout.timed_out(), "the server waited in vain: {counts:?}");
    }

    /// Stops it. Gives what starts it again, at the same port.
    pub fn stop(mut self, how: Stop) -> (Options, Counts) {
        self.halt(how);
        (self.options.clone(), self.counts())
    }

    fn halt(&mut self, how: Stop) {
        *self.shared.stop.lock().unwrap() = Some(how);
        if let Bound::Listener(listener) = &self.socket {
            // Wakes the thread in `accept`; nobody is accepted from here on.
            let _ = SockRef::from(&**listener).shutdown(Shutdown::Both);
        }
        let Some(worker) = self.worker.take() else { return };
        let accepted = worker.join().expect("the server's thread");
        let half = if how == Stop::Fin { Shutdown::Both } else { Shutdown::Read };
        for stream in accepted.iter().filter_map(|a| a.stream.upgrade()) {
            let _ = stream.shutdown(half);
        }
        for connection in accepted {
            connection.thread.join().expect("a connection's thread");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.halt(Stop::Fin);
    }
}

/// SO_REUSEADDR: connections of the server before may still be closing at this port.
fn bind(options: &Options) -> io::Result<Socket> {
    let (kind, protocol) = match options.transport {
        Transport::Tcp => (Type::STREAM, Protocol::TCP),
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
    };
    let socket = Socket::new(Domain::for_address(options.bind), kind, Some(protocol))?;
    socket.set_reuse_address(options.transport == Transport::Tcp)?;
    socket.bind(&options.bind.into())?;
    Ok(socket)
}

fn accept(listener: &TcpListener, options: &Options, shared: &Arc<Shared>) -> Vec<Accepted> {
    let mut accepted = Vec::new();
    while shared.stopping().is_none() {
        let Ok((stream, _)) = listener.accept() else { continue };
        let stream = Arc::new(stream);
        let weak = Arc::downgrade(&stream);
        let (options, own) = (options.clone(), Arc::clone(shared));
        let random = Random::new(options.seed, accepted.len() as u64);
        let thread = thread::spawn(move || behaviour::connection(stream, &options, &own, random));
        accepted.push(Accepted { stream: weak, thread });
        shared.count(|c| c.connections += 1);
    }
    accepted
}
