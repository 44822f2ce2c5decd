//! A record of the ring buffer to an event. Pure and total: arbitrary bytes give an error at worst. Changes
//! when a record does.

mod ipvs;

use crate::name;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use tg_ebpf_common::{self as common, Ends, Head, kind};
use tg_model::node_event::{
    Conntrack, ConntrackPhase, ConntrackStatus, ConntrackTcpState, Direction, Drop, Flow, Netns, NodeEvent, Reset,
    Segments, StateChange, TcpState, Tuple,
};
use zerocopy::FromBytes;

/// The running kernel's names of its numbers, without their prefixes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelNames {
    /// `enum sk_rst_reason`.
    pub resets: BTreeMap<u32, String>,
    /// `enum skb_drop_reason`.
    pub drops: BTreeMap<u32, String>,
}

/// An event as the kernel's side recorded it. Namespaces have no name yet, and NAT is not undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// CLOCK_MONOTONIC.
    pub at_ns: u64,
    /// The program, one of [`name`].
    pub program: &'static str,
    /// What.
    pub event: NodeEvent,
}

/// Bytes that are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No record is so short.
    #[error("a record of {0} bytes is too short")]
    Short(usize),
    /// A kind that this version does not know.
    #[error("records of kind {0} are not known")]
    Kind(u16),
    /// A record of this kind has another size.
    #[error("a record of kind {kind} with {size} bytes")]
    Size {
        /// The kind.
        kind: u16,
        /// The size.
        size: usize,
    },
    /// A state that this version does not know.
    #[error("a TCP state {0}, which is not known")]
    State(u8),
}

/// Reads a record.
pub fn decode(record: &[u8], names: &KernelNames) -> Result<Decoded, DecodeError> {
    let (head, _) = Head::read_from_prefix(record).map_err(|_| DecodeError::Short(record.len()))?;
    let (program, event) = match head.kind {
        kind::RESET_SENT => (name::SEND_RESET, NodeEvent::ResetSent(reset(whole(&head, record)?, names))),
        kind::RESET_RECEIVED => (name::RECEIVE_RESET, NodeEvent::ResetReceived(reset(whole(&head, record)?, names))),
        kind::STATE => (name::TCP_STATE, NodeEvent::TcpState(state(&whole(&head, record)?)?)),
        kind::CONNTRACK_SEEN => conntrack(name::BINDING, ConntrackPhase::Seen, &whole(&head, record)?),
        kind::CONNTRACK_CONFIRMED => conntrack(name::CONNTRACK, ConntrackPhase::Confirmed, &whole(&head, record)?),
        kind::CONNTRACK_DESTROYED => conntrack(name::CONNTRACK, ConntrackPhase::Destroyed, &whole(&head, record)?),
        kind::IPVS_DECISION => (name::IPVS_DECISION, NodeEvent::IpvsDecision(ipvs::decision(&head, record)?)),
        kind::IPVS_CONN_MADE | kind::IPVS_CONN_EXPIRED => {
            (name::IPVS_CONN, NodeEvent::IpvsConn(ipvs::conn(&whole(&head, record)?)))
        }
        kind::IPVS_DEST_ADDED | kind::IPVS_DEST_EDITED | kind::IPVS_DEST_DELETED => {
            (name::IPVS_DEST, NodeEvent::IpvsDest(ipvs::dest(&whole(&head, record)?)))
        }
        kind::DROPPED => (name::DROP, NodeEvent::Drop(dropped(whole(&head, record)?, names))),
        other => return Err(DecodeError::Kind(other)),
    };
    Ok(Decoded { at_ns: head.at_ns, program, event })
}

fn whole<T: FromBytes>(head: &Head, record: &[u8]) -> Result<T, DecodeError> {
    T::read_from_bytes(record).map_err(|_| DecodeError::Size { kind: head.kind, size: record.len() })
}

fn reset(r: common::Reset, names: &KernelNames) -> Reset {
    let has_reason = r.head.flags & common::HAS_REASON != 0;
    Reset {
        tuple: tuple(&r.ends),
        netns: netns(&r.head),
        reason: has_reason.then(|| named(&names.resets, r.reason)),
        socket: r.head.flags & common::HAD_SOCKET != 0,
        client: None,
    }
}

