//! A netlink message to conntrack entries. Pure and total: arbitrary bytes give counts of what could not be
//! read at worst. Changes when what is read of an entry does.
//!
//! A parser of its own: that of netlink-packet-core 0.9.0 panics at attributes that are cut (`fuzz/` found it).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tg_model::node_event::{Conntrack, ConntrackPhase, ConntrackStatus, ConntrackTcpState, Netns, Tuple};

/// What a datagram of a conntrack socket holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Datagram {
    /// Entries of TCP and UDP; the phase of one that was only read, or changed, is `Seen`.
    pub entries: Vec<Conntrack>,
    /// Messages that could not be understood.
    pub undecodable: u64,
    /// What was asked for is over.
    pub done: bool,
    /// The kernel refused what was asked for: errno, positive.
    pub error: Option<i32>,
}

/// `struct nlmsghdr`, `include/uapi/linux/netlink.h`.
const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_CREATE: u16 = 0x400;
/// Kinds of attributes have flags above.
const NLA_TYPE: u16 = 0x3fff;
/// `struct nfgenmsg`, `include/uapi/linux/netfilter/nfnetlink.h`.
const NETFILTER_HEADER: usize = 4;
/// NFNL_SUBSYS_CTNETLINK and `enum cntl_msg_types`.
const CT_NEW: u16 = 0x100;
const CT_GET: u16 = 0x101;
const CT_DELETE: u16 = 0x102;

/// `include/uapi/linux/netfilter/nfnetlink_conntrack.h`.
mod cta {
    pub const TUPLE_ORIG: u16 = 1;
    pub const TUPLE_REPLY: u16 = 2;
    pub const STATUS: u16 = 3;
    pub const PROTOINFO: u16 = 4;
    pub const PROTOINFO_TCP: u16 = 1;
    pub const PROTOINFO_TCP_STATE: u16 = 1;
    pub const TUPLE_IP: u16 = 1;
    pub const TUPLE_PROTO: u16 = 2;
    pub const IP_V4_SRC: u16 = 1;
    pub const IP_V4_DST: u16 = 2;
    pub const IP_V6_SRC: u16 = 3;
    pub const IP_V6_DST: u16 = 4;
    pub const PROTO_NUM: u16 = 1;
    pub const PROTO_SRC_PORT: u16 = 2;
    pub const PROTO_DST_PORT: u16 = 3;
}

