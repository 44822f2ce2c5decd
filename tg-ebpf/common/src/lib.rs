//! What the programs in the kernel and their reader agree on: records, keys and values of maps. Both sides
//! compile this file; the layouts are asserted below, so also on both sides.
//!
//! Padding is explicit. Addresses are IPv6's, IPv4's mapped into them. Ports and numbers are in the machine's
//! byte order.

#![no_std]
#![deny(unsafe_code)]

use core::mem::{offset_of, size_of};

macro_rules! shared {
    ($(#[$doc:meta])* pub struct $name:ident { $($(#[$fdoc:meta])* pub $field:ident: $type:ty,)+ }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(
            feature = "bytes",
            derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable)
        )]
        pub struct $name { $($(#[$fdoc])* pub $field: $type,)+ }
    };
}

mod ipvs;

pub use ipvs::{
    CANDIDATES_MAX, Connection, Decision, Destination, DestinationChange, IpvsFields, SCHEDULER_NAME, Service,
};

/// `Head::kind`: what a record is.
pub mod kind {
    /// [`super::Reset`].
    pub const RESET_SENT: u16 = 1;
    /// [`super::Reset`].
    pub const RESET_RECEIVED: u16 = 2;
    /// [`super::State`].
    pub const STATE: u16 = 3;
    /// [`super::Entry`]: a SYN left by it.
    pub const CONNTRACK_SEEN: u16 = 4;
    /// [`super::Dropped`].
    pub const DROPPED: u16 = 5;
    /// [`super::Entry`]: it was confirmed.
    pub const CONNTRACK_CONFIRMED: u16 = 6;
    /// [`super::Entry`]: it is being destroyed.
    pub const CONNTRACK_DESTROYED: u16 = 7;
    /// [`super::Decision`], and its candidates after it.
    pub const IPVS_DECISION: u16 = 8;
    /// [`super::Connection`].
    pub const IPVS_CONN_MADE: u16 = 9;
    /// [`super::Connection`].
    pub const IPVS_CONN_EXPIRED: u16 = 10;
    /// [`super::DestinationChange`].
    pub const IPVS_DEST_ADDED: u16 = 11;
    /// [`super::DestinationChange`].
    pub const IPVS_DEST_EDITED: u16 = 12;
    /// [`super::DestinationChange`].
    pub const IPVS_DEST_DELETED: u16 = 13;
}

/// Index of a program in the map `STATS`.
pub mod program {
    /// `tcp_send_reset`.
    pub const SEND_RESET: u32 = 0;
    /// `tcp_receive_reset`.
    pub const RECEIVE_RESET: u32 = 1;
    /// `inet_sock_set_state`.
    pub const STATE: u32 = 2;
    /// `net_dev_queue`.
    pub const BINDING: u32 = 3;
    /// `kfree_skb`.
    pub const DROP: u32 = 4;
    /// tcx and XDP.
    pub const SEGMENTS: u32 = 5;
    /// Conntrack's entries, confirmed and destroyed.
    pub const CONNTRACK: u32 = 6;
    /// Decisions of IPVS.
    pub const IPVS_DECISION: u32 = 7;
    /// Connections of IPVS.
    pub const IPVS_CONN: u32 = 8;
    /// Destinations of IPVS.
    pub const IPVS_DEST: u32 = 9;
    /// How many there are.
    pub const COUNT: u32 = 10;
}

/// `Head::flags`: the kernel had a socket.
pub const HAD_SOCKET: u16 = 1;
/// `Head::flags`: the kernel gave a reason.
pub const HAS_REASON: u16 = 2;
/// `Head::flags`: the packet told who its client is.
pub const HAS_CLIENT: u16 = 4;
/// `Head::flags`: a destination was chosen.
pub const HAS_CHOSEN: u16 = 8;

/// Value in the map `WATCHED`: asked for.
pub const ASKED_FOR: u32 = 1;
/// Value in the map `WATCHED`: behind an address that was asked for.
pub const BACKEND: u32 = 2;

/// The map `SIEVE`, which tells what is surely not in `WATCHED`: looking there costs a tenth.
pub mod sieve {
    /// Entries, a power of two: each is 1 where something of that [`slot`] is watched.
    pub const SLOTS: u32 = 1 << 14;
    /// The entry after them: 1 where an address is watched on every port.
    pub const EVERY_PORT: u32 = SLOTS;

    /// An IPv4 address, mapped into IPv6.
    #[inline(always)]
    pub const fn mixed4(address: u32) -> u32 {
        mixed6([0, 0, u32::from_ne_bytes([0, 0, 0xff, 0xff]), address])
    }

    /// An address, in words as memory has them.
    #[inline(always)]
    pub const fn mixed6([a, b, c, d]: [u32; 4]) -> u32 {
        a ^ b ^ c ^ d
    }

    /// The entry of an address and a port.
    #[inline(always)]
    pub const fn entry([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]: [u8; 16], port: u16) -> u32 {
        let first = [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])];
        let last = [u32::from_ne_bytes([i, j, k, l]), u32::from_ne_bytes([m, n, o, p])];
        slot(mixed6([first[0], first[1], last[0], last[1]]), port)
    }

    /// As [`entry`], of a mixed address. Not a good hash, but a cheap one: a wrong guess only costs time.
    #[inline(always)]
    pub const fn slot(mixed: u32, port: u16) -> u32 {
        (mixed.wrapping_mul(0x9e37_79b1) ^ (port as u32).wrapping_mul(0x85eb_ca77)) >> (32 - SLOTS.ilog2())
    }
}