fn state(s: &common::State) -> Result<StateChange, DecodeError> {
    let known = |number| TcpState::from_kernel(number).ok_or(DecodeError::State(number));
    let (from, to) = (known(s.from)?, known(s.to)?);
    Ok(StateChange { tuple: tuple(&s.ends), netns: netns(&s.head), from, to, client: None })
}

fn conntrack(program: &'static str, phase: ConntrackPhase, e: &common::Entry) -> (&'static str, NodeEvent) {
    let entry = Conntrack {
        phase,
        netns: netns(&e.head),
        protocol: e.original.protocol,
        original: tuple(&e.original),
        reply: tuple(&e.reply),
        status: ConntrackStatus(e.status),
        tcp_state: ConntrackTcpState::from_kernel(e.tcp_state),
    };
    (program, NodeEvent::Conntrack(entry))
}

fn dropped(d: common::Dropped, names: &KernelNames) -> Drop {
    let has_reason = d.head.flags & common::HAS_REASON != 0;
    Drop {
        tuple: tuple(&d.ends),
        protocol: d.ends.protocol,
        netns: netns(&d.head),
        reason: if has_reason { named(&names.drops, d.reason) } else { "unknown".into() },
        client: None,
    }
}

/// The number itself where the kernel's BTF has no name for it.
fn named(names: &BTreeMap<u32, String>, number: u32) -> String {
    names.get(&number).cloned().unwrap_or_else(|| number.to_string())
}

fn netns(head: &Head) -> Netns {
    Netns { inode: head.netns_inode, cookie: head.netns_cookie, name: None }
}

/// An end as the programs write it. IPv4 addresses mapped into IPv6 are IPv4's.
pub fn address(address: [u8; 16], port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::from(address)).to_canonical(), port)
}

/// An end as the programs look for it in their filter.
pub fn endpoint(address: SocketAddr) -> common::Endpoint {
    let octets = match address.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    common::Endpoint { address: octets, port: address.port(), pad: 0 }
}

fn tuple(ends: &Ends) -> Tuple {
    Tuple { src: address(ends.src, ends.src_port), dst: address(ends.dst, ends.dst_port) }
}

