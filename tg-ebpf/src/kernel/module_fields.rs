//! What BTF says of the fields of conntrack and ip_vs, which are mostly modules and may be loaded at any time.
//! Changes when a program needs another of them (`common/` has them).

use super::fields::offset;
use btf_rs::{Btf, Type};
use std::path::PathBuf;
use tg_ebpf_common::{ConntrackFields, IpvsFields};
use zerocopy::IntoBytes;

/// A module's fields, as the programs have them.
#[derive(Debug)]
pub struct ModuleFields {
    /// The value of the module's map.
    pub bytes: Vec<u8>,
    /// Fields that are not there, `struct.field`.
    missing: Vec<String>,
}

impl ModuleFields {
    /// What keeps a program that reads these structs from being attached.
    pub fn missing(&self, structs: &[&str]) -> Option<String> {
        let of = |field: &str| structs.iter().any(|s| field.strip_prefix(s).is_some_and(|rest| rest.starts_with('.')));
        let missing: Vec<&str> = self.missing.iter().map(String::as_str).filter(|f| of(f)).collect();
        (!missing.is_empty()).then(|| format!("BTF has no {}", missing.join(", ")))
    }
}

/// Reads a module's types with `of`; they are the kernel's own where it is built in.
pub fn read(module: &str, kernel: &Btf, of: fn(&Btf) -> ModuleFields) -> Result<ModuleFields, String> {
    let path: PathBuf = ["/sys/kernel/btf", module].iter().collect();
    if !path.exists() {
        return Ok(of(kernel));
    }
    let types = Btf::from_split_file(&path, kernel).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(of(&types))
}

struct Reader<'a> {
    btf: &'a Btf,
    missing: Vec<String>,
}

impl Reader<'_> {
    fn at(&mut self, of: &str, path: &str) -> u32 {
        match offset(self.btf, of, path) {
            Some((at, _)) => at,
            None => {
                self.missing.push(format!("{of}.{path}"));
                0
            }
        }
    }
}

/// Fields of conntrack. A program needs all of them.
pub fn conntrack(btf: &Btf) -> ModuleFields {
    let mut r = Reader { btf, missing: Vec::new() };
    let (conn, tuple) = ("nf_conn", "nf_conntrack_tuple");
    let reply = reply(btf);
    if reply.is_none() {
        r.missing.push("nf_conn.tuplehash[1].tuple".into());
    }
    let mut fields = ConntrackFields {
        skb_nfct: r.at("sk_buff", "_nfct"),
        original: r.at(conn, "tuplehash.tuple"),
        reply: reply.unwrap_or(0),
        net: r.at(conn, "ct_net.net"),
        status: r.at(conn, "status"),
        tcp_state: r.at(conn, "proto.tcp.state"),
        tuple_src: r.at(tuple, "src.u3"),
        tuple_sport: r.at(tuple, "src.u.all"),
        tuple_l3num: r.at(tuple, "src.l3num"),
        tuple_dst: r.at(tuple, "dst.u3"),
        tuple_dport: r.at(tuple, "dst.u.all"),
        tuple_protocol: r.at(tuple, "dst.protonum"),
        known: 0,
    };
    fields.known = u32::from(r.missing.is_empty());
    ModuleFields { bytes: fields.as_bytes().to_vec(), missing: r.missing }
}

/// `nf_conn.tuplehash` is an array: an answer's tuple is in its second element.
fn reply(btf: &Btf) -> Option<u32> {
    let (first, _) = offset(btf, "nf_conn", "tuplehash.tuple")?;
    let size = btf.resolve_types_by_name("nf_conntrack_tuple_hash").ok()?.into_iter().find_map(|t| match t {
        Type::Struct(s) => Some(s.size()),
        _ => None,
    })?;
    Some(first + u32::try_from(size).ok()?)
}

/// Fields of ip_vs.
pub fn ipvs(btf: &Btf) -> ModuleFields {
    let mut r = Reader { btf, missing: Vec::new() };
    let (svc, dest, conn) = ("ip_vs_service", "ip_vs_dest", "ip_vs_conn");
    // Debian's 6.1.192 counts all of a destination's connections where others count the inactive ones.
    let counts_all = offset(btf, dest, "inactconns").is_none() && offset(btf, dest, "totalconns").is_some();
    let fields = IpvsFields {
        svc_af: r.at(svc, "af"),
        svc_protocol: r.at(svc, "protocol"),
        svc_addr: r.at(svc, "addr"),
        svc_port: r.at(svc, "port"),
        svc_fwmark: r.at(svc, "fwmark"),
        svc_ipvs: r.at(svc, "ipvs"),
        svc_destinations: r.at(svc, "destinations"),
        svc_num_dests: r.at(svc, "num_dests"),
        svc_scheduler: r.at(svc, "scheduler"),
        scheduler_name: r.at("ip_vs_scheduler", "name"),
        ipvs_net: r.at("netns_ipvs", "net"),
        dest_list: r.at(dest, "n_list"),
        dest_af: r.at(dest, "af"),
        dest_port: r.at(dest, "port"),
        dest_addr: r.at(dest, "addr"),
        dest_weight: r.at(dest, "weight"),
        dest_active: r.at(dest, "activeconns"),
        dest_inactive: r.at(dest, if counts_all { "totalconns" } else { "inactconns" }),
        counts_all: u32::from(counts_all),
        dest_svc: r.at(dest, "svc"),
        dest_protocol: r.at(dest, "protocol"),
        dest_vport: r.at(dest, "vport"),
        dest_vaddr: r.at(dest, "vaddr"),
        dest_vfwmark: r.at(dest, "vfwmark"),
        user_weight: r.at("ip_vs_dest_user_kern", "weight"),
        conn_af: r.at(conn, "af"),
        conn_daf: r.at(conn, "daf"),
        conn_protocol: r.at(conn, "protocol"),
        conn_caddr: r.at(conn, "caddr"),
        conn_cport: r.at(conn, "cport"),
        conn_vaddr: r.at(conn, "vaddr"),
        conn_vport: r.at(conn, "vport"),
        conn_daddr: r.at(conn, "daddr"),
        conn_dport: r.at(conn, "dport"),
        conn_flags: r.at(conn, "flags"),
        conn_ipvs: r.at(conn, "ipvs"),
        conn_refcnt: r.at(conn, "refcnt"),
        conn_timer: r.at(conn, "timer"),
    };
    ModuleFields { bytes: fields.as_bytes().to_vec(), missing: r.missing }
}