/// `Flow::direction`: into the interface's namespace.
pub const INTO: u8 = 0;
/// `Flow::direction`: out of it.
pub const OUT_OF: u8 = 1;

shared! {
    /// Each record begins with it.
    pub struct Head {
        /// CLOCK_MONOTONIC.
        pub at_ns: u64,
        /// Cookie of the namespace; 0 where it is not known.
        pub netns_cookie: u64,
        /// Inode of the namespace; 0 where it is not known.
        pub netns_inode: u32,
        /// One of [`kind`].
        pub kind: u16,
        /// [`HAD_SOCKET`], [`HAS_REASON`], [`HAS_CLIENT`], [`HAS_CHOSEN`].
        pub flags: u16,
    }
}

shared! {
    /// Two ends.
    pub struct Ends {
        /// Address.
        pub src: [u8; 16],
        /// Address.
        pub dst: [u8; 16],
        /// Port.
        pub src_port: u16,
        /// Port.
        pub dst_port: u16,
        /// IP protocol.
        pub protocol: u8,
        /// Zero.
        pub pad: [u8; 3],
    }
}

shared! {
    /// A reset, sent or received.
    pub struct Reset {
        /// Head.
        pub head: Head,
        /// The reset's own.
        pub ends: Ends,
        /// `enum sk_rst_reason`.
        pub reason: u32,
        /// Zero.
        pub pad: u32,
    }
}

shared! {
    /// A socket's state changed.
    pub struct State {
        /// Head.
        pub head: Head,
        /// The socket's own end is the source.
        pub ends: Ends,
        /// The state that it left.
        pub from: u8,
        /// The state that it entered.
        pub to: u8,
        /// Zero.
        pub pad: [u8; 6],
    }
}

shared! {
    /// A conntrack entry.
    pub struct Entry {
        /// Head.
        pub head: Head,
        /// As its first packet came.
        pub original: Ends,
        /// As an answer comes.
        pub reply: Ends,
        /// `nf_conn.status`.
        pub status: u32,
        /// `enum tcp_conntrack`; 255 where it could not be read.
        pub tcp_state: u8,
        /// Zero.
        pub pad: [u8; 3],
    }
}

