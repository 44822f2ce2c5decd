//! A netlink message to conntrack entries. Pure and total: arbitrary bytes give counts of what could not be
//! read at worst. Changes when what is read of an entry does.

use netlink_packet_core::{NLM_F_CREATE, NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::conntrack::{
    ConntrackAttribute, ConntrackMessage, IPTuple, ProtoInfo, ProtoInfoTCP, ProtoTuple, Tuple as TuplePart,
};
use netlink_packet_netfilter::{NetfilterMessage, NetfilterMessageInner};
use std::net::SocketAddr;
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

/// `struct nlmsghdr`.
const HEADER: usize = 16;

/// Reads a datagram.
pub fn parse(datagram: &[u8]) -> Datagram {
    let mut out = Datagram::default();
    let mut rest = datagram;
    while let Some((length, _)) = rest.split_first_chunk::<4>() {
        let length = u32::from_ne_bytes(*length) as usize;
        if length < HEADER || length > rest.len() {
            out.undecodable += 1;
            break;
        }
        take(&rest[..length], &mut out);
        // Messages begin at multiples of four.
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    out
}

fn take(message: &[u8], out: &mut Datagram) {
    let Ok(message) = NetlinkMessage::<NetfilterMessage>::deserialize(message) else {
        out.undecodable += 1;
        return;
    };
    let created = message.header.flags & NLM_F_CREATE != 0;
    match message.payload {
        NetlinkPayload::Done(_) => out.done = true,
        NetlinkPayload::Error(e) => out.error = e.code.map(|code| code.get().saturating_abs()),
        NetlinkPayload::InnerMessage(NetfilterMessage { inner: NetfilterMessageInner::Conntrack(inner), .. }) => {
            let (phase, attributes) = match &inner {
                ConntrackMessage::New(a) if created => (ConntrackPhase::Confirmed, a),
                ConntrackMessage::New(a) => (ConntrackPhase::Seen, a),
                ConntrackMessage::Delete(a) => (ConntrackPhase::Destroyed, a),
                _ => return,
            };
            out.entries.extend(entry(phase, attributes));
        }
        _ => {}
    }
}

/// `None` where it is neither TCP nor UDP: other protocols have no ports.
fn entry(phase: ConntrackPhase, attributes: &[ConntrackAttribute]) -> Option<Conntrack> {
    let (mut original, mut reply, mut status, mut tcp_state) = (None, None, 0, None);
    for attribute in attributes {
        match attribute {
            ConntrackAttribute::CtaTupleOrig(parts) => original = tuple(parts),
            ConntrackAttribute::CtaTupleReply(parts) => reply = tuple(parts),
            ConntrackAttribute::CtaStatus(bits) => status = bits.bits(),
            ConntrackAttribute::CtaProtoInfo(infos) => tcp_state = infos.iter().find_map(state),
            _ => {}
        }
    }
    let ((protocol, original), (_, reply)) = (original?, reply?);
    let status = ConntrackStatus(status);
    Some(Conntrack { phase, netns: Netns::default(), protocol, original, reply, status, tcp_state })
}

fn state(info: &ProtoInfo) -> Option<ConntrackTcpState> {
    let ProtoInfo::TCP(infos) = info else { return None };
    infos.iter().find_map(|info| match info {
        ProtoInfoTCP::State(number) => ConntrackTcpState::from_kernel(*number),
        _ => None,
    })
}

fn tuple(parts: &[TuplePart]) -> Option<(u8, Tuple)> {
    let (mut src, mut dst, mut protocol, mut src_port, mut dst_port) = (None, None, None, None, None);
    for part in parts {
        match part {
            TuplePart::Ip(ips) => ips.iter().for_each(|ip| match ip {
                IPTuple::SourceAddress(a) => src = Some(*a),
                IPTuple::DestinationAddress(a) => dst = Some(*a),
                _ => {}
            }),
            TuplePart::Proto(protos) => protos.iter().for_each(|p| match p {
                ProtoTuple::Protocol(p) => protocol = Some(u8::from(*p)),
                ProtoTuple::SourcePort(p) => src_port = Some(*p),
                ProtoTuple::DestinationPort(p) => dst_port = Some(*p),
                _ => {}
            }),
            _ => {}
        }
    }
    let tuple = Tuple { src: SocketAddr::new(src?, src_port?), dst: SocketAddr::new(dst?, dst_port?) };
    protocol.filter(|p| [6, 17].contains(p)).map(|p| (p, tuple))
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_core::NetlinkHeader;
    use netlink_packet_netfilter::conntrack::{Protocol, Status};
    use netlink_packet_netfilter::{NetfilterHeader, NetfilterProtoFamily};
    use proptest::prelude::*;

    fn parts(src: &str, dst: &str, protocol: Protocol) -> Vec<TuplePart> {
        let (src, dst): (SocketAddr, SocketAddr) = (src.parse().unwrap(), dst.parse().unwrap());
        vec![
            TuplePart::Ip(vec![IPTuple::SourceAddress(src.ip()), IPTuple::DestinationAddress(dst.ip())]),
            TuplePart::Proto(vec![
                ProtoTuple::Protocol(protocol),
                ProtoTuple::SourcePort(src.port()),
                ProtoTuple::DestinationPort(dst.port()),
            ]),
        ]
    }

    fn attributes(protocol: Protocol) -> Vec<ConntrackAttribute> {
        vec![
            ConntrackAttribute::CtaTupleOrig(parts("198.51.100.1:4711", "192.0.2.1:80", protocol)),
            ConntrackAttribute::CtaTupleReply(parts("10.0.0.2:8080", "198.51.100.1:4711", protocol)),
            ConntrackAttribute::CtaStatus(Status::DstNat),
            ConntrackAttribute::CtaProtoInfo(vec![ProtoInfo::TCP(vec![ProtoInfoTCP::State(3)])]),
        ]
    }

    fn bytes(flags: u16, message: ConntrackMessage) -> Vec<u8> {
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        let inner = NetfilterMessage::new(NetfilterHeader::new(NetfilterProtoFamily::IPv4, 0, 0), message);
        let mut packet = NetlinkMessage::new(header, NetlinkPayload::from(inner));
        packet.finalize();
        let mut out = vec![0; packet.buffer_len()];
        packet.serialize(&mut out);
        out
    }

    #[test]
    fn an_entry_made_one_read_and_one_destroyed() {
        let mut datagram = bytes(NLM_F_CREATE, ConntrackMessage::New(attributes(Protocol::Tcp)));
        datagram.extend(bytes(0, ConntrackMessage::New(attributes(Protocol::Udp))));
        datagram.extend(bytes(0, ConntrackMessage::Delete(attributes(Protocol::Tcp))));
        // One without ports is passed over.
        datagram.extend(bytes(0, ConntrackMessage::Delete(attributes(Protocol::Icmp))));
        let got = parse(&datagram);
        let phases: Vec<_> = got.entries.iter().map(|e| (e.phase, e.protocol)).collect();
        let want = [(ConntrackPhase::Confirmed, 6), (ConntrackPhase::Seen, 17), (ConntrackPhase::Destroyed, 6)];
        assert_eq!(phases, want);
        assert_eq!((got.undecodable, got.done, got.error), (0, false, None));
        let entry = &got.entries[0];
        assert_eq!(entry.original.to_string(), "198.51.100.1:4711 > 192.0.2.1:80");
        assert_eq!(entry.reply.to_string(), "10.0.0.2:8080 > 198.51.100.1:4711");
        assert!(entry.status.destination_nat());
        assert_eq!(entry.tcp_state, Some(ConntrackTcpState::Established));
    }

    #[test]
    fn what_is_cut_is_counted() {
        let whole = bytes(0, ConntrackMessage::New(attributes(Protocol::Tcp)));
        let got = parse(&[&whole[..], &whole[..whole.len() - 4]].concat());
        assert_eq!((got.entries.len(), got.undecodable), (1, 1));
        assert_eq!(parse(&[1, 0, 0, 0]).undecodable, 1);
        assert_eq!(parse(&[]), Datagram::default());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(damage in proptest::collection::vec((0usize..200, any::<u8>()), 0..8), cut in 0usize..200) {
            let mut datagram = bytes(NLM_F_CREATE, ConntrackMessage::New(attributes(Protocol::Tcp)));
            for (at, byte) in damage {
                let at = at % datagram.len();
                datagram[at] = byte;
            }
            datagram.truncate(cut.max(4));
            parse(&datagram);
        }
    }
}
