//! SYN, FIN and RST on an interface, counted per flow: tcx both ways, XDP. Changes when what is counted does.

use crate::{filter, read, record, track};
use aya_ebpf::bindings::{tcx_action_base::TCX_NEXT, xdp_action::XDP_PASS};
use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::{classifier, map, xdp};
use aya_ebpf::maps::HashMap;
use aya_ebpf::programs::{TcContext, XdpContext};
use core::intrinsics::{AtomicOrdering::Relaxed, atomic_xadd};
use tg_ebpf_common::{Counts, Ends, Flow, INTO, OUT_OF, program};

#[map]
static FLOWS: HashMap<Flow, Counts> = HashMap::with_max_entries(65536, 0);

/// Ethernet's header (`include/uapi/linux/if_ether.h`).
const ETHERNET: usize = 14;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;

struct Segment {
    ends: Ends,
    flags: u8,
    ttl: u8,
}

/// Bytes of a packet, wherever they are.
trait Packet {
    fn bytes<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;
}

impl Packet for TcContext {
    #[inline(always)]
    fn bytes<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.load(offset).ok()
    }
}

impl Packet for XdpContext {
    #[inline(always)]
    fn bytes<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let at = self.data() + offset;
        if at + N > self.data_end() {
            return None;
        }
        // SAFETY: from `at` on there are N bytes of the packet, as was checked; bytes have no alignment.
        Some(unsafe { *(at as *const [u8; N]) })
    }
}

#[inline(always)]
fn parse(packet: &impl Packet) -> Option<Segment> {
    let mut ends = read::NO_ENDS;
    ends.protocol = read::TCP;
    let (ttl, tcp);
    match u16::from_be_bytes(packet.bytes(12)?) {
        IPV4 => {
            let ip: [u8; 20] = packet.bytes(ETHERNET)?;
            // Not TCP, or not the first fragment.
            if ip[9] != read::TCP || (ip[6] & 0x1f) | ip[7] != 0 {
                return None;
            }
            ends.src = read::mapped([ip[12], ip[13], ip[14], ip[15]]);
            ends.dst = read::mapped([ip[16], ip[17], ip[18], ip[19]]);
            ttl = ip[8];
            tcp = ETHERNET + (((ip[0] & 15) as usize) << 2);
        }
        IPV6 => {
            let ip: [u8; 8] = packet.bytes(ETHERNET)?;
            if ip[6] != read::TCP {
                return None;
            }
            ends.src = packet.bytes(ETHERNET + 8)?;
            ends.dst = packet.bytes(ETHERNET + 24)?;
            ttl = ip[7];
            tcp = ETHERNET + 40;
        }
        _ => return None,
    }
    let head: [u8; 14] = packet.bytes(tcp)?;
    ends.src_port = u16::from_be_bytes([head[0], head[1]]);
    ends.dst_port = u16::from_be_bytes([head[2], head[3]]);
    Some(Segment { ends, flags: head[13], ttl })
}

#[inline(always)]
fn count(packet: &impl Packet, ifindex: u32, direction: u8) {
    let Some(segment) = parse(packet) else { return };
    if segment.flags & (FIN | SYN | RST) == 0 || !filter::ends(&segment.ends) {
        return;
    }
    let key = Flow { ends: segment.ends, ifindex, direction, pad: [0; 3] };
    if FLOWS.get_ptr_mut(&key).is_none() {
        const BPF_NOEXIST: u64 = 1;
        let none = Counts { syn: 0, fin: 0, rst: 0, last_ns: 0, ttl: 0 };
        // Another processor may have been faster: then it is there.
        let _ = FLOWS.insert(&key, &none, BPF_NOEXIST);
    }
    let Some(counts) = FLOWS.get_ptr_mut(&key) else {
        record::count(program::SEGMENTS, |s| s.table_full += 1);
        return;
    };
    for (flag, field) in [
        // SAFETY: `counts` is the map's memory, valid until the program ends; only its address is taken.
        (SYN, unsafe { &raw mut (*counts).syn }),
        // SAFETY: as above.
        (FIN, unsafe { &raw mut (*counts).fin }),
        // SAFETY: as above.
        (RST, unsafe { &raw mut (*counts).rst }),
    ] {
        if segment.flags & flag != 0 {
            // SAFETY: the field is an aligned u64 of the map that programs only change atomically.
            unsafe { atomic_xadd::<u64, u64, { Relaxed }>(field, 1) };
        }
    }
    // SAFETY: as above; of two processors at once either is the latest. The helper has no arguments.
    unsafe {
        (*counts).last_ns = bpf_ktime_get_ns();
        (*counts).ttl = segment.ttl as u64;
    }
    record::count(program::SEGMENTS, |s| s.events += 1);
}

#[classifier]
pub fn tcx_in(ctx: TcContext) -> i32 {
    // SAFETY: the context is valid while the program runs.
    count(&ctx, unsafe { (*ctx.skb.skb).ifindex }, INTO);
    TCX_NEXT
}

#[classifier]
pub fn tcx_out(ctx: TcContext) -> i32 {
    // The context is the packet itself (`struct __sk_buff` is only how the verifier shows it). NAT is done by
    // now: a new backend joins the filter before its first packet is counted.
    track::join(ctx.skb.skb as read::Kernel);
    // SAFETY: as above.
    count(&ctx, unsafe { (*ctx.skb.skb).ifindex }, OUT_OF);
    TCX_NEXT
}

#[xdp]
pub fn xdp_in(ctx: XdpContext) -> u32 {
    count(&ctx, ctx.ingress_ifindex() as u32, INTO);
    XDP_PASS
}
