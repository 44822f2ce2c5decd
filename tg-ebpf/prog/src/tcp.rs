//! Resets, states and drops, by BTF tracepoints. Changes when one of these programs does.

use crate::{fields, filter, read, record, sieve};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use tg_ebpf_common::{Dropped, HAD_SOCKET, HAS_REASON, Reset, State, kind, program};

/// `include/trace/events/tcp.h`: tcp_send_reset(sk, skb, reason). The packet is the one that is answered by
/// the reset; it is null where the socket itself gives up (tcp_send_active_reset), and the socket is where
/// nobody listens. The reason came with 6.10.
#[btf_tracepoint(function = "tcp_send_reset")]
pub fn send_reset(ctx: BtfTracePointContext) -> i32 {
    let (sk, skb): (read::Kernel, read::Kernel) = (ctx.arg(0), ctx.arg(1));
    let mut head = record::head(kind::RESET_SENT);
    let mut reason = 0;
    if fields::HAS_RESET_REASON.load() != 0 {
        reason = ctx.arg::<i32>(2) as u32;
        head.flags |= HAS_REASON;
    }
    if !sk.is_null() {
        head.flags |= HAD_SOCKET;
        read::socket_namespace(&mut head, sk);
    }
    // The packet's headers first: the socket may be a listener, or a time-wait one, which lacks fields.
    let ends = if !skb.is_null() {
        if head.netns_inode == 0 {
            read::packet_namespace(&mut head, skb);
        }
        read::packet(skb).map(read::reversed)
    } else if !sk.is_null() {
        read::socket(sk)
    } else {
        None
    };
    if let Some(ends) = ends
        && filter::ends(&ends)
        && filter::namespace(head.netns_inode)
    {
        record::emit(program::SEND_RESET, &Reset { head, ends, reason, pad: 0 });
    }
    0
}

/// tcp_receive_reset(sk): a reset that a socket accepted.
#[btf_tracepoint(function = "tcp_receive_reset")]
pub fn receive_reset(ctx: BtfTracePointContext) -> i32 {
    let sk: read::Kernel = ctx.arg(0);
    let mut head = record::head(kind::RESET_RECEIVED);
    head.flags = HAD_SOCKET;
    read::socket_namespace(&mut head, sk);
    if let Some(ends) = read::socket(sk).map(read::reversed)
        && filter::ends(&ends)
        && filter::namespace(head.netns_inode)
    {
        record::emit(program::RECEIVE_RESET, &Reset { head, ends, reason: 0, pad: 0 });
    }
    0
}

/// `include/trace/events/sock.h`: inet_sock_set_state(sk, oldstate, newstate).
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn set_state(ctx: BtfTracePointContext) -> i32 {
    let sk: read::Kernel = ctx.arg(0);
    let (from, to): (i32, i32) = (ctx.arg(1), ctx.arg(2));
    // Other protocols use the states, too.
    if read::field::<u16>(sk, fields::SOCK_PROTOCOL.load()) != read::TCP as u16 || !sieve::socket(sk) {
        return 0;
    }
    let mut head = record::head(kind::STATE);
    head.flags = HAD_SOCKET;
    read::socket_namespace(&mut head, sk);
    if let Some(ends) = read::socket(sk)
        && filter::ends(&ends)
        && filter::namespace(head.netns_inode)
    {
        record::emit(program::STATE, &State { head, ends, from: from as u8, to: to as u8, pad: [0; 6] });
    }
    0
}

/// `include/trace/events/skb.h`: kfree_skb(skb, location, reason). The reason came with 5.17.
#[btf_tracepoint(function = "kfree_skb")]
pub fn drop(ctx: BtfTracePointContext) -> i32 {
    let skb: read::Kernel = ctx.arg(0);
    if !sieve::packet(skb) {
        return 0;
    }
    let Some(ends) = read::packet(skb) else { return 0 };
    if !filter::ends(&ends) {
        return 0;
    }
    let mut head = record::head(kind::DROPPED);
    let mut reason = 0;
    if fields::HAS_DROP_REASON.load() != 0 {
        reason = ctx.arg::<i32>(2) as u32;
        head.flags |= HAS_REASON;
    }
    read::packet_namespace(&mut head, skb);
    if filter::namespace(head.netns_inode) {
        record::emit(program::DROP, &Dropped { head, ends, reason, pad: 0 });
    }
    0
}
