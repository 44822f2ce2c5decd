//! Offsets of the kernel's fields, in bytes, which the loader reads from the running kernel's BTF and freezes
//! before it loads the programs. Changes when a program needs another field.
//!
//! A program whose fields are not all there is not loaded: nothing here has to check for that.

use aya_ebpf::Global;

macro_rules! constants {
    ($($(#[$doc:meta])* $name:ident,)+) => { $($(#[$doc])* #[unsafe(no_mangle)] pub static $name: Global<u32> = Global::new(0);)+ };
}

constants! {
    SOCK_FAMILY, SOCK_PROTOCOL, SOCK_DADDR, SOCK_RCV_SADDR, SOCK_DPORT, SOCK_NUM, SOCK_NET, SOCK_V6_DADDR,
    SOCK_V6_RCV_SADDR, INET_SPORT, NET_INUM, NET_COOKIE, SKB_HEAD, SKB_NETWORK_HEADER, SKB_TRANSPORT_HEADER,
    SKB_DEV, SKB_SK, DEV_NET,
    // Not offsets: 1 where the tracepoint has the argument. To read one that is not there is a verifier's error;
    // a branch that a frozen constant rules out is not looked at.
    HAS_RESET_REASON, HAS_DROP_REASON,
}
