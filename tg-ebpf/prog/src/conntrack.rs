//! Conntrack's entries: reading them, and their confirmation and end, by fentry and fexit or by kprobes. Changes
//! when what is recorded of them does.

use crate::call::{self, at_return};
use crate::{filter, read, record};
use aya_ebpf::macros::{fentry, fexit, kprobe, kretprobe, map};
use aya_ebpf::maps::{Array, HashMap, PerCpuArray};
use aya_ebpf::programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext};
use tg_ebpf_common::{ConntrackFields, Ends, Entry, kind, program};

/// Entry 0: filled in before a program is attached.
#[map]
static CONNTRACK_FIELDS: Array<ConntrackFields> = Array::with_max_entries(1, 0);
/// Packets that are being confirmed, by their call.
#[map]
static CONFIRMING: HashMap<u64, u64> = HashMap::with_max_entries(512, 0);
/// Too large for the stack: one for the kprobes, of which a processor runs one at a time, and one for each of
/// the others.
#[map]
static ENTRIES: PerCpuArray<Entry> = PerCpuArray::with_max_entries(3, 0);

/// `include/linux/skbuff.h`: the low bits of `_nfct` are the packet's state.
const NFCT_POINTER: u64 = !7;
/// `include/uapi/linux/netfilter.h`.
const NF_ACCEPT: i32 = 1;
/// `include/uapi/linux/netfilter/nf_conntrack_common.h`.
const CONFIRMED: u32 = 1 << 3;
const DYING: u32 = 1 << 9;

/// `None` while they are not known.
#[inline(always)]
pub fn fields() -> Option<&'static ConntrackFields> {
    CONNTRACK_FIELDS.get(0).filter(|f| f.known != 0)
}

/// A packet's entry.
#[inline(always)]
pub fn entry_of(f: &ConntrackFields, skb: read::Kernel) -> Option<read::Kernel> {
    let ct = (read::at::<u64>(skb, f.skb_nfct)? & NFCT_POINTER) as read::Kernel;
    (!ct.is_null()).then_some(ct)
}

/// `include/net/netfilter/nf_conntrack_tuple.h`.
#[inline(always)]
pub fn tuple(f: &ConntrackFields, tuple: read::Kernel, ends: &mut Ends) -> Option<()> {
    if read::at::<u16>(tuple, f.tuple_l3num)? == read::AF_INET {
        ends.src = read::mapped(read::at(tuple, f.tuple_src)?);
        ends.dst = read::mapped(read::at(tuple, f.tuple_dst)?);
    } else {
        ends.src = read::at(tuple, f.tuple_src)?;
        ends.dst = read::at(tuple, f.tuple_dst)?;
    }
    ends.src_port = u16::from_be(read::at(tuple, f.tuple_sport)?);
    ends.dst_port = u16::from_be(read::at(tuple, f.tuple_dport)?);
    ends.protocol = read::at(tuple, f.tuple_protocol)?;
    Some(())
}

/// Fills in all but the tuples.
#[inline(always)]
pub fn rest(f: &ConntrackFields, kind: u16, ct: read::Kernel, entry: &mut Entry) -> Option<()> {
    entry.head = record::head(kind);
    read::namespace(&mut entry.head, read::pointer(ct, f.net)?);
    entry.status = read::at(ct, f.status)?;
    let tcp = entry.original.protocol == read::TCP;
    entry.tcp_state = if tcp { read::at(ct, f.tcp_state).unwrap_or(255) } else { 255 };
    Some(())
}

/// `int __nf_conntrack_confirm(skb)` (`net/netfilter/nf_conntrack_core.c`).
#[kprobe]
pub fn ct_confirming(ctx: ProbeContext) -> u32 {
    if let Some(skb) = ctx.arg::<u64>(0) {
        call::begin(&CONFIRMING, ctx.regs, &skb, program::CONNTRACK);
    }
    0
}

#[kretprobe]
pub fn ct_confirmed(ctx: RetProbeContext) -> u32 {
    let call = at_return(ctx.regs);
    // SAFETY: an integer that is copied; the call's own until it is removed.
    if let Some(skb) = unsafe { CONFIRMING.get(&call).copied() } {
        let _ = CONFIRMING.remove(&call);
        let _ = confirmed(skb as read::Kernel, ctx.ret(), 0);
    }
    0
}

#[fexit(function = "__nf_conntrack_confirm")]
pub fn ct_confirmed_exit(ctx: FExitContext) -> i32 {
    let _ = confirmed(ctx.arg(0), ctx.arg(1), 1);
    0
}

/// `bool nf_ct_delete(ct, portid, report)`, as above.
#[kprobe]
pub fn ct_deleted(ctx: ProbeContext) -> u32 {
    if let Some(ct) = ctx.arg(0) {
        let _ = deleted(ct, 0);
    }
    0
}

#[fentry(function = "nf_ct_delete")]
pub fn ct_deleted_entry(ctx: FEntryContext) -> i32 {
    let _ = deleted(ctx.arg(0), 2);
    0
}

/// A packet that is not accepted has lost its entry by now.
#[inline(always)]
fn confirmed(skb: read::Kernel, verdict: i32, scratch: u32) -> Option<()> {
    let f = fields()?;
    if verdict != NF_ACCEPT {
        return None;
    }
    let ct = entry_of(f, skb)?;
    if read::at::<u32>(ct, f.status)? & CONFIRMED == 0 {
        return None;
    }
    tell(f, kind::CONNTRACK_CONFIRMED, ct, scratch)
}

/// The first who wants it deleted does it.
#[inline(always)]
fn deleted(ct: read::Kernel, scratch: u32) -> Option<()> {
    let f = fields()?;
    if read::at::<u32>(ct, f.status)? & DYING != 0 {
        return None;
    }
    tell(f, kind::CONNTRACK_DESTROYED, ct, scratch)
}

#[inline(always)]
fn tell(f: &ConntrackFields, kind: u16, ct: read::Kernel, scratch: u32) -> Option<()> {
    let entry = ENTRIES.get_ptr_mut(scratch)?;
    // SAFETY: one for each processor and caller, of which a processor runs one at a time.
    let entry = unsafe { &mut *entry };
    tuple(f, ct.wrapping_add(f.original as usize), &mut entry.original)?;
    if entry.original.protocol != read::TCP && entry.original.protocol != read::UDP {
        return None;
    }
    filter::endpoint(entry.original.dst, entry.original.dst_port)?;
    tuple(f, ct.wrapping_add(f.reply as usize), &mut entry.reply)?;
    rest(f, kind, ct, entry)?;
    record::emit(program::CONNTRACK, entry);
    Some(())
}
