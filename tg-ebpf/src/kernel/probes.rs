//! Programs that read what a module may bring, and the ways to attach each. Changes when such a program, or a way,
//! is added.

use super::programs::{load_once, reason};
use crate::name;
use aya::programs::{Program, ProgramError};
use aya::util::KernelVersion;
use aya::{Btf, Ebpf};
use std::any::Any;
use std::path::Path;

/// The kernel's part that knows kprobes, as perf has them.
const KPROBES: &str = "/sys/bus/event_source/devices/kprobe/type";

/// What a program of the object is attached by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Tracepoint,
    /// fentry or fexit.
    Trampoline,
    Kprobe,
}

impl std::fmt::Display for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            By::Tracepoint => "BTF tracepoint",
            By::Trampoline => "fentry",
            By::Kprobe => "kprobe",
        })
    }
}

/// A program of the object, and the kernel's function or tracepoint that it is for.
#[derive(Clone, Copy, Debug)]
pub struct At {
    pub by: By,
    pub function: &'static str,
    pub target: &'static str,
}

const fn kprobe(function: &'static str, target: &'static str) -> At {
    At { by: By::Kprobe, function, target }
}

const fn trampoline(function: &'static str, target: &'static str) -> At {
    At { by: By::Trampoline, function, target }
}

/// What is told of together.
pub struct Probe {
    pub name: &'static str,
    /// Best first; each is attached whole or not at all.
    pub ways: &'static [&'static [At]],
    /// Structs whose fields it reads.
    pub reads: &'static [&'static str],
    pub cost: &'static str,
}

const CONNTRACK_STRUCTS: &[&str] = &["sk_buff", "nf_conn", "nf_conntrack_tuple"];

/// Those that read conntrack's entries.
pub const CONNTRACK: [Probe; 2] = [
    Probe {
        name: name::BINDING,
        ways: &[&[At { by: By::Tracepoint, function: "binding", target: "net_dev_queue" }]],
        reads: CONNTRACK_STRUCTS,
        cost: "pods behind a service are watched only once netlink tells of them: early events of the first \
               connection to each may be missed",
    },
    Probe {
        name: name::CONNTRACK,
        ways: &[
            &[
                trampoline("ct_confirmed_exit", "__nf_conntrack_confirm"),
                trampoline("ct_deleted_entry", "nf_ct_delete"),
            ],
            &[
                // The return first: a call that was entered and whose return is not seen would stay in the table.
                kprobe("ct_confirmed", "__nf_conntrack_confirm"),
                kprobe("ct_confirming", "__nf_conntrack_confirm"),
                kprobe("ct_deleted", "nf_ct_delete"),
            ],
        ],
        reads: CONNTRACK_STRUCTS,
        cost: "the end of NAT bindings is not seen",
    },
];

/// Those of ip_vs.
pub const IPVS: [Probe; 3] = [
    Probe {
        name: name::IPVS_DECISION,
        ways: &[],
        reads: &["ip_vs_service", "ip_vs_scheduler", "ip_vs_dest", "netns_ipvs"],
        cost: "decisions of IPVS are not seen: verdicts name no candidates",
    },
    Probe {
        name: name::IPVS_CONN,
        ways: &[&[
            kprobe("conn_made", "ip_vs_conn_new"),
            kprobe("conn_expired", "ip_vs_conn_expire"),
            kprobe("conn_expiring", "ip_vs_conn_expire"),
        ]],
        reads: &["ip_vs_conn", "netns_ipvs"],
        cost: "which destination IPVS sends a connection to is not seen",
    },
    Probe {
        name: name::IPVS_DEST,
        ways: &[&[kprobe("dest_updated", "__ip_vs_update_dest"), kprobe("dest_deleted", "__ip_vs_del_dest")]],
        reads: &["ip_vs_service", "ip_vs_scheduler", "ip_vs_dest", "netns_ipvs", "ip_vs_dest_user_kern"],
        cost: "destinations that are added, edited or deleted are not seen",
    },
];

/// At each scheduler's function; the return first, as above.
pub const OF_A_SCHEDULER: [&str; 2] = ["chosen", "choosing"];

/// What is not known of a program that is attached so: a kernel does not run a program while another runs on the same
/// processor, and counts that for kprobes since 6.7 only (`trace_call_bpf`, `kernel/trace/bpf_trace.c`).
pub fn uncounted(by: By, kernel: Option<KernelVersion>) -> Option<&'static str> {
    let counts = by != By::Kprobe || kernel.is_some_and(|v| v >= KernelVersion::new(6, 7, 0));
    (!counts).then_some("runs that the kernel left out cannot be counted here: it counts them from Linux 6.7 on")
}

/// Something attached, until it is dropped.
pub type Link = Box<dyn Any>;

/// Whether the kernel has kprobes, as far as it shows.
pub fn has_kprobes() -> bool {
    Path::new(KPROBES).exists()
}

/// Loads a program.
pub fn load(bpf: &mut Ebpf, btf: &Btf, at: &At) -> Result<(), String> {
    let program = bpf.program_mut(at.function).ok_or("it is not in the object")?;
    load_once(match program {
        Program::BtfTracePoint(p) => p.load(at.target, btf),
        Program::FEntry(p) => p.load(at.target, btf),
        Program::FExit(p) => p.load(at.target, btf),
        Program::KProbe(_) if !has_kprobes() => return Err("this kernel has none".into()),
        Program::KProbe(p) => p.load(),
        _ => return Err("it is of another kind".into()),
    })
}

/// Attaches a loaded program. A link outlives its module: then there is nothing left at its end.
pub fn attach(bpf: &mut Ebpf, function: &str, target: &str) -> Result<Link, String> {
    let link: Result<Link, ProgramError> = match bpf.program_mut(function).ok_or("it is not in the object")? {
        Program::BtfTracePoint(p) => p.attach().and_then(|l| Ok(Box::new(p.take_link(l)?) as Link)),
        Program::FEntry(p) => p.attach().and_then(|l| Ok(Box::new(p.take_link(l)?) as Link)),
        Program::FExit(p) => p.attach().and_then(|l| Ok(Box::new(p.take_link(l)?) as Link)),
        Program::KProbe(p) => p.attach(target, 0).and_then(|l| Ok(Box::new(p.take_link(l)?) as Link)),
        _ => return Err("it is of another kind".into()),
    };
    link.map_err(|e| reason(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_kprobes_that_were_left_out_are_counted_since_6_7() {
        let uncounted = |by, major, minor| uncounted(by, Some(KernelVersion::new(major, minor, 0))).is_some();
        assert!(uncounted(By::Kprobe, 6, 1) && uncounted(By::Kprobe, 6, 6));
        assert!(!uncounted(By::Kprobe, 6, 7) && !uncounted(By::Kprobe, 7, 0));
        assert!(!uncounted(By::Trampoline, 6, 1) && !uncounted(By::Tracepoint, 6, 1));
    }
}
