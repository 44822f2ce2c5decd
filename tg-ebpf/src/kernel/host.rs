//! What this host gives an observer, found without attaching anything. Changes when something else is wanted.

use super::fields::{VMLINUX, kernel_types};
use super::probes::has_kprobes;
use super::rights;
use aya::util::KernelVersion;
use std::fs;
use std::path::Path;

/// One thing that an observer wants of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub about: &'static str,
    /// What was found.
    pub found: String,
    /// What to change; `None` where it is well.
    pub change: Option<String>,
    /// Without it nothing can be observed.
    pub needed: bool,
}

/// Looks at all of it.
pub fn findings() -> Vec<Finding> {
    vec![kernel(), btf(), capabilities(), lockdown(), kprobes(), tracefs(), conntrack(), conntrack_events()]
}

fn line(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|s| s.trim().to_owned())
}

fn well(about: &'static str, found: impl Into<String>) -> Finding {
    Finding { about, found: found.into(), change: None, needed: false }
}

fn kernel() -> Finding {
    let release = line("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".into());
    let found = format!("{release}, {}", std::env::consts::ARCH);
    let object = cfg!(target_arch = "x86_64");
    let old = KernelVersion::current().is_ok_and(|v| v < KernelVersion::new(5, 11, 0));
    let change = match (object, old) {
        (false, _) => Some("this build has programs for x86_64 only".into()),
        (true, true) => Some("5.11 or later is needed: BTF tracepoints, ring buffer".into()),
        (true, false) => None,
    };
    Finding { about: "kernel", found, needed: change.is_some(), change }
}

fn btf() -> Finding {
    match kernel_types() {
        Ok(_) => well("BTF", format!("{VMLINUX} is there")),
        Err(e) => Finding {
            about: "BTF",
            found: e.to_string(),
            change: Some("a kernel with CONFIG_DEBUG_INFO_BTF is needed".into()),
            needed: true,
        },
    }
}

fn capabilities() -> Finding {
    let missing = rights::missing();
    if missing.is_empty() {
        return well("capabilities", format!("{} are there", rights::names()));
    }
    let names: Vec<String> = missing.iter().map(|(c, why)| format!("{c} ({why})")).collect();
    Finding {
        about: "capabilities",
        found: format!("missing: {}", names.join(", ")),
        change: Some(format!("run as root, or give the binary {}", rights::names())),
        needed: missing.iter().any(|(c, _)| rights::is_needed(*c)),
    }
}

fn lockdown() -> Finding {
    match line("/sys/kernel/security/lockdown") {
        None => well("lockdown", "the kernel has none, or does not show it"),
        Some(modes) if modes.contains("[confidentiality]") => Finding {
            about: "lockdown",
            found: modes,
            change: Some("`confidentiality` forbids reading the kernel's memory: boot with lockdown=integrity".into()),
            needed: true,
        },
        Some(modes) => well("lockdown", modes),
    }
}

fn kprobes() -> Finding {
    let ipvs = match Path::new("/sys/module/ip_vs").exists() {
        true => "ip_vs is there",
        false => "ip_vs is not loaded: it is attached to when it is",
    };
    match has_kprobes() {
        true => well("kprobes", format!("the kernel has them; {ipvs}")),
        false => well("kprobes", "the kernel has none: no decisions of IPVS, conntrack by netlink"),
    }
}

fn tracefs() -> Finding {
    let looked = ["/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events"].map(|p| Path::new(p).try_exists());
    let found = match looked {
        looked if looked.iter().any(|l| matches!(l, Ok(true))) => "mounted",
        looked if looked.iter().any(Result::is_err) => "not to be read without privileges: nothing here needs it",
        _ => "not mounted: nothing here needs it",
    };
    well("tracefs", found)
}

fn conntrack() -> Finding {
    match line("/proc/sys/net/netfilter/nf_conntrack_count") {
        Some(count) => well("conntrack", format!("{count} entries in this namespace")),
        None => Finding {
            about: "conntrack",
            found: "not there: NAT cannot be undone".into(),
            change: Some("modprobe nf_conntrack, or load a rule that uses it".into()),
            needed: false,
        },
    }
}

fn conntrack_events() -> Finding {
    let about = "conntrack events";
    match line("/proc/sys/net/netfilter/nf_conntrack_events").as_deref() {
        Some("1") => well(about, "for every entry"),
        Some("2") => Finding {
            about,
            found: "only of entries that are made while somebody listens".into(),
            change: Some("sysctl net.netfilter.nf_conntrack_events=1 tells of older ones' end, too".into()),
            needed: false,
        },
        Some(_) => Finding {
            about,
            found: "off".into(),
            change: Some("sysctl net.netfilter.nf_conntrack_events=1".into()),
            needed: false,
        },
        None => well(about, "the kernel has none"),
    }
}
