//! What tests are held for: each engine, protocol and family. Changes when one of these lists does.

use super::journal::Journal;
use super::process::Process;
use crate::support::Capability;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{self as unix, UnixListener};
use std::sync::atomic::{AtomicU16, Ordering};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Epoll,
    Uring,
}

#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub engine: Engine,
    pub udp: bool,
    pub ipv6: bool,
}

/// Time-outs that no busy machine reaches, and back-offs that cost a test little.
const PATIENT: [&str; 8] =
    ["--response-timeout", "1h", "--connect-timeout", "1h", "--backoff", "20ms..100ms", "--spin", "0"];

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = if self.udp { "udp" } else { "tcp" };
        let family = if self.ipv6 { "v6" } else { "v4" };
        write!(f, "{}::{protocol}::{family}", self.engine.name())
    }
}

impl Engine {
    pub fn name(self) -> &'static str {
        match self {
            Engine::Epoll => "epoll",
            Engine::Uring => "uring",
        }
    }
}

impl Case {
    pub fn all() -> impl Iterator<Item = Case> {
        (0..8).map(|n| Case {
            engine: if n & 4 == 0 { Engine::Epoll } else { Engine::Uring },
            udp: n & 2 != 0,
            ipv6: n & 1 != 0,
        })
    }

    pub fn tcp() -> impl Iterator<Item = Case> {
        Case::all().filter(|case| !case.udp)
    }

    pub fn needs(&self) -> Vec<Capability> {
        let mut needs = Vec::new();
        needs.extend((self.engine == Engine::Uring).then_some(Capability::Uring));
        needs.extend(self.ipv6.then_some(Capability::Ipv6));
        needs
    }

    pub fn ip(&self) -> IpAddr {
        if self.ipv6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() }
    }

    /// A place where a server can die and come back, this process' own until it ends. The kernel chooses
    /// no such port by itself, be it for another server or for a client, which would then be connected to
    /// itself.
    pub fn lasting_address(&self) -> SocketAddr {
        const PORTS: u32 = 10_000;
        static TAKEN: AtomicU16 = AtomicU16::new(0);
        loop {
            let n = std::process::id().wrapping_mul(101) + u32::from(TAKEN.fetch_add(1, Ordering::Relaxed));
            let address = SocketAddr::new(self.ip(), 20_000 + (n % PORTS) as u16);
            // A name that other test processes know to be taken, also while nobody has the port.
            let name = unix::SocketAddr::from_abstract_name(format!("tg-test-port-{}", address.port())).unwrap();
            let Ok(mine) = UnixListener::bind_addr(&name) else { continue };
            if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
                std::mem::forget(mine);
                return address;
            }
        }
    }

    /// Starts a run of this case.
    pub fn run(&self, addresses: &[SocketAddr], more: &[&str]) -> (Process, Journal) {
        let journal = Journal::new();
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let mut args = vec!["run", "--engine", self.engine.name(), "--output", journal.path()];
        args.extend(addresses.iter().flat_map(|a| ["--address", a]));
        args.extend(self.udp.then_some("--udp"));
        args.extend(PATIENT);
        args.extend(more);
        (Process::start(&args), journal)
    }
}
