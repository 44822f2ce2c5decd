//! The parts of a plan, each with how it is written as text. Changes when an option's form does.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// A server's place.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(test, schemars(with = "String"))]
pub struct Target {
    /// Address or name.
    pub host: Host,
    /// Port, not 0.
    pub port: u16,
}

/// An address, or a name to be resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A name for the host's resolver.
    Name(String),
}

impl From<SocketAddr> for Target {
    fn from(a: SocketAddr) -> Target {
        Target { host: Host::Ip(a.ip()), port: a.port() }
    }
}

impl FromStr for Target {
    type Err = String;
    fn from_str(s: &str) -> Result<Target, String> {
        let want = "want ADDRESS:PORT, [IPV6]:PORT or NAME:PORT";
        if let Ok(a) = s.parse::<SocketAddr>() {
            return match a {
                SocketAddr::V6(v6) if v6.scope_id() != 0 => {
                    Err(format!("an interface cannot be chosen, as in `{s}`: {want}"))
                }
                _ if a.port() == 0 => Err(format!("port 0 in `{s}`: {want}")),
                _ => Ok(a.into()),
            };
        }
        let (host, port) = s.rsplit_once(':').ok_or_else(|| format!("no port in `{s}`: {want}"))?;
        let digits = Some(port).filter(|p| p.bytes().all(|b| b.is_ascii_digit()));
        let port = digits.and_then(|p| p.parse::<u16>().ok()).filter(|p| *p > 0);
        let port = port.ok_or_else(|| format!("no port from 1 to 65535 in `{s}`: {want}"))?;
        let name_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if host.is_empty() || host.len() > 253 || !host.bytes().all(name_byte) {
            return Err(format!("`{host}` is neither an address nor a name: {want}"));
        }
        Ok(Target { host: Host::Name(host.to_owned()), port })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(ip) => SocketAddr::new(*ip, self.port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

impl TryFrom<String> for Target {
    type Error = String;
    fn try_from(s: String) -> Result<Target, String> {
        s.parse()
    }
}

impl From<Target> for String {
    fn from(t: Target) -> String {
        t.to_string()
    }
}

/// TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// A connection is a TCP connection.
    Tcp,
    /// A connection is a flow of datagrams from one socket, up from its first echo.
    Udp,
}

/// Which of a name's addresses are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// The first one that the resolver gives.
    Any,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
}

impl Family {
    /// Whether an address is of this family.
    pub fn admits(self, ip: IpAddr) -> bool {
        match self {
            Family::Any => true,
            Family::Ipv4 => ip.is_ipv4(),
            Family::Ipv6 => ip.is_ipv6(),
        }
    }
}

/// When a name is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Resolve {
    /// Once, before the first attempt.
    Start,
    /// For each attempt.
    Each,
}

/// Packets a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Rate {
    /// On each connection.
    PerConnection(f64),
    /// Over all connections.
    Total(f64),
    /// As fast as echoes return; closed loop only.
    Unlimited,
}

/// What decides when the next packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The schedule alone.
    OpenLoop,
    /// The schedule, but never before the echo of the packet before (ctraffic's way).
    ClosedLoop,
}

/// The wait after a failed attempt: `min`, doubled after each further one, up to `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Backoff {
    /// After the first failed attempt.
    #[serde(rename = "min_ns", with = "super::ns")]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub min: Duration,
    /// At most.
    #[serde(rename = "max_ns", with = "super::ns")]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { min: Duration::from_millis(100), max: Duration::from_secs(1) }
    }
}

/// A local address; port 0 is the kernel's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
#[cfg_attr(test, schemars(with = "String"))]
pub struct Source(pub SocketAddr);

/// Busy waiting before a packet is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Spin {
    /// A window as long as this machine's measured wake-up error, and a nap before it, where the pauses between packets
    /// are long enough for each.
    Auto,
    /// A fixed window in nanoseconds; 0: none.
    WindowNs(u64),
}

/// How sockets are driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum EngineChoice {
    /// io_uring where it may be used, else epoll.
    Auto,
    /// io_uring or an error.
    Uring,
    /// epoll.
    Epoll,
}
