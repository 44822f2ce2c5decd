//! Which programs there are, and attaching them. Changes when a program or a way to attach one is added.

use super::enter;
use super::error::ObserveError;
use super::fields::{Fields, Group};
use super::legacy_tc::LegacyTc;
use super::probes::Link;
use crate::name;
use crate::place::Interface;
use aya::programs::tc::TcAttachOptions;
use aya::programs::{BtfTracePoint, LinkOrder, ProgramError, SchedClassifier, TcAttachType, Xdp, XdpMode};
use aya::util::KernelVersion;
use aya::{Btf, Ebpf, EbpfLoader};
use std::collections::HashMap;
use std::os::linux::fs::MetadataExt;
use tg_ebpf_common::program;
use tg_model::node_event::{Netns, ProgramStatus, TimeSource};

#[cfg(target_arch = "x86_64")]
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../object/tg-x86_64.o");
#[cfg(not(target_arch = "x86_64"))]
static OBJECT: &[u8] = &[];

/// A program at a BTF tracepoint.
struct Tracepoint {
    name: &'static str,
    function: &'static str,
    tracepoint: &'static str,
    reads: &'static [Group],
    cost: &'static str,
}

const TRACEPOINTS: [Tracepoint; 4] = [
    Tracepoint {
        name: name::SEND_RESET,
        function: "send_reset",
        tracepoint: "tcp_send_reset",
        reads: &[Group::Namespace, Group::Socket, Group::Packet],
        cost: "who sent a reset, and why, is not known",
    },
    Tracepoint {
        name: name::RECEIVE_RESET,
        function: "receive_reset",
        tracepoint: "tcp_receive_reset",
        reads: &[Group::Namespace, Group::Socket],
        cost: "resets that arrive are not seen: a firewall's reject stays unattributed",
    },
    Tracepoint {
        name: name::TCP_STATE,
        function: "set_state",
        tracepoint: "inet_sock_set_state",
        reads: &[Group::Namespace, Group::Socket],
        cost: "user time-outs and orderly closes are not seen",
    },
    Tracepoint {
        name: name::DROP,
        function: "drop",
        tracepoint: "kfree_skb",
        reads: &[Group::Namespace, Group::Socket, Group::Packet],
        cost: "packets that the kernel drops are not seen",
    },
];

/// The name of each list of `STATS`, in its order.
pub const STATS: [&str; program::COUNT as usize] = [
    name::SEND_RESET,
    name::RECEIVE_RESET,
    name::TCP_STATE,
    name::BINDING,
    name::DROP,
    name::SEGMENTS,
    name::CONNTRACK,
    name::IPVS_DECISION,
    name::IPVS_CONN,
    name::IPVS_DEST,
];

/// What is loaded and attached; detached when dropped.
pub struct Programs {
    pub bpf: Ebpf,
    /// One for each program, and for each interface.
    pub status: Vec<ProgramStatus>,
    /// By index: name and namespace.
    pub interfaces: HashMap<u32, (String, Netns)>,
    legacy: Option<LegacyTc>,
    links: Vec<Link>,
}

impl Programs {
    /// Loads the object and attaches what this kernel lets. `legacy_tc`: also by filters that outlive a process that
    /// is killed.
    pub fn attach(
        fields: &Fields,
        btf: &Btf,
        interfaces: &[Interface],
        legacy_tc: bool,
    ) -> Result<Programs, ObserveError> {
        if OBJECT.is_empty() {
            return Err(ObserveError::Architecture(std::env::consts::ARCH));
        }
        let mut loader = EbpfLoader::new();
        loader.btf(Some(btf));
        for (constant, value) in &fields.constants {
            loader.override_global(constant, value, true);
        }
        let bpf = loader.load(OBJECT).map_err(|e| ObserveError::Load(chain(&e)))?;
        let mut programs =
            Programs { bpf, status: Vec::new(), interfaces: HashMap::new(), legacy: None, links: Vec::new() };
        if legacy_tc {
            programs.legacy = Some(LegacyTc::start().map_err(ObserveError::LegacyTc)?);
        }
        for tracepoint in &TRACEPOINTS {
            let attached = match fields.missing(tracepoint.reads) {
                Some(why) => Err(why),
                None => programs.trace(tracepoint, btf),
            };
            programs.status.push(status(tracepoint, attached));
        }
        for interface in interfaces {
            programs.watch(interface)?;
        }
        Ok(programs)
    }

    fn trace(&mut self, tracepoint: &Tracepoint, btf: &Btf) -> Result<(), String> {
        let program = self.bpf.program_mut(tracepoint.function).ok_or("it is not in the object")?;
        let program: &mut BtfTracePoint = program.try_into().map_err(|e| reason(&e))?;
        program.load(tracepoint.tracepoint, btf).map_err(|e| reason(&e))?;
        let link = program.attach().and_then(|id| program.take_link(id)).map_err(|e| reason(&e))?;
        self.links.push(Box::new(link));
        Ok(())
    }

    /// Records nothing any more; what the programs have counted can still be read.
    pub fn detach(&mut self) {
        self.links.clear();
        self.legacy = None;
    }

