//! What BTF says of the fields of ip_vs, which is mostly a module and may be loaded at any time. Changes when a
//! program needs another of them (`common/src/ipvs.rs` has them).

use super::error::ObserveError;
use super::fields::{VMLINUX, offset};
use btf_rs::Btf;
use std::path::Path;
use tg_ebpf_common::IpvsFields;

/// The module's own types.
const IPVS: &str = "/sys/kernel/btf/ip_vs";

/// The fields of ip_vs.
#[derive(Debug)]
pub struct Ipvs {
    pub offsets: IpvsFields,
    /// Fields that are not there, `struct.field`.
    missing: Vec<String>,
}

impl Ipvs {
    /// Reads the kernel's BTF, and the module's.
    pub fn read() -> Result<Ipvs, ObserveError> {
        let error = |path| move |e: btf_rs::Error| ObserveError::Btf { path, error: e.to_string() };
        let kernel = Btf::from_file(VMLINUX).map_err(error(VMLINUX))?;
        Ok(match Path::new(IPVS).exists() {
            true => Ipvs::of(&Btf::from_split_file(IPVS, &kernel).map_err(error(IPVS))?),
            false => Ipvs::of(&kernel),
        })
    }

    fn of(btf: &Btf) -> Ipvs {
        let mut missing = Vec::new();
        let mut at = |of: &str, path: &str| match offset(btf, of, path) {
            Some((at, _)) => at,
            None => {
                missing.push(format!("{of}.{path}"));
                0
            }
        };
        let (svc, dest, conn) = ("ip_vs_service", "ip_vs_dest", "ip_vs_conn");
        // Debian's 6.1.192 counts all of a destination's connections where others count the inactive ones.
        let counts_all = offset(btf, dest, "inactconns").is_none();
        let offsets = IpvsFields {
            svc_af: at(svc, "af"),
            svc_protocol: at(svc, "protocol"),
            svc_addr: at(svc, "addr"),
            svc_port: at(svc, "port"),
            svc_fwmark: at(svc, "fwmark"),
            svc_ipvs: at(svc, "ipvs"),
            svc_destinations: at(svc, "destinations"),
            svc_num_dests: at(svc, "num_dests"),
            svc_scheduler: at(svc, "scheduler"),
            scheduler_name: at("ip_vs_scheduler", "name"),
            ipvs_net: at("netns_ipvs", "net"),
            dest_list: at(dest, "n_list"),
            dest_af: at(dest, "af"),
            dest_port: at(dest, "port"),
            dest_addr: at(dest, "addr"),
            dest_weight: at(dest, "weight"),
            dest_active: at(dest, "activeconns"),
            dest_inactive: at(dest, if counts_all { "totalconns" } else { "inactconns" }),
            counts_all: u32::from(counts_all),
            dest_svc: at(dest, "svc"),
            dest_protocol: at(dest, "protocol"),
            dest_vport: at(dest, "vport"),
            dest_vaddr: at(dest, "vaddr"),
            dest_vfwmark: at(dest, "vfwmark"),
            user_weight: at("ip_vs_dest_user_kern", "weight"),
            conn_af: at(conn, "af"),
            conn_daf: at(conn, "daf"),
            conn_protocol: at(conn, "protocol"),
            conn_caddr: at(conn, "caddr"),
            conn_cport: at(conn, "cport"),
            conn_vaddr: at(conn, "vaddr"),
            conn_vport: at(conn, "vport"),
            conn_daddr: at(conn, "daddr"),
            conn_dport: at(conn, "dport"),
            conn_flags: at(conn, "flags"),
            conn_ipvs: at(conn, "ipvs"),
            conn_refcnt: at(conn, "refcnt"),
            conn_timer: at(conn, "timer"),
        };
        Ipvs { offsets, missing }
    }

    /// What keeps a program that reads these structs from being attached.
    pub fn missing(&self, structs: &[&str]) -> Option<String> {
        let of =
            |field: &String| structs.iter().any(|s| field.strip_prefix(s).is_some_and(|rest| rest.starts_with('.')));
        let missing: Vec<&str> = self.missing.iter().filter(|f| of(f)).map(String::as_str).collect();
        (!missing.is_empty()).then(|| format!("BTF has no {}", missing.join(", ")))
    }
}
