//! Reading IPVS's structs (`include/net/ip_vs.h`). Changes when what is read of them does.

mod conn;
mod decision;
mod dest;

use crate::{filter, read, record};
use aya_ebpf::helpers::generated;
use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use tg_ebpf_common::{BACKEND, Destination, Endpoint, Head, IpvsFields, SCHEDULER_NAME, Service};

/// Entry 0: filled in before a program is attached.
#[map]
static IPVS_FIELDS: Array<IpvsFields> = Array::with_max_entries(1, 0);

const NO_SERVICE: Service =
    Service { address: [0; 16], scheduler: [0; SCHEDULER_NAME], fwmark: 0, port: 0, protocol: 0, pad: 0 };

#[inline(always)]
fn fields() -> Option<&'static IpvsFields> {
    IPVS_FIELDS.get(0)
}

/// A `union nf_inet_addr` of an address family.
#[inline(always)]
fn address(base: read::Kernel, offset: u32, family: u16) -> Option<[u8; 16]> {
    if family == read::AF_INET { read::at(base, offset).map(read::mapped) } else { read::at(base, offset) }
}

#[inline(always)]
fn port(base: read::Kernel, offset: u32) -> Option<u16> {
    read::at(base, offset).map(u16::from_be)
}

/// A service without its scheduler's name.
#[inline(always)]
fn service(f: &IpvsFields, svc: read::Kernel, to: &mut Service) -> Option<()> {
    *to = NO_SERVICE;
    to.protocol = read::at::<u16>(svc, f.svc_protocol)? as u8;
    to.fwmark = read::at(svc, f.svc_fwmark)?;
    if to.fwmark == 0 {
        to.address = address(svc, f.svc_addr, read::at(svc, f.svc_af)?)?;
        to.port = port(svc, f.svc_port)?;
    }
    Some(())
}

/// Fills in a service's scheduler; it stays empty where there is none any more.
#[inline(always)]
fn scheduler(f: &IpvsFields, svc: read::Kernel, to: &mut Service) {
    let name = read::pointer(svc, f.svc_scheduler).and_then(|s| read::pointer(s, f.scheduler_name));
    if let Some(name) = name {
        // SAFETY: the destination has so many bytes; the helper checks where it reads from, and writes no more
        // than it was told.
        unsafe {
            generated::bpf_probe_read_kernel_str(to.scheduler.as_mut_ptr().cast(), SCHEDULER_NAME as u32, name.cast())
        };
    }
}

/// A destination with its counts.
#[inline(always)]
fn destination(f: &IpvsFields, dest: read::Kernel, to: &mut Destination) -> Option<()> {
    to.address = address(dest, f.dest_addr, read::at(dest, f.dest_af)?)?;
    to.port = port(dest, f.dest_port)?;
    to.weight = read::at(dest, f.dest_weight)?;
    to.active = read::at(dest, f.dest_active)?;
    to.inactive = read::at(dest, f.dest_inactive)?;
    if f.counts_all != 0 {
        to.inactive = to.inactive.wrapping_sub(to.active);
    }
    to.pad = 0;
    Some(())
}

/// The namespace of a `netns_ipvs`.
#[inline(always)]
fn namespace(f: &IpvsFields, head: &mut Head, ipvs: read::Kernel) {
    if let Some(net) = read::pointer(ipvs, f.ipvs_net) {
        read::namespace(head, net);
    }
}

/// A destination of a watched service joins the filter.
#[inline(always)]
fn join(program: u32, address: [u8; 16], port: u16) {
    if filter::endpoint(address, port).is_none()
        && filter::WATCHED.insert(&Endpoint { address, port, pad: 0 }, &BACKEND, 0).is_err()
    {
        record::count(program, |s| s.table_full += 1);
    }
}