    /// An interface that was asked for and cannot be watched is an error: somebody would take its silence for
    /// calm.
    fn watch(&mut self, interface: &Interface) -> Result<(), ObserveError> {
        let wrong = |error: String| ObserveError::Interface { interface: interface.to_string(), error };
        let (index, netns) = place_of(interface)?;
        if let Some((other, theirs)) = self.interfaces.get(&index)
            && theirs.inode != netns.inode
        {
            return Err(wrong(format!(
                "it has index {index} in its namespace as {other} has in its own, and the programs tell interfaces \
                 by index: watch the other end of one of them"
            )));
        }
        let tcx = has_tcx();
        let mut refused = if tcx { Vec::new() } else { vec!["tcx: it came with 6.6".to_owned()] };
        let mut ways = Vec::new();
        // Without tcx and without leave to do otherwise, XDP is what ends with the process.
        if interface.xdp || !tcx && self.legacy.is_none() {
            match self.attach_xdp(interface) {
                Ok(()) => ways.push("XDP (generic) in"),
                Err(why) => refused.push(format!("XDP on {interface}: {why}")),
            }
        }
        let in_already = !ways.is_empty();
        if tcx || self.legacy.is_some() {
            if !in_already {
                self.attach_tc(interface, "tcx_in", TcAttachType::Ingress).map_err(wrong)?;
                ways.push(if tcx { "tcx in" } else { "clsact in" });
            }
            self.attach_tc(interface, "tcx_out", TcAttachType::Egress).map_err(wrong)?;
            ways.push(if tcx { "tcx out" } else { "clsact out" });
        } else if !in_already {
            return Err(wrong(refused.join(", ")));
        }
        self.interfaces.insert(index, (interface.name.clone(), netns));
        self.status.push(ProgramStatus {
            program: name::SEGMENTS.into(),
            way: Some(format!("{} on {interface}", ways.join(", "))),
            refused,
            cost: (!tcx && self.legacy.is_none()).then(|| "what leaves is not counted: --legacy-tc does".into()),
            times: TimeSource::Kernel,
        });
        Ok(())
    }

    fn attach_xdp(&mut self, interface: &Interface) -> Result<(), String> {
        let program = self.bpf.program_mut("xdp_in").ok_or("it is not in the object")?;
        let program: &mut Xdp = program.try_into().map_err(|e| reason(&e))?;
        load_once(program.load())?;
        let attach = || program.attach(&interface.name, XdpMode::Skb).and_then(|id| program.take_link(id));
        let link = at(interface, attach)?;
        self.links.push(Box::new(link));
        Ok(())
    }

    fn attach_tc(&mut self, interface: &Interface, function: &str, way: TcAttachType) -> Result<(), String> {
        let program = self.bpf.program_mut(function).ok_or("it is not in the object")?;
        let program: &mut SchedClassifier = program.try_into().map_err(|e| reason(&e))?;
        load_once(program.load())?;
        if let Some(legacy) = self.legacy.as_mut().filter(|_| !has_tcx()) {
            return legacy.attach(program, interface, way == TcAttachType::Egress);
        }
        // By a link, which ends with the process; what aya takes by itself before 6.6 would stay.
        let options = TcAttachOptions::TcxOrder(LinkOrder::default());
        let attach = || program.attach_with_options(&interface.name, way, options).and_then(|id| program.take_link(id));
        let link = at(interface, attach)?;
        self.links.push(Box::new(link));
        Ok(())
    }
}

/// The kernel's types, as aya has them.
pub fn kernel_btf() -> Result<Btf, ObserveError> {
    Btf::from_sys_fs().map_err(|e| ObserveError::Btf { path: super::fields::VMLINUX, error: e.to_string() })
}

/// Attaches in the interface's namespace.
fn at<T: Send>(interface: &Interface, attach: impl FnOnce() -> Result<T, ProgramError> + Send) -> Result<T, String> {
    let attached = match &interface.netns {
        None => attach(),
        Some(name) => enter::within(&enter::file_of(name), attach).map_err(|e| e.to_string())?,
    };
    attached.map_err(|e| reason(&e))
}

pub fn load_once(loaded: Result<(), ProgramError>) -> Result<(), String> {
    match loaded {
        Ok(()) | Err(ProgramError::AlreadyLoaded) => Ok(()),
        Err(e) => Err(reason(&e)),
    }
}

/// It came with 6.6.
fn has_tcx() -> bool {
    KernelVersion::current().is_ok_and(|v| v >= KernelVersion::new(6, 6, 0))
}

/// An interface's index, and its namespace.
fn place_of(interface: &Interface) -> Result<(u32, Netns), ObserveError> {
    let look = || -> std::io::Result<(u32, u64)> {
        let index = nix::net::if_::if_nametoindex(interface.name.as_str())?;
        Ok((index, std::fs::metadata("/proc/thread-self/ns/net")?.st_ino()))
    };
    let found = match &interface.netns {
        None => look(),
        Some(name) => enter::within(&enter::file_of(name), look)
            .map_err(|error| ObserveError::Namespace { name: name.clone(), error })?,
    };
    let wrong = |e: std::io::Error| ObserveError::Interface { interface: interface.to_string(), error: e.to_string() };
    let (index, inode) = found.map_err(wrong)?;
    Ok((index, Netns { inode: u32::try_from(inode).unwrap_or(0), cookie: 0, name: interface.netns.clone() }))
}

fn status(tracepoint: &Tracepoint, attached: Result<(), String>) -> ProgramStatus {
    let way = format!("BTF tracepoint {}", tracepoint.tracepoint);
    let (way, refused, cost) = match attached {
        Ok(()) => (Some(way), Vec::new(), None),
        Err(why) => (None, vec![format!("{way}: {why}")], Some(tracepoint.cost.into())),
    };
    ProgramStatus { program: tracepoint.name.into(), way, refused, cost, times: TimeSource::Kernel }
}

/// The verifier's log is pages long: its last words are what it refused.
pub fn reason(error: &ProgramError) -> String {
    let ProgramError::LoadError { io_error, verifier_log } = error else { return chain(error) };
    let log = verifier_log.to_string();
    let said = log.lines().rev().map(str::trim).find(|l| !l.is_empty() && !l.starts_with("processed "));
    match said {
        Some(said) => format!("{io_error}: {said}"),
        None => io_error.to_string(),
    }
}

/// An error and what caused it, each once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}