/// What asks the kernel for every entry, of IPv4 and IPv6.
pub fn dump_request() -> [u8; HEADER + NETFILTER_HEADER] {
    const LENGTH: usize = HEADER + NETFILTER_HEADER;
    let mut request = [0; LENGTH];
    request[..4].copy_from_slice(&(LENGTH as u32).to_ne_bytes());
    request[4..6].copy_from_slice(&CT_GET.to_ne_bytes());
    request[6..8].copy_from_slice(&(NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    request
}

/// Reads a datagram.
pub fn parse(datagram: &[u8]) -> Datagram {
    let mut out = Datagram::default();
    let mut rest = datagram;
    while !rest.is_empty() {
        let length = rest.first_chunk().map_or(0, |l| u32::from_ne_bytes(*l) as usize);
        if length < HEADER || length > rest.len() {
            out.undecodable += 1;
            break;
        }
        if take(&rest[..length], &mut out).is_none() {
            out.undecodable += 1;
        }
        // Messages begin at multiples of four.
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    out
}

/// `None`: it could not be understood.
fn take(message: &[u8], out: &mut Datagram) -> Option<()> {
    let [kind, flags] = [number(message, 4)?, number(message, 6)?];
    let body = &message[HEADER..];
    let phase = match kind {
        NLMSG_DONE => {
            out.done = true;
            return Some(());
        }
        NLMSG_ERROR => {
            let code = i32::from_ne_bytes(*body.first_chunk()?);
            out.error = (code != 0).then_some(code.saturating_abs());
            return Some(());
        }
        CT_NEW if flags & NLM_F_CREATE != 0 => ConntrackPhase::Confirmed,
        CT_NEW => ConntrackPhase::Seen,
        CT_DELETE => ConntrackPhase::Destroyed,
        _ => return Some(()),
    };
    out.entries.extend(entry(phase, body.get(NETFILTER_HEADER..)?)?);
    Some(())
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The first attribute of this kind; what comes after one that is cut is not looked at.
fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    let mut rest = bytes;
    loop {
        let length = usize::from(number(rest, 0)?);
        let value = rest.get(4..length)?;
        if number(rest, 2)? & NLA_TYPE == kind {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

/// The outer `None`: it cannot be understood. The inner one: it is neither TCP nor UDP, other protocols have no
/// ports.
fn entry(phase: ConntrackPhase, bytes: &[u8]) -> Option<Option<Conntrack>> {
    let original = attribute(bytes, cta::TUPLE_ORIG)?;
    let protocol = *attribute(attribute(original, cta::TUPLE_PROTO)?, cta::PROTO_NUM)?.first()?;
    if ![6, 17].contains(&protocol) {
        return Some(None);
    }
    let original = tuple(original)?;
    let reply = tuple(attribute(bytes, cta::TUPLE_REPLY)?)?;
    let status = attribute(bytes, cta::STATUS).and_then(|s| s.first_chunk()).map_or(0, |s| u32::from_be_bytes(*s));
    let tcp = attribute(bytes, cta::PROTOINFO).and_then(|info| attribute(info, cta::PROTOINFO_TCP));
    let state = tcp.and_then(|tcp| attribute(tcp, cta::PROTOINFO_TCP_STATE)?.first().copied());
    let (netns, status) = (Netns::default(), ConntrackStatus(status));
    let tcp_state = state.and_then(ConntrackTcpState::from_kernel);
    Some(Some(Conntrack { phase, netns, protocol, original, reply, status, tcp_state }))
}

fn tuple(bytes: &[u8]) -> Option<Tuple> {
    let (ip, proto) = (attribute(bytes, cta::TUPLE_IP)?, attribute(bytes, cta::TUPLE_PROTO)?);
    let address = |v4, v6| {
        let v4 = attribute(ip, v4).and_then(|a| a.first_chunk::<4>()).map(|a| IpAddr::V4(Ipv4Addr::from(*a)));
        v4.or_else(|| Some(IpAddr::V6(Ipv6Addr::from(*attribute(ip, v6)?.first_chunk::<16>()?))))
    };
    let port = |kind| Some(u16::from_be_bytes(*attribute(proto, kind)?.first_chunk()?));
    Some(Tuple {
        src: SocketAddr::new(address(cta::IP_V4_SRC, cta::IP_V6_SRC)?, port(cta::PROTO_SRC_PORT)?),
        dst: SocketAddr::new(address(cta::IP_V4_DST, cta::IP_V6_DST)?, port(cta::PROTO_DST_PORT)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NESTED: u16 = 0x8000;

    fn nla(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut out = (4 + value.len() as u16).to_ne_bytes().to_vec();
        out.extend(kind.to_ne_bytes());
        out.extend(value);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    fn parts(src: &str, dst: &str, protocol: u8) -> Vec<u8> {
        let [src, dst]: [SocketAddr; 2] = [src, dst].map(|a| a.parse().unwrap());
        let octets = |a: SocketAddr| match a.ip() {
            IpAddr::V4(a) => a.octets().to_vec(),
            IpAddr::V6(a) => a.octets().to_vec(),
        };
        let first = if src.is_ipv4() { cta::IP_V4_SRC } else { cta::IP_V6_SRC };
        let ip = [nla(first, &octets(src)), nla(first + 1, &octets(dst))].concat();
        let ports = [(cta::PROTO_SRC_PORT, src), (cta::PROTO_DST_PORT, dst)];
        let ports = ports.map(|(kind, a)| nla(kind, &a.port().to_be_bytes())).concat();
        let proto = [nla(cta::PROTO_NUM, &[protocol]), ports].concat();
        [nla(NESTED | cta::TUPLE_IP, &ip), nla(NESTED | cta::TUPLE_PROTO, &proto)].concat()
    }

    fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
        let mut out = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        out.extend(kind.to_ne_bytes());
        out.extend(flags.to_ne_bytes());
        out.extend([0; 8]);
        out.extend(body);
        out
    }

    fn told(kind: u16, flags: u16, protocol: u8) -> Vec<u8> {
        let state = nla(NESTED | cta::PROTOINFO_TCP, &nla(cta::PROTOINFO_TCP_STATE, &[3]));
        let body = [
            vec![2, 0, 0, 0],
            nla(NESTED | cta::TUPLE_ORIG, &parts("198.51.100.1:4711", "192.0.2.1:80", protocol)),
            nla(NESTED | cta::TUPLE_REPLY, &parts("[2001:db8::2]:8080", "[2001:db8::1]:4711", protocol)),
            nla(cta::STATUS, &(1u32 << 5).to_be_bytes()),
            nla(NESTED | cta::PROTOINFO, &state),
        ];
        message(kind, flags, &body.concat())
    }

    #[test]
    fn an_entry_made_one_read_and_one_destroyed() {
        let mut datagram = told(CT_NEW, NLM_F_CREATE, 6);
        datagram.extend(told(CT_NEW, 0, 17));
        datagram.extend(told(CT_DELETE, 0, 6));
        // One without ports is passed over.
        datagram.extend(told(CT_DELETE, 0, 1));
        let got = parse(&datagram);
        let phases: Vec<_> = got.entries.iter().map(|e| (e.phase, e.protocol)).collect();
        let want = [(ConntrackPhase::Confirmed, 6), (ConntrackPhase::Seen, 17), (ConntrackPhase::Destroyed, 6)];
        assert_eq!(phases, want);
        assert_eq!((got.undecodable, got.done, got.error), (0, false, None));
        let entry = &got.entries[0];
        assert_eq!(entry.original.to_string(), "198.51.100.1:4711 > 192.0.2.1:80");
        assert_eq!(entry.reply.to_string(), "[2001:db8::2]:8080 > [2001:db8::1]:4711");
        assert!(entry.status.destination_nat());
        assert_eq!(entry.tcp_state, Some(ConntrackTcpState::Established));
    }

    #[test]
    fn the_end_of_a_dump_and_a_refusal() {
        assert!(parse(&message(NLMSG_DONE, 2, &[0; 4])).done);
        assert_eq!(parse(&message(NLMSG_ERROR, 0, &(-1i32).to_ne_bytes())).error, Some(1));
        assert_eq!(parse(&message(NLMSG_ERROR, 0, &[0; 4])), Datagram::default());
        assert_eq!(parse(&dump_request()), Datagram::default());
    }

    #[test]
    fn what_is_cut_is_counted() {
        let whole = told(CT_NEW, 0, 6);
        let got = parse(&[&whole[..], &whole[..whole.len() - 4]].concat());
        assert_eq!((got.entries.len(), got.undecodable), (1, 1));
        assert_eq!(parse(&[1, 0, 0, 0]).undecodable, 1);
        assert_eq!(parse(&[1]).undecodable, 1);
        assert_eq!(parse(&[]), Datagram::default());
        // A message that is whole, its attributes are not.
        assert_eq!(parse(&message(CT_NEW, 0, &[2, 0, 0, 0, 9])).undecodable, 1);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(damage in proptest::collection::vec((0usize..200, any::<u8>()), 0..8), cut in 0usize..200) {
            let mut datagram = told(CT_NEW, NLM_F_CREATE, 6);
            for (at, byte) in damage {
                let at = at % datagram.len();
                datagram[at] = byte;
            }
            datagram.truncate(cut.max(4));
            parse(&datagram);
        }
    }
}
