//! Reading the kernel's structs: sockets, packets, namespaces. Changes when what is read of them does.

use crate::fields as f;
use aya_ebpf::helpers::bpf_probe_read_kernel;
use tg_ebpf_common::{Ends, Head};

/// `include/linux/socket.h`.
pub const AF_INET: u16 = 2;
/// `include/linux/socket.h`.
const AF_INET6: u16 = 10;
/// Inodes of namespaces begin here: those of the first namespaces (`include/uapi/linux/nsfs.h`) lie just below
/// the others' (PROC_DYNAMIC_FIRST, `fs/proc/generic.c`).
const FIRST_INODE: u32 = 0xEFFF_FFF0;
/// `include/uapi/linux/in.h`.
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;

pub const NO_ENDS: Ends = Ends { src: [0; 16], dst: [0; 16], src_port: 0, dst_port: 0, protocol: 0, pad: [0; 3] };

/// Something of the kernel's, by its address.
pub type Kernel = *const u8;

/// Reads a value at an offset of something; `None` where there is no such memory.
#[inline(always)]
pub fn at<T: Copy>(base: Kernel, offset: u32) -> Option<T> {
    // SAFETY: the helper checks the address, and fails rather than faults. `T` is an integer, an array of
    // bytes or a pointer that is only used by this function: any bits are a value of it.
    unsafe { bpf_probe_read_kernel(base.wrapping_add(offset as usize).cast::<T>()) }.ok()
}

/// As [`at`], of a pointer that may be null.
#[inline(always)]
pub fn pointer(base: Kernel, offset: u32) -> Option<Kernel> {
    at::<Kernel>(base, offset).filter(|p| !p.is_null())
}

/// An IPv4 address as an IPv6 one.
#[inline(always)]
pub fn mapped(v4: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, v4[0], v4[1], v4[2], v4[3]]
}

/// A socket's ends, its own the source.
#[inline(always)]
pub fn socket(sk: Kernel) -> Option<Ends> {
    let mut ends = NO_ENDS;
    if at::<u16>(sk, f::SOCK_FAMILY.load())? == AF_INET6 {
        ends.src = at(sk, f::SOCK_V6_RCV_SADDR.load())?;
        ends.dst = at(sk, f::SOCK_V6_DADDR.load())?;
    } else {
        ends.src = mapped(at(sk, f::SOCK_RCV_SADDR.load())?);
        ends.dst = mapped(at(sk, f::SOCK_DADDR.load())?);
    }
    ends.src_port = at(sk, f::SOCK_NUM.load())?;
    if ends.src_port == 0 {
        // inet_put_port() (net/ipv4/inet_hashtables.c) has cleared skc_num of an aborted socket by now.
        ends.src_port = u16::from_be(at(sk, f::INET_SPORT.load())?);
    }
    ends.dst_port = u16::from_be(at(sk, f::SOCK_DPORT.load())?);
    ends.protocol = TCP;
    Some(ends)
}

/// Fills in a socket's namespace.
#[inline(always)]
pub fn socket_namespace(head: &mut Head, sk: Kernel) {
    if let Some(net) = pointer(sk, f::SOCK_NET.load()) {
        namespace(head, net);
    }
}

/// Fills in a packet's namespace: its device's, or its socket's.
#[inline(always)]
pub fn packet_namespace(head: &mut Head, skb: Kernel) {
    // The device shares its place with other fields while the packet is queued at a socket
    // (include/linux/skbuff.h): what is read by then is no namespace, which `namespace` notices.
    if let Some(net) = pointer(skb, f::SKB_DEV.load()).and_then(|dev| pointer(dev, f::DEV_NET.load())) {
        namespace(head, net);
    }
    if head.netns_inode == 0
        && let Some(sk) = pointer(skb, f::SKB_SK.load())
    {
        socket_namespace(head, sk);
    }
}

/// Fills in a namespace.
#[inline(always)]
pub fn namespace(head: &mut Head, net: Kernel) {
    let inode = at(net, f::NET_INUM.load()).unwrap_or(0);
    if inode >= FIRST_INODE {
        head.netns_inode = inode;
        head.netns_cookie = at(net, f::NET_COOKIE.load()).unwrap_or(0);
    }
}

/// A packet's ends by its headers: TCP or UDP right after IP's, extension headers are not followed.
#[inline(always)]
pub fn packet(skb: Kernel) -> Option<Ends> {
    let head = pointer(skb, f::SKB_HEAD.load())?;
    let ip = head.wrapping_add(at::<u16>(skb, f::SKB_NETWORK_HEADER.load())? as usize);
    let first: u8 = at(ip, 0)?;
    let mut ends = NO_ENDS;
    let length;
    match first >> 4 {
        4 => {
            ends.src = mapped(at(ip, 12)?);
            ends.dst = mapped(at(ip, 16)?);
            ends.protocol = at(ip, 9)?;
            length = ((first & 15) as u32) << 2;
            if u16::from_be(at(ip, 6)?) & 0x1fff != 0 {
                return None;
            }
        }
        6 => {
            ends.src = at(ip, 8)?;
            ends.dst = at(ip, 24)?;
            ends.protocol = at(ip, 6)?;
            length = 40;
        }
        _ => return None,
    }
    if ends.protocol != TCP && ends.protocol != UDP {
        return None;
    }
    ends.src_port = u16::from_be(at(ip, length)?);
    ends.dst_port = u16::from_be(at(ip, length + 2)?);
    Some(ends)
}

/// The way back.
#[inline(always)]
pub fn reversed(ends: Ends) -> Ends {
    Ends { src: ends.dst, dst: ends.src, src_port: ends.dst_port, dst_port: ends.src_port, ..ends }
}
