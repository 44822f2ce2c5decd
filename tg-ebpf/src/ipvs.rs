//! What IPVS has: services and destinations by generic netlink, connections by `/proc/net/ip_vs_conn`. Pure and
//! total: arbitrary bytes give counts of what could not be read at worst. Changes when what is read of them does.

use crate::netlink::{self, Content, attribute, nla};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tg_model::node_event::{Candidate, IpvsConn, IpvsConnPhase, IpvsService, Netns};

/// What a datagram of a generic netlink socket holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Datagram {
    /// The number of the family that was asked for.
    pub family: Option<u16>,
    /// Services.
    pub services: Vec<IpvsService>,
    /// Destinations of the service that was asked for.
    pub destinations: Vec<Candidate>,
    /// Messages that could not be understood.
    pub undecodable: u64,
    /// What was asked for is over.
    pub done: bool,
    /// The kernel refused what was asked for: errno, positive.
    pub error: Option<i32>,
}

const GENERIC_HEADER: usize = size_of::<libc::genlmsghdr>();
/// Of the controller, which knows the families.
const GENL_ID_CTRL: u16 = libc::GENL_ID_CTRL as u16;
const CTRL_CMD_GETFAMILY: u8 = libc::CTRL_CMD_GETFAMILY as u8;
const CTRL_ATTR_FAMILY_ID: u16 = libc::CTRL_ATTR_FAMILY_ID as u16;
const CTRL_ATTR_FAMILY_NAME: u16 = libc::CTRL_ATTR_FAMILY_NAME as u16;

/// `include/uapi/linux/ip_vs.h`: IPVS_GENL_NAME and IPVS_GENL_VERSION, commands, attributes.
const NAME: &[u8] = b"IPVS\0";
const VERSION: u8 = 1;
const NEW_SERVICE: u8 = 1;
const GET_SERVICE: u8 = 4;
const NEW_DEST: u8 = 5;
const GET_DEST: u8 = 8;
const SERVICE: u16 = 1;
const DEST: u16 = 2;
mod service {
    pub const AF: u16 = 1;
    pub const PROTOCOL: u16 = 2;
    pub const ADDR: u16 = 3;
    pub const PORT: u16 = 4;
    pub const FWMARK: u16 = 5;
    pub const SCHED_NAME: u16 = 6;
}
mod dest {
    pub const ADDR: u16 = 1;
    pub const PORT: u16 = 2;
    pub const WEIGHT: u16 = 4;
    pub const ACTIVE_CONNS: u16 = 7;
    pub const INACT_CONNS: u16 = 8;
    pub const ADDR_FAMILY: u16 = 11;
}
const AF_INET: u16 = libc::AF_INET as u16;
const AF_INET6: u16 = libc::AF_INET6 as u16;

/// What asks for the number of the family.
pub fn family_request() -> Vec<u8> {
    let body = [vec![CTRL_CMD_GETFAMILY, 1, 0, 0], nla(CTRL_ATTR_FAMILY_NAME, NAME)].concat();
    netlink::request(GENL_ID_CTRL, 0, &body)
}

/// What asks for every service.
pub fn services_request(family: u16) -> Vec<u8> {
    netlink::dump_request(family, &[GET_SERVICE, VERSION, 0, 0])
}

/// What asks for every destination of a service. `None` where the service has neither an address nor a mark.
pub fn destinations_request(family: u16, of: &IpvsService) -> Option<Vec<u8>> {
    let named = match of.address {
        Some(address) => {
            let (family, octets) = match address.ip() {
                IpAddr::V4(a) => (AF_INET, a.octets().to_vec()),
                IpAddr::V6(a) => (AF_INET6, a.octets().to_vec()),
            };
            let mut padded = octets;
            padded.resize(16, 0);
            [
                nla(service::AF, &family.to_ne_bytes()),
                nla(service::PROTOCOL, &u16::from(of.protocol).to_ne_bytes()),
                nla(service::ADDR, &padded),
                nla(service::PORT, &address.port().to_be_bytes()),
            ]
            .concat()
        }
        // Marks of IPv6 are others than those of IPv4; which a service has is not kept.
        None if of.fwmark != 0 => {
            [nla(service::AF, &AF_INET.to_ne_bytes()), nla(service::FWMARK, &of.fwmark.to_ne_bytes())].concat()
        }
        None => return None,
    };
    let body = [vec![GET_DEST, VERSION, 0, 0], nla(SERVICE, &named)].concat();
    Some(netlink::dump_request(family, &body))
}

