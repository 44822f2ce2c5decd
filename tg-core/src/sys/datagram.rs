//! Datagrams together with the local address that they were sent to, which recvfrom does not tell, and
//! answers that leave from that address.

use socket2::{SockAddr, Socket};
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

/// A datagram that was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// Bytes in the buffer.
    pub len: usize,
    /// The datagram was longer than the buffer; the rest is gone.
    pub truncated: bool,
    /// Who sent it, and to which address.
    pub route: Route,
}

/// The two ends of a datagram.
#[derive(Clone, Debug)]
pub struct Route {
    peer: SockAddr,
    local: Local,
}

#[derive(Clone, Copy, Debug)]
enum Local {
    V4(libc::in_pktinfo),
    /// Also of an IPv4 datagram on a dual-stack socket: the address is mapped then.
    V6(libc::in6_pktinfo),
    /// The kernel did not tell: the answer leaves from the address that the route has.
    Unknown,
}

impl Route {
    /// Who sent it; `None` where it is no IP address.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer.as_socket()
    }
}

/// Room for one control message; aligned as `struct cmsghdr`.
#[repr(C, align(8))]
struct Control([u8; 64]);

impl Control {
    // SAFETY: CMSG_SPACE is arithmetic.
    const NEEDED: usize = unsafe { libc::CMSG_SPACE(size_of::<libc::in6_pktinfo>() as u32) } as usize;
    const ZERO: Control = {
        assert!(size_of::<Control>() >= Control::NEEDED && align_of::<Control>() >= align_of::<libc::cmsghdr>());
        Control([0; 64])
    };
}

/// Has the kernel tell the local address of each datagram.
///
/// # Errors
/// The kernel refuses the option.
pub fn tell_local_address(socket: &Socket, ipv6: bool) -> io::Result<()> {
    let (level, name) = match ipv6 {
        false => (libc::IPPROTO_IP, libc::IP_PKTINFO),
        true => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    };
    let on: libc::c_int = 1;
    // SAFETY: the option is read from `on`, a c_int of the length given, on a descriptor that is open.
    let result = unsafe {
        let len = size_of_val(&on) as libc::socklen_t;
        libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const on).cast(), len)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Receives one datagram into `buffer`.
///
/// # Errors
/// Those of recvmsg(2); `WouldBlock` where there is none and the socket does not block.
pub fn receive(socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<Received> {
    let mut control = Control::ZERO;
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: a msghdr is integers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    let call = |storage: *mut socket2::SockAddrStorage, storage_len: *mut libc::socklen_t| {
        message.msg_name = storage.cast();
        // SAFETY: `storage_len` is valid, and `message` points to the storage of that length, to the
        // buffer and to `control`, all of which outlive the call.
        let len = unsafe {
            message.msg_namelen = *storage_len;
            let len = libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut message, 0);
            *storage_len = message.msg_namelen;
            len
        };
        usize::try_from(len).map_err(|_| io::Error::last_os_error())
    };
    // SAFETY: the kernel wrote an address into the storage and its length beside it.
    let (len, peer) = unsafe { SockAddr::try_init(call) }?;
    let truncated = message.msg_flags & libc::MSG_TRUNC != 0;
    Ok(Received { len, truncated, route: Route { peer, local: local(&message) } })
}

/// The local address among the control messages of a received message.
fn local(message: &libc::msghdr) -> Local {
    // SAFETY: the kernel filled the control messages of `message`, whose buffer is still borrowed by the
    // caller; the CMSG macros stay inside of it. What is read is plain integers, of the type that level
    // and type say; the reads need no alignment.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(message);
        while !at.is_null() {
            let data = libc::CMSG_DATA(at);
            match ((*at).cmsg_level, (*at).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    return Local::V4(data.cast::<libc::in_pktinfo>().read_unaligned());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    return Local::V6(data.cast::<libc::in6_pktinfo>().read_unaligned());
                }
                _ => at = libc::CMSG_NXTHDR(message, at),
            }
        }
    }
    Local::Unknown
}

