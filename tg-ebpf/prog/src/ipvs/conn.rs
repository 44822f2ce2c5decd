//! Connections of IPVS, made and expired. Changes when what is recorded of them does.

use super::{address, fields, namespace, port};
use crate::call::{self, at_return};
use crate::{filter, read, record};
use aya_ebpf::macros::{kprobe, kretprobe, map};
use aya_ebpf::maps::HashMap;
use aya_ebpf::programs::{ProbeContext, RetProbeContext};
use tg_ebpf_common::{Connection, kind, program};

/// Connections whose timer runs, by its call.
#[map]
static EXPIRING: HashMap<u64, u64> = HashMap::with_max_entries(512, 0);

/// `include/uapi/linux/ip_vs.h`: a persistent client's template, which is no connection.
const TEMPLATE: u32 = 0x1000;
/// A connection for one packet, freed before the function returns.
const ONE_PACKET: u32 = 0x2000;

/// `struct ip_vs_conn *ip_vs_conn_new(…)` (`net/netfilter/ipvs/ip_vs_conn.c`).
#[kretprobe]
pub fn conn_made(ctx: RetProbeContext) -> u32 {
    let cp = ctx.ret::<read::Kernel>();
    if !cp.is_null() {
        let _ = tell(kind::IPVS_CONN_MADE, cp);
    }
    0
}

/// `void ip_vs_conn_expire(struct timer_list *)`: it may find that somebody has the connection still.
#[kprobe]
pub fn conn_expiring(ctx: ProbeContext) -> u32 {
    let _ = begin(&ctx);
    0
}

#[inline(always)]
fn begin(ctx: &ProbeContext) -> Option<()> {
    let cp = ctx.arg::<read::Kernel>(0)?.wrapping_sub(fields()?.conn_timer as usize);
    if read::at::<u32>(cp, fields()?.conn_flags)? & ONE_PACKET == 0 {
        call::begin(&EXPIRING, ctx.regs, &(cp as u64), program::IPVS_CONN);
    }
    Some(())
}

/// Nobody has it any more: `ip_vs_conn_unlink` took the last reference. It is freed after this softirq at the
/// earliest (RCU).
#[kretprobe]
pub fn conn_expired(ctx: RetProbeContext) -> u32 {
    let _ = end(at_return(ctx.regs));
    0
}

#[inline(always)]
fn end(call: u64) -> Option<()> {
    // SAFETY: an integer that is copied; the call's own until it is removed.
    let cp = unsafe { EXPIRING.get(&call).copied() }? as read::Kernel;
    let _ = EXPIRING.remove(&call);
    if read::at::<u32>(cp, fields()?.conn_refcnt)? == 0 {
        tell(kind::IPVS_CONN_EXPIRED, cp)?;
    }
    Some(())
}

#[inline(always)]
fn tell(kind: u16, cp: read::Kernel) -> Option<()> {
    let f = fields()?;
    if read::at::<u32>(cp, f.conn_flags)? & TEMPLATE != 0 {
        return None;
    }
    let family = read::at(cp, f.conn_af)?;
    let (service, service_port) = (address(cp, f.conn_vaddr, family)?, port(cp, f.conn_vport)?);
    filter::endpoint(service, service_port)?;
    let mut head = record::head(kind);
    namespace(f, &mut head, read::pointer(cp, f.conn_ipvs)?);
    let connection = Connection {
        head,
        service,
        client: address(cp, f.conn_caddr, family)?,
        destination: address(cp, f.conn_daddr, read::at(cp, f.conn_daf)?)?,
        service_port,
        client_port: port(cp, f.conn_cport)?,
        destination_port: port(cp, f.conn_dport)?,
        protocol: read::at::<u16>(cp, f.conn_protocol)? as u8,
        pad: 0,
    };
    record::emit(program::IPVS_CONN, &connection);
    Some(())
}
