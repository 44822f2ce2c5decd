//! Destinations of IPVS, added, edited, deleted. Changes when what is recorded of that does.

use super::{destination, fields, join, namespace, port, scheduler, service};
use crate::{filter, read, record};
use aya_ebpf::macros::kprobe;
use aya_ebpf::programs::ProbeContext;
use tg_ebpf_common::{Destination, DestinationChange, IpvsFields, Service, kind, program};

const NO_CHANGE: Destination = Destination { address: [0; 16], weight: 0, active: 0, inactive: 0, port: 0, pad: 0 };

/// `void __ip_vs_update_dest(svc, dest, udest, int add)` (`net/netfilter/ipvs/ip_vs_ctl.c`): all that could be
/// refused was checked by now.
#[kprobe]
pub fn dest_updated(ctx: ProbeContext) -> u32 {
    let _ = update(&ctx);
    0
}

#[inline(always)]
fn update(ctx: &ProbeContext) -> Option<()> {
    let f = fields()?;
    let (svc, dest, wanted): (read::Kernel, read::Kernel, read::Kernel) = (ctx.arg(0)?, ctx.arg(1)?, ctx.arg(2)?);
    let mut of = super::NO_SERVICE;
    service(f, svc, &mut of)?;
    let kind = if ctx.arg::<i32>(3)? != 0 { kind::IPVS_DEST_ADDED } else { kind::IPVS_DEST_EDITED };
    tell(f, kind, svc, of, dest, Some(read::at(wanted, f.user_weight)?))
}

/// `void __ip_vs_del_dest(ipvs, dest, bool cleanup)`: of a service that goes, too.
#[kprobe]
pub fn dest_deleted(ctx: ProbeContext) -> u32 {
    let _ = delete(&ctx);
    0
}

#[inline(always)]
fn delete(ctx: &ProbeContext) -> Option<()> {
    let f = fields()?;
    let dest: read::Kernel = ctx.arg(1)?;
    // Its service may be gone by now: what a destination keeps of it is enough.
    let mut of = super::NO_SERVICE;
    of.protocol = read::at::<u16>(dest, f.dest_protocol)? as u8;
    of.fwmark = read::at(dest, f.dest_vfwmark)?;
    let svc = read::pointer(dest, f.dest_svc)?;
    if of.fwmark == 0 {
        of.address = super::address(dest, f.dest_vaddr, read::at(svc, f.svc_af)?)?;
        of.port = port(dest, f.dest_vport)?;
    }
    tell(f, kind::IPVS_DEST_DELETED, svc, of, dest, None)
}

/// A destination of a firewall mark's service is told of where it is watched itself.
#[inline(always)]
fn tell(
    f: &IpvsFields,
    kind: u16,
    svc: read::Kernel,
    mut of: Service,
    dest: read::Kernel,
    weight: Option<i32>,
) -> Option<()> {
    let mut its = NO_CHANGE;
    destination(f, dest, &mut its)?;
    if of.fwmark == 0 {
        filter::endpoint(of.address, of.port)?;
        join(program::IPVS_DEST, its.address, its.port);
    } else {
        filter::endpoint(its.address, its.port)?;
    }
    its.weight = weight.unwrap_or(its.weight);
    scheduler(f, svc, &mut of);
    let mut head = record::head(kind);
    namespace(f, &mut head, read::pointer(svc, f.svc_ipvs)?);
    record::emit(program::IPVS_DEST, &DestinationChange { head, service: of, destination: its });
    Some(())
}