/// Sends `bytes` back along `route`: to its peer, from the address that the peer sent to.
///
/// # Errors
/// Those of sendmsg(2); `WouldBlock` where the send buffer is full and the socket does not block.
pub fn answer(socket: &impl AsFd, bytes: &[u8], route: &Route) -> io::Result<()> {
    let mut control = Control::ZERO;
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: a msghdr is integers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = route.peer.as_ptr().cast_mut().cast();
    message.msg_namelen = route.peer.len();
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    match route.local {
        Local::V4(mut info) => {
            // What the kernel calls the address of the header on receipt is the source when sending.
            info.ipi_spec_dst = info.ipi_addr;
            info.ipi_ifindex = 0;
            attach(&mut message, &mut control, (libc::IPPROTO_IP, libc::IP_PKTINFO), info);
        }
        Local::V6(mut info) => {
            // The interface says which one is meant of the link-local addresses; else routing chooses.
            if info.ipi6_addr.s6_addr[..2] != [0xfe, 0x80] {
                info.ipi6_ifindex = 0;
            }
            attach(&mut message, &mut control, (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO), info);
        }
        Local::Unknown => {}
    }
    // SAFETY: `message` points to the peer's address, the bytes and `control`, which outlive the call; the
    // kernel only reads them.
    let sent = unsafe { libc::sendmsg(socket.as_fd().as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes `info` the one control message of `message`, in `control`.
fn attach<T: Copy>(message: &mut libc::msghdr, control: &mut Control, kind: (i32, i32), info: T) {
    const { assert!(size_of::<T>() <= size_of::<libc::in6_pktinfo>()) };
    message.msg_control = (&raw mut *control).cast();
    // SAFETY: the control buffer is aligned for a cmsghdr and has room for one with the larger of the two
    // infos (both asserted above), so the first header exists and its data fits.
    unsafe {
        message.msg_controllen = libc::CMSG_SPACE(size_of::<T>() as u32) as _;
        let header = libc::CMSG_FIRSTHDR(message);
        (*header).cmsg_level = kind.0;
        (*header).cmsg_type = kind.1;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<T>() as u32) as _;
        libc::CMSG_DATA(header).cast::<T>().write_unaligned(info);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::time::Duration;

    fn client(ip: &str) -> UdpSocket {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        socket
    }

    /// A socket on all addresses of the family, which tells where datagrams were sent to.
    fn wildcard(ipv6: bool) -> UdpSocket {
        let socket = UdpSocket::bind(if ipv6 { "[::]:0" } else { "0.0.0.0:0" }).unwrap();
        let socket = Socket::from(socket);
        tell_local_address(&socket, ipv6).unwrap();
        socket.into()
    }

    #[test]
    fn an_answer_comes_from_the_address_that_was_sent_to() {
        for (ipv6, to) in [(false, "127.0.0.2"), (true, "::1"), (true, "127.0.0.3")] {
            let server = wildcard(ipv6);
            let to = SocketAddr::new(to.parse().unwrap(), server.local_addr().unwrap().port());
            let client = client(if to.is_ipv6() { "::1" } else { "127.0.0.1" });
            client.send_to(b"question", to).unwrap();
            let mut buffer = [0; 100];
            let received = receive(&server, &mut buffer).unwrap();
            assert_eq!((&buffer[..received.len], received.truncated), (&b"question"[..], false));
            let peer = received.route.peer().unwrap();
            assert_eq!(SocketAddr::new(peer.ip().to_canonical(), peer.port()), client.local_addr().unwrap());
            answer(&server, b"answer", &received.route).unwrap();
            let (len, from) = client.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..len], from), (&b"answer"[..], to));
        }
    }

    #[test]
    fn a_datagram_that_does_not_fit_is_marked() {
        let server = wildcard(false);
        let client = client("127.0.0.1");
        client.send_to(&[1; 9], ("127.0.0.1", server.local_addr().unwrap().port())).unwrap();
        let received = receive(&server, &mut [0; 8]).unwrap();
        assert_eq!((received.len, received.truncated), (8, true));
    }

    #[test]
    fn an_empty_datagram_is_a_datagram() {
        let server = wildcard(false);
        let client = client("127.0.0.1");
        client.send_to(&[], ("127.0.0.1", server.local_addr().unwrap().port())).unwrap();
        let received = receive(&server, &mut [0; 8]).unwrap();
        answer(&server, &[], &received.route).unwrap();
        assert_eq!(client.recv(&mut [0; 8]).unwrap(), 0);
    }
}
