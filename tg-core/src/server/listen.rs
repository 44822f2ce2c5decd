//! Makes the sockets that a server listens on. Changes with their options and with what counts as a
//! usable set of addresses.

use super::{DEFAULT_PORT, ServerError};
use crate::sys;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

/// Connections that may wait to be accepted; the kernel caps it (net.core.somaxconn).
const BACKLOG: i32 = 4096;
/// Datagrams that may wait: those of all clients share one socket, and what does not fit is lost. The
/// default has room for some 90 of 1 KiB. The kernel caps it (net.core.rmem_max).
const RECEIVE_BUFFER: usize = 4 << 20;
/// Tries to find a free port that both protocols have.
const PORT_TRIES: usize = 16;

/// Which protocol a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// A default address that this host does not have.
#[derive(Debug)]
pub struct LeftOut {
    /// The address.
    pub address: SocketAddr,
    /// The system's reason.
    pub reason: io::Error,
}

/// Bound sockets, blocking still.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    pub tcp: Vec<TcpListener>,
    pub udp: Vec<UdpSocket>,
    pub addresses: Vec<SocketAddr>,
    pub left_out: Option<LeftOut>,
}

/// Binds `listen`, or the default addresses where it is empty.
pub(super) fn bind(listen: &[SocketAddr], udp: bool) -> Result<Sockets, ServerError> {
    let mut sockets = Sockets::default();
    if listen.is_empty() {
        let (bound, left_out) = defaults(|address| bind_one(address, udp))?;
        bound.into_iter().for_each(|one| sockets.add(one));
        sockets.left_out = left_out;
    } else {
        no_overlap(listen)?;
        for address in listen {
            sockets.add(bind_one(*address, udp)?);
        }
    }
    Ok(sockets)
}

impl Sockets {
    fn add(&mut self, one: One) {
        self.addresses.push(one.address);
        self.tcp.push(one.tcp);
        self.udp.extend(one.udp);
    }
}

/// The loopback addresses; IPv6's may be missing.
fn defaults<T>(
    mut bind: impl FnMut(SocketAddr) -> Result<T, ServerError>,
) -> Result<(Vec<T>, Option<LeftOut>), ServerError> {
    let v4 = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)))?;
    match bind(SocketAddr::from((Ipv6Addr::LOCALHOST, DEFAULT_PORT))) {
        Ok(v6) => Ok((vec![v4, v6], None)),
        Err(ServerError::Listen { address, error, .. }) if says_no_ipv6(&error) => {
            Ok((vec![v4], Some(LeftOut { address, reason: error })))
        }
        Err(e) => Err(e),
    }
}

/// EAFNOSUPPORT: a kernel without IPv6; EADDRNOTAVAIL: IPv6 turned off by sysctl.
fn says_no_ipv6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

fn no_overlap(listen: &[SocketAddr]) -> Result<(), ServerError> {
    let takes = |a: &SocketAddr, b: &SocketAddr| {
        a.port() == b.port() && a.port() != 0 && (a == b || (a.ip() == Ipv6Addr::UNSPECIFIED && b.is_ipv4()))
    };
    for (i, first) in listen.iter().enumerate() {
        for second in &listen[i + 1..] {
            if takes(first, second) || takes(second, first) {
                return Err(ServerError::Overlap { first: *first, second: *second });
            }
        }
    }
    Ok(())
}

/// The sockets of one address.
struct One {
    address: SocketAddr,
    tcp: TcpListener,
    udp: Option<UdpSocket>,
}

fn bind_one(address: SocketAddr, udp: bool) -> Result<One, ServerError> {
    let mut tries = if udp && address.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        let tcp = socket(address, Protocol::Tcp).map_err(|e| refused(address, Protocol::Tcp, e))?;
        let bound = sys::socket::local(&tcp).map_err(|e| refused(address, Protocol::Tcp, e))?;
        let udp = udp.then(|| socket(bound, Protocol::Udp)).transpose();
        tries -= 1;
        match udp {
            Ok(udp) => return Ok(One { address: bound, tcp: tcp.into(), udp: udp.map(UdpSocket::from) }),
            Err(_) if tries > 0 => {}
            Err(e) => return Err(refused(bound, Protocol::Udp, e)),
        }
    }
}

fn refused(address: SocketAddr, protocol: Protocol, error: io::Error) -> ServerError {
    match error.kind() {
        io::ErrorKind::AddrInUse => ServerError::AddressInUse { protocol, address },
        _ => ServerError::Listen { protocol, address, error },
    }
}

fn socket(address: SocketAddr, protocol: Protocol) -> io::Result<Socket> {
    let kind = match protocol {
        Protocol::Tcp => Type::STREAM,
        Protocol::Udp => Type::DGRAM,
    };
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    if protocol == Protocol::Tcp {
        // The connections of the server before this one may linger. Not with UDP: there it would let two
        // servers have the same port.
        socket.set_reuse_address(true)?;
    }
    if protocol == Protocol::Udp {
        // Smaller will do, too.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    }
    socket.bind(&SockAddr::from(address))?;
    match protocol {
        Protocol::Tcp => socket.listen(BACKLOG)?,
        Protocol::Udp => sys::datagram::tell_local_address(&socket, address.is_ipv6())?,
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen_error(address: SocketAddr, errno: i32) -> ServerError {
        refused(address, Protocol::Tcp, io::Error::from_raw_os_error(errno))
    }

    #[test]
    fn a_host_without_ipv6_leaves_the_default_for_ipv4() {
        for errno in [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL] {
            let bind = |a: SocketAddr| if a.is_ipv6() { Err(listen_error(a, errno)) } else { Ok(a) };
            let (bound, left_out) = defaults(bind).unwrap();
            assert_eq!(bound, ["127.0.0.1:5003".parse().unwrap()]);
            assert_eq!(left_out.unwrap().address, "[::1]:5003".parse().unwrap());
        }
    }

    #[test]
    fn a_taken_port_or_a_missing_ipv4_fails_the_default() {
        let taken = |a: SocketAddr| if a.is_ipv6() { Err(listen_error(a, libc::EADDRINUSE)) } else { Ok(a) };
        assert!(matches!(defaults(taken), Err(ServerError::AddressInUse { .. })));
        let no_v4 = |a: SocketAddr| if a.is_ipv4() { Err(listen_error(a, libc::EADDRNOTAVAIL)) } else { Ok(a) };
        assert!(matches!(defaults(no_v4), Err(ServerError::Listen { .. })));
    }

    #[test]
    fn addresses_that_overlap_are_refused() {
        let check = |list: &[&str]| no_overlap(&list.iter().map(|a| a.parse().unwrap()).collect::<Vec<_>>());
        assert!(check(&["127.0.0.1:5003", "[::1]:5003", "127.0.0.2:5003", "[::]:5004"]).is_ok());
        assert!(check(&["127.0.0.1:0", "127.0.0.1:0", "[::]:0"]).is_ok());
        for list in [["127.0.0.1:1", "127.0.0.1:1"], ["0.0.0.0:1", "[::]:1"], ["[::]:1", "127.0.0.1:1"]] {
            assert!(matches!(check(&list), Err(ServerError::Overlap { .. })), "{list:?}");
        }
    }
}
