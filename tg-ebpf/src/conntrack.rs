//! A netlink message to conntrack entries. Pure and total: arbitrary bytes give counts of what could not be
//! read at worst. Changes when what is read of an entry does.

use crate::netlink::{self, Content, NLM_F_CREATE, attribute};
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

/// `struct nfgenmsg`, `include/uapi/linux/netfilter/nfnetlink.h`.
pub(crate) const NETFILTER_HEADER: usize = 4;

/// `enum cntl_msg_types`, `include/uapi/linux/netfilter/nfnetlink_conntrack.h`.
pub(crate) mod message {
    pub const NEW: u16 = of(0);
    pub const GET: u16 = of(1);
    pub const DELETE: u16 = of(2);
    pub const GET_STATS_CPU: u16 = of(4);
    pub const GET_STATS: u16 = of(5);

    const fn of(kind: u16) -> u16 {
        (libc::NFNL_SUBSYS_CTNETLINK as u16) << 8 | kind
    }
}

/// As above.
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
pub fn dump_request() -> Vec<u8> {
    netlink::dump_request(message::GET, &[0; NETFILTER_HEADER])
}

/// Reads a datagram.
pub fn parse(datagram: &[u8]) -> Datagram {
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
            Content::Message { kind, flags, body } => take(kind, flags, body, &mut out),
            Content::Undecodable => None,
        };
        out.undecodable += u64::from(understood.is_none());
    }
    out
}

/// `None`: it could not be understood.
fn take(kind: u16, flags: u16, body: &[u8], out: &mut Datagram) -> Option<()> {
    let phase = match kind {
        message::NEW if flags & NLM_F_CREATE != 0 => ConntrackPhase::Confirmed,
        message::NEW => ConntrackPhase::Seen,
        message::DELETE => ConntrackPhase::Destroyed,
        _ => return Some(()),
    };
    out.entries.extend(entry(phase, body.get(NETFILTER_HEADER..)?)?);
    Some(())
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
    use crate::netlink::test::{NESTED, message as sent, nla};
    use crate::netlink::{NLMSG_DONE, NLMSG_ERROR};
    use proptest::prelude::*;

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

    fn told(kind: u16, flags: u16, protocol: u8) -> Vec<u8> {
        let state = nla(NESTED | cta::PROTOINFO_TCP, &nla(cta::PROTOINFO_TCP_STATE, &[3]));
        let body = [
            vec![2, 0, 0, 0],
            nla(NESTED | cta::TUPLE_ORIG, &parts("198.51.100.1:4711", "192.0.2.1:80", protocol)),
            nla(NESTED | cta::TUPLE_REPLY, &parts("[2001:db8::2]:8080", "[2001:db8::1]:4711", protocol)),
            nla(cta::STATUS, &(1u32 << 5).to_be_bytes()),
            nla(NESTED | cta::PROTOINFO, &state),
        ];
        sent(kind, flags, &body.concat())
    }

    #[test]
    fn an_entry_made_one_read_and_one_destroyed() {
        let mut datagram = told(message::NEW, NLM_F_CREATE, 6);
        datagram.extend(told(message::NEW, 0, 17));
        datagram.extend(told(message::DELETE, 0, 6));
        // One without ports is passed over.
        datagram.extend(told(message::DELETE, 0, 1));
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
        assert!(parse(&sent(NLMSG_DONE, 2, &[0; 4])).done);
        assert_eq!(parse(&sent(NLMSG_ERROR, 0, &(-1i32).to_ne_bytes())).error, Some(1));
        assert_eq!(parse(&sent(NLMSG_ERROR, 0, &[0; 4])), Datagram::default());
        assert_eq!(parse(&dump_request()), Datagram::default());
    }

    #[test]
    fn what_is_cut_is_counted() {
        let whole = told(message::NEW, 0, 6);
        let got = parse(&[&whole[..], &whole[..whole.len() - 4]].concat());
        assert_eq!((got.entries.len(), got.undecodable), (1, 1));
        assert_eq!(parse(&[1, 0, 0, 0]).undecodable, 1);
        assert_eq!(parse(&[1]).undecodable, 1);
        assert_eq!(parse(&[]), Datagram::default());
        // A message that is whole, its attributes are not.
        assert_eq!(parse(&sent(message::NEW, 0, &[2, 0, 0, 0, 9])).undecodable, 1);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(damage in proptest::collection::vec((0usize..200, any::<u8>()), 0..8), cut in 0usize..200) {
            let mut datagram = told(message::NEW, NLM_F_CREATE, 6);
            for (at, byte) in damage {
                let at = at % datagram.len();
                datagram[at] = byte;
            }
            datagram.truncate(cut.max(4));
            parse(&datagram);
        }
    }
}
