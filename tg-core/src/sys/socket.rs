//! Makes the sockets of both real engines: same options, same order.

use crate::engine::Connect;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::ptr;
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
        use_ports_in_turn(&socket);
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

/// Sends what the kernel takes of `bytes` on a connected socket; gives its length. The system call itself:
/// libc's function is one at which a thread can be cancelled, and in a program of several threads spends as
/// much on that as on the call's way into the kernel.
///
/// # Errors
/// Those of send(2).
pub fn send(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    let nobody = (ptr::null::<libc::sockaddr>(), 0usize);
    // SAFETY: `bytes` is valid for the call to read, and no address is given.
    let sent = unsafe {
        let (fd, flags) = (socket.as_raw_fd(), libc::MSG_NOSIGNAL);
        libc::syscall(libc::SYS_sendto, fd, bytes.as_ptr(), bytes.len(), flags, nobody.0, nobody.1)
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Receives into `buffer`; gives the length. The system call itself, as in [`send`].
///
/// # Errors
/// Those of recv(2).
pub fn receive(socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    let nowhere = (ptr::null_mut::<libc::sockaddr>(), ptr::null_mut::<libc::socklen_t>());
    // SAFETY: `buffer` is valid for the call to write, and no address is asked for.
    let received = unsafe {
        let fd = socket.as_raw_fd();
        libc::syscall(libc::SYS_recvfrom, fd, buffer.as_mut_ptr(), buffer.len(), 0, nowhere.0, nowhere.1)
    };
    usize::try_from(received).map_err(|_| io::Error::last_os_error())
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

/// Linux seeks a port for a connection among the even ones first. Once these are taken, each connect to the
/// same server looks through all of them in vain, for milliseconds. With a port range of its own, even one
/// that changes nothing, a socket takes the next free port of all (`__inet_hash_connect` in
/// net/ipv4/inet_hashtables.c, 6.9). Kernels that know no such range (before 6.3) refuse it, and do without.
fn use_ports_in_turn(socket: &Socket) {
    const IP_LOCAL_PORT_RANGE: libc::c_int = 51;
    // Beyond the ports that this host gives out: its own bounds stand.
    let (lowest, highest) = (1u32, 65_535u32);
    let _ = set_ip_option(socket, IP_LOCAL_PORT_RANGE, (highest << 16 | lowest).cast_signed());
}

fn set_bind_address_no_port(socket: &Socket) -> io::Result<()> {
    set_ip_option(socket, libc::IP_BIND_ADDRESS_NO_PORT, 1)
}

fn set_ip_option(socket: &Socket, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the option is read from `value`, a c_int of the length given, on a descriptor that is open.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            option,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
