//! Carries steps out: by messages of rtnetlink, since a program for each would cost a slow machine seconds. Changes
//! when a step does.

use super::error::{NetworkError, Result};
use super::netns::{Netns, within};
use super::step::{Scope, Step, Way};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope};
use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteNextHop, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::net::if_::if_nametoindex;
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

/// Room for an answer: an acknowledgement holds the request.
const ANSWER_MAX: usize = 16 << 10;

/// Does these in a namespace, in this order, up to the first that fails.
pub(crate) fn apply(netns: &Netns, steps: &[Step]) -> Result<()> {
    within(netns, || {
        let socket = connected().map_err(|source| failure(netns, "rtnetlink", source))?;
        steps.iter().try_for_each(|step| carry_out(&socket, step).map_err(|e| failure(netns, step, e)))
    })?
}

fn failure(netns: &Netns, step: impl ToString, source: io::Error) -> NetworkError {
    NetworkError::Step { step: step.to_string(), netns: netns.name().to_owned(), source }
}

fn connected() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}

fn carry_out(socket: &Socket, step: &Step) -> io::Result<()> {
    const NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;
    const INSTEAD: u16 = NLM_F_CREATE | NLM_F_REPLACE;
    match step {
        Step::Veth { link, peer } => {
            // Open until the kernel has answered.
            let netns = File::open(Netns::new(peer.clone()).path())?;
            let mut other = LinkMessage::default();
            other.attributes = vec![LinkAttribute::IfName("eth0".into()), LinkAttribute::NetNsFd(netns.as_raw_fd())];
            let data = LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(other)));
            ask(socket, RouteNetlinkMessage::NewLink(new_link(link, InfoKind::Veth, Some(data))), NEW)
        }
        Step::Dummy { link } => ask(socket, RouteNetlinkMessage::NewLink(new_link(link, InfoKind::Dummy, None)), NEW),
        Step::Set { link, up } => {
            let mut message = LinkMessage::default();
            message.header.index = index(link)?;
            message.header.change_mask = LinkFlags::Up;
            message.header.flags = if *up { LinkFlags::Up } else { LinkFlags::empty() };
            ask(socket, RouteNetlinkMessage::SetLink(message), 0)
        }
        Step::Delete { link } => {
            let mut message = LinkMessage::default();
            message.header.index = index(link)?;
            ask(socket, RouteNetlinkMessage::DelLink(message), 0)
        }
        Step::Address { address, bits, link, scope } => {
            ask(socket, RouteNetlinkMessage::NewAddress(of_address(*address, *bits, index(link)?, *scope)), INSTEAD)
        }
        Step::Route { to, bits, way } => {
            ask(socket, RouteNetlinkMessage::NewRoute(of_route(*to, *bits, way)?), INSTEAD)
        }
    }
}

fn index(link: &str) -> io::Result<u32> {
    Ok(if_nametoindex(link)?)
}

fn new_link(name: &str, kind: InfoKind, data: Option<LinkInfo>) -> LinkMessage {
    let mut message = LinkMessage::default();
    let info = [LinkInfo::Kind(kind)].into_iter().chain(data).collect();
    message.attributes = vec![LinkAttribute::IfName(name.into()), LinkAttribute::LinkInfo(info)];
    message
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn of_address(address: IpAddr, bits: u8, index: u32, scope: Scope) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(address);
    message.header.prefix_len = bits;
    message.header.index = index;
    message.header.scope = match scope {
        Scope::Global => AddressScope::Universe,
        Scope::Link => AddressScope::Link,
    };
    if address.is_ipv6() {
        message.header.flags = AddressHeaderFlags::Nodad;
    }
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    message
}

fn of_route(to: IpAddr, bits: u8, way: &Way) -> io::Result<RouteMessage> {
    let mut message = RouteMessage::default();
    message.header.address_family = family(to);
    message.header.destination_prefix_length = bits;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Boot;
    message.header.scope = if matches!(way, Way::Link(_)) { RouteScope::Link } else { RouteScope::Universe };
    message.header.kind = if *way == Way::Nowhere { RouteType::BlackHole } else { RouteType::Unicast };
    if bits > 0 {
        message.attributes.push(RouteAttribute::Destination(to.into()));
    }
    match way {
        Way::Nowhere => {}
        Way::Link(link) => message.attributes.push(RouteAttribute::Oif(index(link)?)),
        Way::Routers(routers) => match routers.as_slice() {
            [(by, link)] => {
                message.attributes.extend([RouteAttribute::Gateway((*by).into()), RouteAttribute::Oif(index(link)?)])
            }
            several => {
                let hops = several.iter().map(|(by, link)| {
                    let mut hop = RouteNextHop::default();
                    hop.interface_index = index(link)?;
                    hop.attributes = vec![RouteAttribute::Gateway((*by).into())];
                    Ok(hop)
                });
                message.attributes.push(RouteAttribute::MultiPath(hops.collect::<io::Result<_>>()?));
            }
        },
    }
    Ok(message)
}

/// Sends a request and waits for the kernel's answer to it.
fn ask(socket: &Socket, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut answer = Vec::with_capacity(ANSWER_MAX);
    socket.recv(&mut answer, 0)?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer).map_err(io::Error::other)?;
    match answer.payload {
        NetlinkPayload::Error(error) => match error.code {
            None => Ok(()),
            Some(code) => Err(io::Error::from_raw_os_error(code.get().saturating_neg())),
        },
        other => Err(io::Error::other(format!("the kernel answered {other:?}"))),
    }
}