shared! {
    /// Value of the map `CONNTRACK_FIELDS`: offsets in bytes of fields that conntrack has. They are in a map as the
    /// module may be loaded after the programs.
    pub struct ConntrackFields {
        /// `sk_buff._nfct`.
        pub skb_nfct: u32,
        /// `nf_conn.tuplehash[0].tuple`.
        pub original: u32,
        /// `nf_conn.tuplehash[1].tuple`.
        pub reply: u32,
        /// `nf_conn.ct_net`.
        pub net: u32,
        /// `nf_conn.status`.
        pub status: u32,
        /// `nf_conn.proto.tcp.state`.
        pub tcp_state: u32,
        /// `nf_conntrack_tuple`.
        pub tuple_src: u32,
        /// As above.
        pub tuple_sport: u32,
        /// As above.
        pub tuple_l3num: u32,
        /// As above.
        pub tuple_dst: u32,
        /// As above.
        pub tuple_dport: u32,
        /// As above.
        pub tuple_protocol: u32,
        /// 1: the others are known.
        pub known: u32,
    }
}

shared! {
    /// A packet was dropped.
    pub struct Dropped {
        /// Head.
        pub head: Head,
        /// The packet's.
        pub ends: Ends,
        /// `enum skb_drop_reason`.
        pub reason: u32,
        /// Zero.
        pub pad: u32,
    }
}

shared! {
    /// Key of the map `WATCHED`.
    pub struct Endpoint {
        /// Address.
        pub address: [u8; 16],
        /// Port; 0 is every port.
        pub port: u16,
        /// Zero.
        pub pad: u16,
    }
}

shared! {
    /// Key of the map `FLOWS`.
    pub struct Flow {
        /// The segments'.
        pub ends: Ends,
        /// Interface, in its namespace.
        pub ifindex: u32,
        /// [`INTO`] or [`OUT_OF`].
        pub direction: u8,
        /// Zero.
        pub pad: [u8; 3],
    }
}

shared! {
    /// Value of the map `FLOWS`.
    pub struct Counts {
        /// Segments with SYN.
        pub syn: u64,
        /// With FIN.
        pub fin: u64,
        /// With RST.
        pub rst: u64,
        /// When the latest passed, on CLOCK_MONOTONIC.
        pub last_ns: u64,
        /// Its TTL or hop limit.
        pub ttl: u64,
    }
}

shared! {
    /// Value of the map `STATS`, one a processor.
    pub struct Stats {
        /// Events recorded.
        pub events: u64,
        /// Events for which the ring buffer had no room.
        pub ring_full: u64,
        /// Events for which a table had no room.
        pub table_full: u64,
        /// Calls whose return the kernel did not tell of.
        pub missed: u64,
    }
}

const _: () = {
    assert!(size_of::<Head>() == 24 && offset_of!(Head, kind) == 20);
    assert!(size_of::<Ends>() == 40 && offset_of!(Ends, src_port) == 32 && offset_of!(Ends, protocol) == 36);
    assert!(size_of::<Reset>() == 72 && offset_of!(Reset, ends) == 24 && offset_of!(Reset, reason) == 64);
    assert!(size_of::<State>() == 72 && offset_of!(State, from) == 64);
    assert!(size_of::<Entry>() == 112 && offset_of!(Entry, reply) == 64 && offset_of!(Entry, status) == 104);
    assert!(size_of::<ConntrackFields>() == 13 * 4);
    assert!(size_of::<Dropped>() == 72 && offset_of!(Dropped, reason) == 64);
    assert!(size_of::<Endpoint>() == 20 && offset_of!(Endpoint, port) == 16);
    assert!(size_of::<Flow>() == 48 && offset_of!(Flow, ifindex) == 40 && offset_of!(Flow, direction) == 44);
    assert!(size_of::<Counts>() == 40 && offset_of!(Counts, ttl) == 32);
    assert!(size_of::<Stats>() == 32);
};
