//! What a scheduler of IPVS chose, and from what. Changes when what is recorded of that does.

use super::{address, destination, fields, namespace, port, scheduler, service};
use crate::call::{self, at_return};
use crate::{filter, read, record};
use aya_ebpf::bindings::pt_regs;
use aya_ebpf::macros::{kprobe, kretprobe, map};
use aya_ebpf::maps::{HashMap, PerCpuArray};
use aya_ebpf::programs::{ProbeContext, RetProbeContext};
use tg_ebpf_common::{CANDIDATES_MAX, Decision, Destination, HAS_CHOSEN, HAS_CLIENT, IpvsFields, kind, program};

/// A decision with room for its candidates.
#[repr(C)]
#[derive(Clone, Copy)]
struct Choice {
    decision: Decision,
    candidates: [Destination; CANDIDATES_MAX],
}

/// Too large for the stack. The kernel runs no two programs at kprobes on one processor at once.
#[map]
static CHOICE: PerCpuArray<Choice> = PerCpuArray::with_max_entries(1, 0);
/// Choices that are being made, by their call.
#[map]
static CHOOSING: HashMap<u64, Choice> = HashMap::with_max_entries(512, 0);

/// `struct ip_vs_dest *ip_vs_NAME_schedule(svc, skb, iph)`, of each scheduler (`net/netfilter/ipvs/ip_vs_*.c`).
#[kprobe]
pub fn choosing(ctx: ProbeContext) -> u32 {
    if let (Some(svc), Some(skb)) = (ctx.arg::<read::Kernel>(0), ctx.arg::<read::Kernel>(1)) {
        let _ = look(ctx.regs, svc, skb);
    }
    0
}

#[kretprobe]
pub fn chosen(ctx: RetProbeContext) -> u32 {
    let _ = tell(at_return(ctx.regs), ctx.ret::<read::Kernel>());
    0
}

#[inline(always)]
fn look(regs: *const pt_regs, svc: read::Kernel, skb: read::Kernel) -> Option<()> {
    let f = fields()?;
    let choice = CHOICE.get_ptr_mut(0)?;
    // SAFETY: one for each processor, and nobody else has it (above).
    let Choice { decision, candidates } = unsafe { &mut *choice };
    service(f, svc, &mut decision.service)?;
    decision.head = record::head(kind::IPVS_DECISION);
    let packet = read::packet(skb);
    let watched = match packet {
        // A firewall mark's services have no address: that of the packet is the client's idea of it.
        Some(ends) if decision.service.fwmark != 0 => filter::endpoint(ends.dst, ends.dst_port),
        _ => filter::endpoint(decision.service.address, decision.service.port),
    };
    watched?;
    if let Some(ends) = packet {
        decision.head.flags |= HAS_CLIENT;
        (decision.client, decision.client_port) = (ends.src, ends.src_port);
    } else {
        (decision.client, decision.client_port) = ([0; 16], 0);
    }
    (decision.chosen, decision.chosen_port, decision.pad) = ([0; 16], 0, 0);
    scheduler(f, svc, &mut decision.service);
    namespace(f, &mut decision.head, read::pointer(svc, f.svc_ipvs)?);
    decision.total = read::at(svc, f.svc_num_dests)?;
    decision.count = list(f, svc, candidates);
    // SAFETY: as above; the map copies it.
    call::begin(&CHOOSING, regs, unsafe { &*choice }, program::IPVS_DECISION);
    Some(())
}

/// Walks `svc->destinations`; gives how many were read.
#[inline(always)]
fn list(f: &IpvsFields, svc: read::Kernel, candidates: &mut [Destination; CANDIDATES_MAX]) -> u32 {
    let end = svc.wrapping_add(f.svc_destinations as usize);
    let mut next = read::pointer(end, 0);
    let mut count = 0;
    for candidate in candidates.iter_mut() {
        let Some(entry) = next else { break };
        if entry == end {
            break;
        }
        let dest = entry.wrapping_sub(f.dest_list as usize);
        if destination(f, dest, candidate).is_none() {
            break;
        }
        count += 1;
        next = read::pointer(entry, 0);
    }
    count
}

#[inline(always)]
fn tell(call: u64, dest: read::Kernel) -> Option<()> {
    let f = fields()?;
    let choice = CHOOSING.get_ptr_mut(&call)?;
    // SAFETY: the call's own until it is removed below.
    let choice = unsafe { &mut *choice };
    // An error comes as a pointer near the end (`include/linux/err.h`): where it points to cannot be read.
    if !dest.is_null()
        && let Some(family) = read::at(dest, f.dest_af)
        && let Some(to) = address(dest, f.dest_addr, family)
    {
        let decision = &mut choice.decision;
        (decision.chosen, decision.chosen_port) = (to, port(dest, f.dest_port)?);
        decision.head.flags |= HAS_CHOSEN;
        filter::join(program::IPVS_DECISION, to, decision.chosen_port);
    }
    let count = (choice.decision.count as usize).min(CANDIDATES_MAX);
    let size = size_of::<Decision>() + count * size_of::<Destination>();
    record::emit_bytes(program::IPVS_DECISION, (&raw const *choice).cast(), size);
    let _ = CHOOSING.remove(&call);
    Some(())
}
