//! The cheapest echo server, so that its clients are what is measured. It ends when its stdin does. Changes
//! when servers are told apart otherwise.

mod epoll;
mod uring;

use crate::Engine;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};

const BACKLOG: i32 = 4096;

/// What the server did. Shows itself as one line of JSON.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Served {
    pub connections: u64,
    /// Echoed.
    pub bytes: u64,
}

/// Listens, says so on stderr, and echoes until stdin ends.
///
/// # Errors
/// The address is taken, or the engine is not to be had. Connections that fail are closed.
pub fn run(engine: Engine, address: SocketAddr) -> io::Result<Served> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    // Connections have it from their listener.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from(socket);
    match engine {
        Engine::Epoll => epoll::run(&listener, address),
        Engine::Uring => uring::run(&listener, address),
    }
}

/// What whoever started the server waits for.
fn announce(address: SocketAddr) {
    eprintln!("listens on {address}");
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{\"connections\":{},\"bytes\":{}}}", self.connections, self.bytes)
    }
}
