//! The server that runs talk to: wire-compatible with ctraffic's, and it tells tg's clients more of
//! itself. This file is its interface; it changes when what an embedder asks for does.
//!
//! ```text
//! Config ─▶ listen (sockets) ─▶ epoll │ uring (one thread) ─▶ ServerHandle: addresses, stats, stop, wait
//!                                  │ bytes in, bytes out
//!                                  ▼
//!                        session (a TCP connection) │ datagram (UDP)      both without IO
//! ```
//!
//! ```
//! use std::io::{Read, Write};
//! use tg_core::server::{Config, start};
//!
//! let config = Config { listen: vec!["127.0.0.1:0".parse()?], name: "pod-1".into(), ..Config::default() };
//! let server = start(config)?;
//! let mut client = std::net::TcpStream::connect(server.addresses()[0])?;
//! client.write_all(&[0; 64])?;
//! let mut first = [0; 64];
//! client.read_exact(&mut first)?;
//! assert!(first.starts_with(b"pod-1\0"));
//! server.stop();
//! assert_eq!(server.wait()?.connections_total, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod control;
mod datagram;
mod epoll;
mod error;
mod introduction;
mod listen;
mod session;
mod stats;
mod uring;

pub use error::ServerError;
pub use listen::{LeftOut, Protocol};
pub use stats::Stats;

use control::{Command, Control};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The port that is listened on where no address is given: ctraffic's.
pub const DEFAULT_PORT: u16 = 5003;

/// What a server is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Addresses to listen on; all of them must bind. `[::]:PORT` takes IPv4 too. Port 0: a free one.
    /// Empty: both loopback addresses, port [`DEFAULT_PORT`]; of these only IPv4 where the host has no
    /// IPv6 (then [`ServerHandle::left_out`] says so).
    pub listen: Vec<SocketAddr>,
    /// Answer UDP too, on the same addresses and ports.
    pub udp: bool,
    /// What the server calls itself, at most 63 bytes (more are cut). Not empty.
    pub name: String,
    /// What a stop does.
    pub drain: Drain,
    /// What does the IO.
    pub engine: ServerEngine,
    /// What tg's clients are told beside the name.
    pub identity: IdentityFields,
}

impl Default for Config {
    /// Loopback, TCP, named as the host is.
    fn default() -> Config {
        let host = crate::sys::host::name();
        Config {
            listen: Vec::new(),
            udp: false,
            name: if host.is_empty() { "localhost".into() } else { host },
            drain: Drain::default(),
            engine: ServerEngine::default(),
            identity: IdentityFields::default(),
        }
    }
}

/// Where the server runs, as Kubernetes has it. Empty: not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentityFields {
    /// Pod name.
    pub pod: String,
    /// Pod UID.
    pub pod_uid: String,
    /// Node name.
    pub node: String,
}

/// What [`ServerHandle::stop`] does with the connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drain {
    /// As a process that dies: everything is closed at once and nothing is read any more. A client
    /// sees an end of file, or a reset where bytes of it had not been read yet.
    #[default]
    Close,
    /// Each connection is reset.
    Reset,
    /// New connections are refused, those that are there are served until they are gone or this time
    /// is up; then as [`Drain::Close`]. With UDP it lasts the whole time: nothing says that a flow is
    /// over.
    Wait(Duration),
}

/// What does the IO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerEngine {
    /// epoll. A server of it that is killed frees its sockets at once.
    #[default]
    Epoll,
    /// io_uring (tokio-uring), TCP only. A server of it that is killed frees its sockets some
    /// milliseconds later.
    Uring,
}

/// A server's thread: how it ended.
type Thread = JoinHandle<Result<(), ServerError>>;

/// A running server. Dropping it closes everything as [`Drain::Close`] does and waits for the end.
#[derive(Debug)]
pub struct ServerHandle {
    control: Arc<Control>,
    thread: Option<Thread>,
    addresses: Vec<SocketAddr>,
    udp: bool,
    left_out: Option<LeftOut>,
}

/// Binds the addresses and serves them on a thread of its own.
///
/// # Errors
/// The configuration contradicts itself ([`ServerError::is_usage`]), an address does not bind, or the
/// system refuses what the engine needs. Nothing is left running then.
pub fn start(config: Config) -> Result<ServerHandle, ServerError> {
    if config.name.is_empty() {
        return Err(ServerError::EmptyName);
    }
    if config.udp && config.engine == ServerEngine::Uring {
        return Err(ServerError::UdpNeedsEpoll);
    }
    let mut sockets = listen::bind(&config.listen, config.udp)?;
    let addresses = std::mem::take(&mut sockets.addresses);
    let left_out = sockets.left_out.take();
    let (control, thread) = match config.engine {
        ServerEngine::Epoll => epoll::start(sockets, &config)?,
        ServerEngine::Uring => uring::start(sockets, &config)?,
    };
    Ok(ServerHandle { control, thread: Some(thread), addresses, udp: config.udp, left_out })
}

/// A thread for a server's loop.
fn spawn(body: impl FnOnce() -> Result<(), ServerError> + Send + 'static) -> Result<Thread, ServerError> {
    thread::Builder::new()
        .name("tg-server".into())
        .spawn(body)
        .map_err(|error| ServerError::Setup { what: "start the server's thread", error })
}

impl ServerHandle {
    /// Where it listens, in the configuration's order, with the ports that the system chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Its sockets: those addresses, for each protocol that it speaks.
    pub fn sockets(&self) -> impl Iterator<Item = (Protocol, SocketAddr)> + '_ {
        let protocols = [Protocol::Tcp, Protocol::Udp].into_iter().take(1 + usize::from(self.udp));
        protocols.flat_map(|protocol| self.addresses.iter().map(move |address| (protocol, *address)))
    }

    /// The default address that this host does not have, if so.
    pub fn left_out(&self) -> Option<&LeftOut> {
        self.left_out.as_ref()
    }

    /// What it has done so far. The figures are read one by one while the server goes on.
    pub fn stats(&self) -> Stats {
        self.control.counters.read()
    }

    /// Begins the drain that was configured. Does not wait for its end.
    pub fn stop(&self) {
        self.control.give(Command::Drain);
    }

    /// A means to stop it from elsewhere, also while somebody waits for its end.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.control))
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until it has ended: after a stop, or a failure. Gives its last statistics.
    ///
    /// # Errors
    /// Why it ended without having been stopped.
    pub fn wait(mut self) -> Result<Stats, ServerError> {
        self.join()?;
        Ok(self.stats())
    }

    fn join(&mut self) -> Result<(), ServerError> {
        match self.thread.take() {
            Some(thread) => thread.join().unwrap_or(Err(ServerError::Panicked)),
            None => Ok(()),
        }
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.control.give(Command::Close);
        // A failure has nobody to go to here; `wait` is the way to learn of it.
        let _ = self.join();
    }
}

/// Stops a server from another thread than the one that waits for its end.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<Control>);

impl Stopper {
    /// As [`ServerHandle::stop`].
    pub fn stop(&self) {
        self.0.give(Command::Drain);
    }

    /// Ends it at once, also a drain that is going on, as [`Drain::Close`] does.
    pub fn close_now(&self) {
        self.0.give(Command::Close);
    }
}