/// Reads a datagram; `family`: the family's number, once it is known.
pub fn parse(datagram: &[u8], family: Option<u16>) -> Datagram {
    let mut out = Datagram::default();
    for message in netlink::messages(datagram) {
        let understood = match message {
            Content::Done => {
                out.done = true;
                Some(())
            }
            Content::Error(errno) => {
                out.error = errno;
                Some(())
            }
            Content::Message { kind, body, .. } => take(kind, body, family, &mut out),
            Content::Undecodable => None,
        };
        out.undecodable += u64::from(understood.is_none());
    }
    out
}

/// `None`: it could not be understood.
fn take(kind: u16, body: &[u8], family: Option<u16>, out: &mut Datagram) -> Option<()> {
    let (command, attributes) = (*body.first()?, body.get(GENERIC_HEADER..)?);
    match command {
        _ if kind == GENL_ID_CTRL => {
            out.family = Some(short(attributes, CTRL_ATTR_FAMILY_ID)?);
        }
        NEW_SERVICE if Some(kind) == family => out.services.push(service_of(attribute(attributes, SERVICE)?)?),
        NEW_DEST if Some(kind) == family => out.destinations.push(destination_of(attribute(attributes, DEST)?)?),
        _ => {}
    }
    Some(())
}

fn service_of(bytes: &[u8]) -> Option<IpvsService> {
    let scheduler = attribute(bytes, service::SCHED_NAME)?.split(|b| *b == 0).next()?;
    let scheduler = String::from_utf8_lossy(scheduler).into_owned();
    let fwmark = word(bytes, service::FWMARK).unwrap_or(0);
    if fwmark != 0 {
        return Some(IpvsService { protocol: 0, address: None, fwmark, scheduler });
    }
    let protocol = u8::try_from(short(bytes, service::PROTOCOL)?).ok()?;
    let address = address(attribute(bytes, service::ADDR)?, short(bytes, service::AF)?)?;
    let address = Some(SocketAddr::new(address, port(bytes, service::PORT)?));
    Some(IpvsService { protocol, address, fwmark, scheduler })
}

fn destination_of(bytes: &[u8]) -> Option<Candidate> {
    // Without a family, of a kernel before 3.18, it is the service's: only its address tells.
    let family = short(bytes, dest::ADDR_FAMILY)?;
    Some(Candidate {
        address: SocketAddr::new(address(attribute(bytes, dest::ADDR)?, family)?, port(bytes, dest::PORT)?),
        weight: i32::from_ne_bytes(word(bytes, dest::WEIGHT)?.to_ne_bytes()),
        active: word(bytes, dest::ACTIVE_CONNS)?,
        inactive: word(bytes, dest::INACT_CONNS)?,
    })
}

fn short(bytes: &[u8], kind: u16) -> Option<u16> {
    attribute(bytes, kind)?.first_chunk().map(|n| u16::from_ne_bytes(*n))
}

fn word(bytes: &[u8], kind: u16) -> Option<u32> {
    attribute(bytes, kind)?.first_chunk().map(|n| u32::from_ne_bytes(*n))
}

fn port(bytes: &[u8], kind: u16) -> Option<u16> {
    attribute(bytes, kind)?.first_chunk().map(|n| u16::from_be_bytes(*n))
}

/// A `union nf_inet_addr`.
fn address(bytes: &[u8], family: u16) -> Option<IpAddr> {
    match family {
        AF_INET => Some(Ipv4Addr::from(*bytes.first_chunk::<4>()?).into()),
        AF_INET6 => Some(Ipv6Addr::from(*bytes.first_chunk::<16>()?).into()),
        _ => None,
    }
}

/// A line of `/proc/net/ip_vs_conn` (`ip_vs_conn_seq_show`, `net/netfilter/ipvs/ip_vs_conn.c`): protocol, then
/// client, service and destination with their ports, in hexadecimal. `None` for its title, for protocols other than
/// TCP and UDP, and for a persistent client's template, which has no client's port.
pub fn conn(line: &str, netns: &Netns) -> Option<IpvsConn> {
    let mut words = line.split_ascii_whitespace();
    let protocol = match words.next()? {
        "TCP" => 6,
        "UDP" => 17,
        _ => return None,
    };
    let mut end = || Some(SocketAddr::new(hexadecimal(words.next()?)?, u16::from_str_radix(words.next()?, 16).ok()?));
    let (client, service, destination) = (end()?, end()?, end()?);
    let (phase, netns) = (IpvsConnPhase::Made, netns.clone());
    (client.port() != 0).then_some(IpvsConn { phase, netns, protocol, client, service, destination })
}

/// Eight digits, or IPv6's form.
fn hexadecimal(word: &str) -> Option<IpAddr> {
    if word.contains(':') {
        return word.trim_matches(['[', ']']).parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    let digits = word.len() == 8 && word.bytes().all(|b| b.is_ascii_hexdigit());
    digits.then(|| u32::from_str_radix(word, 16).ok().map(|a| Ipv4Addr::from(a).into()))?
}

#[cfg(test)]
mod tests;
