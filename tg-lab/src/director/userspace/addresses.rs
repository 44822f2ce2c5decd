//! Free addresses on loopback, also beside other labs and other users. Changes when what a lab takes does.
//!
//! What is taken is marked by an abstract unix socket: like loopback's addresses it is the network namespace's own,
//! and it goes with the process that has it, however that ends.

use crate::lab::{LabError, SERVICE_PORT};
use mio::net::{TcpListener, UdpSocket};
use socket2::{Domain, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{self as unix, UnixListener};
use tg_model::lab_plan::LabFamily;
use tg_model::plan::Transport;

/// Ports that are tried after it, where somebody listens on it at every address of this host.
const PORTS: u16 = 100;
/// The second bytes of 127.x.0.0/16 that labs take: apart from what systems use by habit.
const SECOND_BYTES: std::ops::RangeInclusive<u8> = 16..=250;
/// Ports of `::1` that labs take: below those that the kernel gives to clients by itself.
const PORTS_OF_ONE: std::ops::Range<u16> = 20_000..32_000;

/// A part of loopback that is this lab's own.
#[derive(Debug)]
pub struct Block {
    transport: Transport,
    v4: Option<Network>,
    v6: Option<Ports>,
}

/// 127.x.0.0/16.
#[derive(Debug)]
struct Network {
    second: u8,
    port: u16,
    next: u16,
    _mark: UnixListener,
}

/// Ports of `::1`.
#[derive(Debug)]
struct Ports {
    vip: u16,
    next: u16,
    marks: HashMap<u16, UnixListener>,
}

/// So many labs there may be: all are there already, or this host has no such addresses.
fn none_left(what: &str, error: Option<io::Error>) -> LabError {
    let why = error.map_or("all are taken".into(), |e| e.to_string());
    LabError::Missing(vec![format!("{what}: {why}")])
}

/// Takes a name that other labs know to be taken.
fn mark(name: &str) -> Option<UnixListener> {
    unix::SocketAddr::from_abstract_name(name).and_then(|name| UnixListener::bind_addr(&name)).ok()
}

/// Whether a server can listen there now.
fn is_free(address: SocketAddr, transport: Transport) -> io::Result<()> {
    listening(address, transport).map(drop)
}

fn listening(address: SocketAddr, transport: Transport) -> io::Result<Socket> {
    let kind = if transport == Transport::Tcp { Type::STREAM } else { Type::DGRAM };
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    socket.set_nonblocking(true)?;
    if transport == Transport::Tcp {
        // As servers do: what an earlier connection left in TIME_WAIT is no hindrance.
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    if transport == Transport::Tcp {
        socket.listen(4096)?;
    }
    Ok(socket)
}

impl Block {
    /// Takes what a plan's families need.
    ///
    /// # Errors
    /// There is none left, or this host has no such addresses.
    pub fn take(family: LabFamily, transport: Transport) -> Result<Block, LabError> {
        let v4 = (family != LabFamily::Ipv6).then(|| Network::take(transport)).transpose()?;
        let v6 = (family != LabFamily::Ipv4).then(|| Ports::take(transport)).transpose()?;
        Ok(Block { transport, v4, v6 })
    }

    /// The service's addresses, IPv4 first.
    pub fn vips(&self) -> Vec<SocketAddr> {
        let v4 = self.v4.as_ref().map(|n| n.address(1));
        let v6 = self.v6.as_ref().map(|p| on_one(p.vip));
        v4.into_iter().chain(v6).collect()
    }

    /// Listeners (TCP), or sockets (UDP), on the service's addresses.
    ///
    /// # Errors
    /// Somebody took one of them since.
    pub fn sockets(&self) -> Result<(Vec<TcpListener>, Vec<UdpSocket>), LabError> {
        let (mut listeners, mut sockets) = (Vec::new(), Vec::new());
        for vip in self.vips() {
            let socket = listening(vip, self.transport).map_err(LabError::io(format!("listening on {vip}")))?;
            match self.transport {
                Transport::Tcp => listeners.push(TcpListener::from_std(socket.into())),
                Transport::Udp => sockets.push(UdpSocket::from_std(socket.into())),
            }
        }
        Ok((listeners, sockets))
    }

    /// Addresses for a pod, one a family.
    ///
    /// # Errors
    /// There is none left.
    pub fn for_pod(&mut self) -> Result<Vec<SocketAddr>, LabError> {
        let v4 = self.v4.as_mut().map(|n| n.next(self.transport)).transpose()?;
        let v6 = self.v6.as_mut().map(|p| p.next(self.transport)).transpose()?;
        Ok(v4.into_iter().chain(v6).collect())
    }

    /// A pod is gone: others may have its ports of `::1`. Of IPv4 there are enough.
    pub fn give_back(&mut self, addresses: &[SocketAddr]) {
        if let Some(ports) = &mut self.v6 {
            addresses.iter().filter(|a| a.is_ipv6()).for_each(|a| drop(ports.marks.remove(&a.port())));
        }
    }
}

impl Network {
    fn take(transport: Transport) -> Result<Network, LabError> {
        let mut error = None;
        let count = u32::from(SECOND_BYTES.end() - SECOND_BYTES.start()) + 1;
        // Labs that start together begin to look in different places.
        let start = std::process::id() % count;
        for nth in 0..count {
            let second = SECOND_BYTES.start() + ((start + nth) % count) as u8;
            let Some(mark) = mark(&format!("tg-lab-127.{second}")) else { continue };
            let free = |port: &u16| is_free(SocketAddr::from((Ipv4Addr::new(127, second, 0, 1), *port)), transport);
            match (SERVICE_PORT..SERVICE_PORT + PORTS).try_fold((), |(), port| match free(&port) {
                Ok(()) => Err(Ok(port)),
                Err(e) if e.kind() == io::ErrorKind::AddrInUse => Ok(()),
                Err(e) => Err(Err(e)),
            }) {
                Err(Ok(port)) => return Ok(Network { second, port, next: 0, _mark: mark }),
                Err(Err(e)) => error = Some(e),
                Ok(()) => {}
            }
        }
        Err(none_left("an address of 127.0.0.0/8 (`ip address show lo` should have 127.0.0.1/8)", error))
    }

    fn address(&self, host: u16) -> SocketAddr {
        let [third, fourth] = host.to_be_bytes();
        SocketAddr::from((Ipv4Addr::new(127, self.second, third, fourth), self.port))
    }

    /// Pods are 127.x.1.0 and on.
    fn next(&mut self, transport: Transport) -> Result<SocketAddr, LabError> {
        const FIRST: u16 = 256;
        for _ in 0..=u16::MAX {
            let host = FIRST + self.next % (u16::MAX - FIRST);
            self.next = self.next.wrapping_add(1);
            let address = self.address(host);
            if is_free(address, transport).is_ok() {
                return Ok(address);
            }
        }
        Err(none_left("an address for a pod", None))
    }
}

fn on_one(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port)
}

impl Ports {
    fn take(transport: Transport) -> Result<Ports, LabError> {
        is_free(on_one(0), transport).map_err(|e| none_left("the address ::1 (IPv6 on loopback)", Some(e)))?;
        let start = (std::process::id() as u16).wrapping_mul(101) % PORTS_OF_ONE.len() as u16;
        let mut ports = Ports { vip: 0, next: start, marks: HashMap::new() };
        ports.vip = ports.next(transport)?.port();
        Ok(ports)
    }

    fn next(&mut self, transport: Transport) -> Result<SocketAddr, LabError> {
        for _ in PORTS_OF_ONE {
            let port = PORTS_OF_ONE.start + self.next % PORTS_OF_ONE.len() as u16;
            self.next = (self.next + 1) % PORTS_OF_ONE.len() as u16;
            let Some(mark) = mark(&format!("tg-lab-::1-{port}")) else { continue };
            if is_free(on_one(port), transport).is_ok() {
                self.marks.insert(port, mark);
                return Ok(on_one(port));
            }
        }
        Err(none_left("a port of ::1", None))
    }
}
