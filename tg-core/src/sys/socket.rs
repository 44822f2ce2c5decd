//! Makes the sockets of both real engines: same options, same order.

use crate::engine::Connect;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tg_model::plan::Transport;

/// A non-blocking socket, bound where that is asked for, not yet connected.
///
/// # Errors
/// This host refused: no descriptors, an address that is not its own …
pub fn open(connect: &Connect) -> io::Result<Socket> {
    let domain = Domain::for_address(connect.remote);
    let socket = match connect.transport {
        Transport::Tcp => Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?,
        Transport::Udp => Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?,
    };
    socket.set_nonblocking(true)?;
    if connect.transport == Transport::Tcp {
        socket.set_tcp_nodelay(true)?;
        if let Some(ms) = connect.user_timeout_ms {
            socket.set_tcp_user_timeout(Some(Duration::from_millis(u64::from(ms))))?;
        }
    }
    if let Some(local) = connect.local {
        if local.port() == 0 {
            // The port is chosen when connecting, so that all sources share the port range.
            set_bind_address_no_port(&socket)?;
        } else {
            socket.set_reuse_address(true)?;
        }
        socket.bind(&SockAddr::from(local))?;
    }
    Ok(socket)
}

/// This end of a connected socket.
///
/// # Errors
/// The socket is not bound, or not of an IP family.
pub fn local(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))
}

/// Whether this host has `address` as its own.
///
/// # Errors
/// It does not (EADDRNOTAVAIL), or refuses for another reason.
pub fn can_bind(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.bind(&SockAddr::from(SocketAddr::new(address.ip(), 0)))
}

fn set_bind_address_no_port(socket: &Socket) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let on: libc::c_int = 1;
    // SAFETY: the option is read from `on`, a c_int of the length given, on a descriptor that is open.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
