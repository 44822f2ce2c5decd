//! Which pod a connection to a service was bound to, seen as its SYN leaves the host. Changes when how that
//! is seen does.

use crate::conntrack::{self, entry_of, fields};
use crate::{fields as f, filter, read, record};
use aya_ebpf::macros::{btf_tracepoint, map};
use aya_ebpf::maps::PerCpuArray;
use aya_ebpf::programs::BtfTracePointContext;
use tg_ebpf_common::{BACKEND, Endpoint, Entry, kind, program};

/// Too large for the stack: one for each caller of [`bound`]. Its padding is never written.
#[map]
static SCRATCH: PerCpuArray<Entry> = PerCpuArray::with_max_entries(2, 0);

const SYN: u8 = 2;
const ACK: u8 = 16;

/// `include/trace/events/net.h`: net_dev_queue(skb), for each packet that leaves by a device, loopback too.
/// By then NAT is done: the backend joins the filter before it sees the packet.
#[btf_tracepoint(function = "net_dev_queue")]
pub fn binding(ctx: BtfTracePointContext) -> i32 {
    let _ = bind(ctx.arg(0));
    0
}

/// As [`binding`], but it only joins the filter: a filter on an interface sees the packet before that.
#[inline(always)]
pub fn join(skb: read::Kernel) {
    let _ = bound(skb, 1);
}

#[inline(always)]
fn bind(skb: read::Kernel) -> Option<()> {
    let (entry, ct) = bound(skb, 0)?;
    conntrack::rest(fields()?, kind::CONNTRACK_SEEN, ct, entry)?;
    // Not by namespace: the balancer is in another than the pods that were asked for.
    record::emit(program::BINDING, entry);
    Some(())
}

/// The tuples of a watched service's connection whose SYN this packet is, and its conntrack entry. The backend
/// joins the filter.
#[inline(always)]
fn bound(skb: read::Kernel, scratch: u32) -> Option<(&'static mut Entry, read::Kernel)> {
    let known = fields()?;
    let ct = entry_of(known, skb)?;
    let first = ct.wrapping_add(known.original as usize);
    if read::at::<u8>(first, known.tuple_protocol)? != read::TCP {
        return None;
    }
    let transport = read::at::<u16>(skb, f::SKB_TRANSPORT_HEADER.load())?;
    let flags: u8 = read::at(read::pointer(skb, f::SKB_HEAD.load())?.wrapping_add(transport as usize), 13)?;
    if flags & (SYN | ACK) != SYN {
        return None;
    }
    let entry = SCRATCH.get_ptr_mut(scratch)?;
    // SAFETY: one for each processor and caller. The kernel does not start the tracing program on a processor
    // where it runs, and runs a filter for what leaves with softirqs off: nobody else has it.
    let entry = unsafe { &mut *entry };
    conntrack::tuple(known, first, &mut entry.original)?;
    if filter::endpoint(entry.original.dst, entry.original.dst_port).is_none() {
        return None;
    }
    conntrack::tuple(known, ct.wrapping_add(known.reply as usize), &mut entry.reply)?;
    let backend = Endpoint { address: entry.reply.src, port: entry.reply.src_port, pad: 0 };
    if filter::endpoint(backend.address, backend.port).is_none()
        && filter::WATCHED.insert(&backend, &BACKEND, 0).is_err()
    {
        record::count(program::BINDING, |s| s.table_full += 1);
    }
    Some((entry, ct))
}
