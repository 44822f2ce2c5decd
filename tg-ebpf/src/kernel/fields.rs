//! What the running kernel's BTF says of the fields that the programs read. Changes when a program needs another
//! field (`prog/src/fields.rs` has the constants), or how BTF is read.

use super::error::ObserveError;
use crate::decode::KernelNames;
use btf_rs::{Btf, BtfType, Type};
use std::collections::BTreeMap;

/// The kernel's own types.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
/// Reads the kernel's own types.
pub fn kernel_types() -> Result<Btf, ObserveError> {
    Btf::from_file(VMLINUX).map_err(|e| ObserveError::Btf { path: VMLINUX, error: e.to_string() })
}

/// A constant of the programs, and the field whose offset it is.
type Field = (&'static str, &'static str, &'static str);

/// Fields of a namespace.
const NAMESPACE: &[Field] = &[("NET_INUM", "net", "ns.inum"), ("NET_COOKIE", "net", "net_cookie")];
/// Fields of a socket.
const SOCKET: &[Field] = &[
    ("SOCK_FAMILY", "sock", "__sk_common.skc_family"),
    ("SOCK_PROTOCOL", "sock", "sk_protocol"),
    ("SOCK_DADDR", "sock", "__sk_common.skc_daddr"),
    ("SOCK_RCV_SADDR", "sock", "__sk_common.skc_rcv_saddr"),
    ("SOCK_DPORT", "sock", "__sk_common.skc_dport"),
    ("SOCK_NUM", "sock", "__sk_common.skc_num"),
    ("SOCK_NET", "sock", "__sk_common.skc_net.net"),
    ("SOCK_V6_DADDR", "sock", "__sk_common.skc_v6_daddr"),
    ("SOCK_V6_RCV_SADDR", "sock", "__sk_common.skc_v6_rcv_saddr"),
    ("INET_SPORT", "inet_sock", "inet_sport"),
];
/// Fields of a packet.
const PACKET: &[Field] = &[
    ("SKB_HEAD", "sk_buff", "head"),
    ("SKB_NETWORK_HEADER", "sk_buff", "network_header"),
    ("SKB_TRANSPORT_HEADER", "sk_buff", "transport_header"),
    ("SKB_DEV", "sk_buff", "dev"),
    ("SKB_SK", "sk_buff", "sk"),
    ("DEV_NET", "net_device", "nd_net.net"),
];
/// Fields that a program reads together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Namespace,
    Socket,
    Packet,
}

impl Group {
    const ALL: [Group; 3] = [Group::Namespace, Group::Socket, Group::Packet];

    fn fields(self) -> &'static [Field] {
        match self {
            Group::Namespace => NAMESPACE,
            Group::Socket => SOCKET,
            Group::Packet => PACKET,
        }
    }
}

/// What the running kernel's BTF says.
#[derive(Debug)]
pub struct Fields {
    /// Constants of the programs with their values.
    pub constants: Vec<(&'static str, u32)>,
    /// Fields that are not there, `struct.field`, with their group.
    missing: Vec<(Group, String)>,
    /// Names of the kernel's numbers.
    pub names: KernelNames,
}

impl Fields {
    /// From the kernel's BTF.
    pub fn of(btf: &Btf) -> Fields {
        let (mut constants, mut missing) = (Vec::new(), Vec::new());
        for group in Group::ALL {
            for (constant, of, path) in group.fields() {
                match offset(btf, of, path) {
                    Some((at, _)) => constants.push((*constant, at)),
                    None => missing.push((group, format!("{of}.{path}"))),
                }
            }
        }
        // The tracepoints' own arguments come after a `void *`.
        let has = |typedef, count| u32::from(parameters(btf, typedef).is_some_and(|n| n > count));
        constants.push(("HAS_RESET_REASON", has("btf_trace_tcp_send_reset", 3)));
        constants.push(("HAS_DROP_REASON", has("btf_trace_kfree_skb", 3)));
        let names = KernelNames {
            resets: members(btf, "sk_rst_reason", "SK_RST_REASON_"),
            drops: members(btf, "skb_drop_reason", "SKB_DROP_REASON_"),
        };
        Fields { constants, missing, names }
    }

    /// What keeps a program that reads these groups from being loaded.
    pub fn missing(&self, groups: &[Group]) -> Option<String> {
        let missing: Vec<&str> =
            self.missing.iter().filter(|(g, _)| groups.contains(g)).map(|(_, field)| field.as_str()).collect();
        (!missing.is_empty()).then(|| format!("this kernel's BTF has no {}", missing.join(", ")))
    }
}

/// A type without what only describes it.
fn bare(btf: &Btf, mut of: Type) -> Option<Type> {
    loop {
        of = match of {
            Type::Typedef(x) => btf.resolve_chained_type(&x).ok()?,
            Type::Const(x) | Type::Volatile(x) | Type::Restrict(x) => btf.resolve_chained_type(&x).ok()?,
            Type::TypeTag(x) => btf.resolve_chained_type(&x).ok()?,
            other => return Some(other),
        }
    }
}

/// A member's offset in bits and its type, looked for in members without a name, too.
fn member(btf: &Btf, of: &Type, name: &str) -> Option<(u32, Type)> {
    let (Type::Struct(s) | Type::Union(s)) = of else { return None };
    for m in &s.members {
        let its = btf.resolve_name(m as &dyn BtfType).unwrap_or_default();
        let its_type = bare(btf, btf.resolve_chained_type(m).ok()?)?;
        if its == name {
            return Some((m.bit_offset(), its_type));
        }
        if its.is_empty()
            && let Some((at, found)) = member(btf, &its_type, name)
        {
            return Some((m.bit_offset() + at, found));
        }
    }
    None
}

/// A field's offset in bytes and its type. An array on the way stands for its first element.
pub fn offset(btf: &Btf, of: &str, path: &str) -> Option<(u32, Type)> {
    btf.resolve_types_by_name(of).ok()?.into_iter().find_map(|root| {
        let (mut here, mut bits) = (root, 0);
        for part in path.split('.') {
            if let Type::Array(array) = &here {
                here = bare(btf, btf.resolve_chained_type(array).ok()?)?;
            }
            let (at, found) = member(btf, &here, part)?;
            (here, bits) = (found, bits + at);
        }
        Some((bits / 8, here))
    })
}

/// How many parameters the function has that a typedef points to.
fn parameters(btf: &Btf, typedef: &str) -> Option<usize> {
    btf.resolve_types_by_name(typedef).ok()?.into_iter().find_map(|t| {
        let Type::Typedef(typedef) = t else { return None };
        let Type::Ptr(pointer) = btf.resolve_chained_type(&typedef).ok()? else { return None };
        let Type::FuncProto(function) = btf.resolve_chained_type(&pointer).ok()? else { return None };
        Some(function.parameters.len())
    })
}

/// An enum's members by number, without their common prefix.
fn members(btf: &Btf, of: &str, prefix: &str) -> BTreeMap<u32, String> {
    let types = btf.resolve_types_by_name(of).unwrap_or_default();
    let Some(members) = types.into_iter().find_map(|t| if let Type::Enum(e) = t { Some(e.members) } else { None })
    else {
        return BTreeMap::new();
    };
    let named = members.iter().filter_map(|m| Some((m.val(), btf.resolve_name(m as &dyn BtfType).ok()?)));
    named.map(|(number, name)| (number, name.strip_prefix(prefix).unwrap_or(&name).to_owned())).collect()
}