/// What a flow's key and counts say; `interface` gives the interface's name and namespace, where it is known.
/// The time stays CLOCK_MONOTONIC's.
pub fn segments(
    flow: &common::Flow,
    counts: &common::Counts,
    interface: impl Fn(u32) -> Option<(String, Netns)>,
) -> Segments {
    let (interface, netns) = interface(flow.ifindex).unwrap_or_else(|| (flow.ifindex.to_string(), Netns::default()));
    let direction = if flow.direction == common::INTO { Direction::In } else { Direction::Out };
    Segments {
        flow: Flow { tuple: tuple(&flow.ends), direction, interface, netns },
        syn: counts.syn,
        fin: counts.fin,
        rst: counts.rst,
        ttl: u8::try_from(counts.ttl).unwrap_or(u8::MAX),
        last_ns: counts.last_ns,
        client: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zerocopy::IntoBytes;

    const HEAD: Head = Head { at_ns: 5, netns_cookie: 7, netns_inode: 4026532000, kind: 0, flags: 0 };

    fn ends() -> Ends {
        let (src, dst) = (endpoint("10.0.0.2:80".parse().unwrap()), endpoint("[2001:db8::1]:4711".parse().unwrap()));
        Ends { src: src.address, dst: dst.address, src_port: 80, dst_port: 4711, protocol: 6, pad: [0; 3] }
    }

    fn names() -> KernelNames {
        KernelNames { resets: [(2, "NO_SOCKET".into())].into(), drops: [(9, "NETFILTER_DROP".into())].into() }
    }

    #[test]
    fn a_reset_with_its_reason_and_one_without() {
        let head = Head { kind: kind::RESET_SENT, flags: common::HAS_REASON, ..HEAD };
        let record = common::Reset { head, ends: ends(), reason: 2, pad: 0 };
        let got = decode(record.as_bytes(), &names()).unwrap();
        let tuple = Tuple { src: "10.0.0.2:80".parse().unwrap(), dst: "[2001:db8::1]:4711".parse().unwrap() };
        let netns = Netns { inode: 4026532000, cookie: 7, name: None };
        let reset = Reset { tuple, netns, reason: Some("NO_SOCKET".into()), socket: false, client: None };
        let want = Decoded { at_ns: 5, program: "send-reset", event: NodeEvent::ResetSent(reset.clone()) };
        assert_eq!(got, want);

        let head = Head { kind: kind::RESET_RECEIVED, flags: common::HAD_SOCKET, ..HEAD };
        let got = decode(common::Reset { head, ..record }.as_bytes(), &names()).unwrap();
        assert_eq!(got.event, NodeEvent::ResetReceived(Reset { reason: None, socket: true, ..reset }));
    }

    #[test]
    fn a_number_without_a_name_is_shown_as_one() {
        let head = Head { kind: kind::DROPPED, flags: common::HAS_REASON, ..HEAD };
        for (reason, want) in [(9, "NETFILTER_DROP"), (77, "77")] {
            let record = common::Dropped { head, ends: ends(), reason, pad: 0 };
            let NodeEvent::Drop(drop) = decode(record.as_bytes(), &names()).unwrap().event else { panic!() };
            assert_eq!((&*drop.reason, drop.protocol), (want, 6));
        }
    }

    #[test]
    fn states_and_what_is_no_state() {
        let head = Head { kind: kind::STATE, ..HEAD };
        let record = common::State { head, ends: ends(), from: 1, to: 7, pad: [0; 6] };
        let NodeEvent::TcpState(change) = decode(record.as_bytes(), &names()).unwrap().event else { panic!() };
        assert_eq!((change.from, change.to), (TcpState::Established, TcpState::Close));
        let record = common::State { to: 99, ..record };
        assert_eq!(decode(record.as_bytes(), &names()), Err(DecodeError::State(99)));
    }

    #[test]
    fn both_tuples_of_a_conntrack_entry() {
        let head = Head { kind: kind::CONNTRACK_SEEN, ..HEAD };
        let reply = Ends { src_port: 8080, ..ends() };
        let record = common::Entry { head, original: ends(), reply, status: 1 << 5, tcp_state: 1, pad: [0; 3] };
        let NodeEvent::Conntrack(got) = decode(record.as_bytes(), &names()).unwrap().event else { panic!() };
        assert_eq!((got.original.src.port(), got.reply.src.port()), (80, 8080));
        assert!(got.status.destination_nat() && !got.status.source_nat());
        assert_eq!(got.tcp_state, Some(ConntrackTcpState::SynSent));
    }

    #[test]
    fn a_record_of_another_size_is_refused() {
        let head = Head { kind: kind::STATE, ..HEAD };
        let record = common::State { head, ends: ends(), from: 1, to: 7, pad: [0; 6] };
        let bytes = record.as_bytes();
        assert_eq!(decode(&bytes[..71], &names()), Err(DecodeError::Size { kind: kind::STATE, size: 71 }));
        assert_eq!(decode(&bytes[..20], &names()), Err(DecodeError::Short(20)));
        let unknown = common::State { head: Head { kind: 999, ..head }, ..record };
        assert_eq!(decode(unknown.as_bytes(), &names()), Err(DecodeError::Kind(999)));
    }

    #[test]
    fn an_end_is_looked_for_as_it_is_recorded() {
        for text in ["192.0.2.1:80", "[2001:db8::1]:0"] {
            let socket: SocketAddr = text.parse().unwrap();
            let key = endpoint(socket);
            assert_eq!(address(key.address, key.port), socket);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..240), kind in 0u16..16) {
            let mut bytes = bytes;
            if bytes.len() >= 22 {
                bytes[20..22].copy_from_slice(&kind.to_ne_bytes());
            }
            let _ = decode(&bytes, &names());
        }
    }
}
