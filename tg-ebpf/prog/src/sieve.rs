//! What is surely not watched, told from few words and without a look into `WATCHED`: most of what passes on a
//! host is nobody's, and must cost next to nothing. Changes when what is sieved does.

use crate::fields as f;
use crate::read::{self, Kernel};
use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use tg_ebpf_common::sieve;

#[map]
static SIEVE: Array<u32> = Array::with_max_entries(sieve::SLOTS + 1, 0);

/// Two ends, as [`sieve`] mixes them.
struct Mixed {
    src: u32,
    dst: u32,
    src_port: u16,
    dst_port: u16,
}

/// A socket that a BTF tracepoint was given may be watched.
#[inline(always)]
pub fn socket(sk: Kernel) -> bool {
    let (src, dst) = if read::field::<u16>(sk, f::SOCK_FAMILY.load()) == read::AF_INET6 {
        (mixed6(sk, f::SOCK_V6_RCV_SADDR.load()), mixed6(sk, f::SOCK_V6_DADDR.load()))
    } else {
        let address = |offset| sieve::mixed4(read::field(sk, offset));
        (address(f::SOCK_RCV_SADDR.load()), address(f::SOCK_DADDR.load()))
    };
    let mut src_port = read::field(sk, f::SOCK_NUM.load());
    if src_port == 0 {
        // As in `read::socket`. The argument's type is a `sock`, which has no such field.
        src_port = u16::from_be(read::at(sk, f::INET_SPORT.load()).unwrap_or(0));
    }
    perhaps(&Mixed { src, dst, src_port, dst_port: u16::from_be(read::field(sk, f::SOCK_DPORT.load())) })
}

#[inline(always)]
fn mixed6(of: Kernel, offset: u32) -> u32 {
    sieve::mixed6([0, 4, 8, 12].map(|word| read::field(of, offset + word)))
}

/// A packet that a BTF tracepoint was given may be watched.
#[inline(always)]
pub fn packet(skb: Kernel) -> bool {
    let head: Kernel = read::field(skb, f::SKB_HEAD.load());
    let ip = head.wrapping_add(read::field::<u16>(skb, f::SKB_NETWORK_HEADER.load()) as usize);
    // IPv6's header and the ports, or IPv4's. What lies behind a shorter packet is its buffer's memory, too.
    let Some(words) = read::at::<[u32; 11]>(ip, 0) else { return true };
    let (src, dst, ports) = match words[0].to_ne_bytes()[0] {
        0x45 => (sieve::mixed4(words[3]), sieve::mixed4(words[4]), words[5]),
        first if first >> 4 == 6 => {
            let address = |at: usize| sieve::mixed6([words[at], words[at + 1], words[at + 2], words[at + 3]]);
            (address(2), address(6), words[10])
        }
        // IPv4 with options is left to who looks closer.
        first => return first >> 4 == 4,
    };
    let [a, b, c, d] = ports.to_ne_bytes();
    perhaps(&Mixed { src, dst, src_port: u16::from_be_bytes([a, b]), dst_port: u16::from_be_bytes([c, d]) })
}

#[inline(always)]
fn perhaps(ends: &Mixed) -> bool {
    let has = |entry| SIEVE.get(entry).is_some_and(|watched| *watched != 0);
    has(sieve::slot(ends.src, ends.src_port))
        || has(sieve::slot(ends.dst, ends.dst_port))
        || has(sieve::EVERY_PORT) && (has(sieve::slot(ends.src, 0)) || has(sieve::slot(ends.dst, 0)))
}

/// An address and port is watched from here on.
#[inline(always)]
pub fn add(address: [u8; 16], port: u16) {
    if let Some(entry) = SIEVE.get_ptr_mut(sieve::entry(address, port)) {
        // SAFETY: an aligned integer of the map, which is only ever set to 1.
        unsafe { *entry = 1 };
    }
}
