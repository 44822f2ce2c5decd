//! Tests that a machine may be unable to run: they show as ignored, with the reason, never as passed.
//!
//! `TG_MUST_RUN` names capabilities (comma between) that somebody found on this machine by other means:
//! lacking one of them then fails the run.

#![allow(dead_code, reason = "not every test binary needs all of it")]

use libtest_mimic::{Arguments, Failed, Trial};
use std::process::ExitCode;
use std::sync::{PoisonError, RwLock};

/// Something that a machine may lack. The names are those that `.ci/probe` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// io_uring, as the engine uses it.
    Uring,
    /// IPv6 on loopback.
    Ipv6,
    /// A few thousand open files.
    Descriptors,
    /// Network namespaces, and `ip` to set one up.
    Netns,
    /// A tmpfs in a mount namespace.
    Tmpfs,
    /// SCHED_FIFO.
    Realtime,
    /// To run something as another user.
    Root,
    /// /dev/full.
    Devfull,
    /// What a virtual machine needs; its kernel is downloaded.
    Vm,
    /// To load programs into the kernel, and its BTF.
    Bpf,
    /// nftables, with NAT.
    Nft,
    /// tcpdump.
    Capture,
    /// IPVS, in the kernel or as a module.
    Ipvs,
    /// ipvsadm, for a guest whose kernel has IPVS.
    Ipvsadm,
    /// nft, for a guest.
    Nftables,
    /// To make a cgroup of version 2.
    Cgroup,
}

impl Capability {
    fn name(self) -> &'static str {
        match self {
            Capability::Uring => "uring",
            Capability::Ipv6 => "ipv6",
            Capability::Descriptors => "descriptors",
            Capability::Netns => "netns",
            Capability::Tmpfs => "tmpfs",
            Capability::Realtime => "realtime",
            Capability::Root => "root",
            Capability::Devfull => "devfull",
            Capability::Vm => "vm",
            Capability::Bpf => "bpf",
            Capability::Nft => "nft",
            Capability::Capture => "capture",
            Capability::Ipvs => "ipvs",
            Capability::Ipvsadm => "ipvsadm",
            Capability::Nftables => "nftables",
            Capability::Cgroup => "cgroup",
        }
    }

    /// Why the machine lacks it.
    fn missing(self) -> Option<String> {
        match self {
            Capability::Uring => tg_core::doctor::probe_uring().err(),
            Capability::Descriptors => match tg_core::sys::limits::raise_descriptors(4096) {
                Ok(4096..) => None,
                Ok(few) => Some(format!("only {few} may be open")),
                Err(e) => Some(e.to_string()),
            },
            Capability::Ipv6 => std::net::UdpSocket::bind("[::1]:0").err().map(|e| e.to_string()),
            Capability::Netns => failure("unshare -n ip link set lo up"),
            Capability::Tmpfs => failure("unshare -m mount -t tmpfs -o size=16k none /mnt"),
            Capability::Realtime => tg_core::doctor::realtime().err().map(|e| e.to_string()),
            Capability::Root => failure("setpriv --reuid=65534 --clear-groups true"),
            Capability::Vm => failure("dpkg-query -W qemu-system-x86 busybox-static kmod"),
            Capability::Bpf => bpf_missing(),
            Capability::Nft => {
                failure("unshare -n nft add table ip tg; add chain ip tg c { type nat hook prerouting priority 0; }")
            }
            Capability::Capture => failure("tcpdump --version"),
            Capability::Ipvs => failure("modprobe ip_vs").filter(|_| !std::path::Path::new("/proc/net/ip_vs").exists()),
            Capability::Ipvsadm => failure("dpkg-query -W ipvsadm conntrack"),
            Capability::Nftables => failure("nft --version"),
            Capability::Cgroup => match cgroups() {
                Some(at) => tempfile::tempdir_in(at).err().map(|e| e.to_string()),
                None => Some("no cgroup2 is mounted".into()),
            },
            Capability::Devfull => {
                std::fs::OpenOptions::new().write(true).open("/dev/full").err().map(|e| e.to_string())
            }
        }
    }
}

/// Where cgroups of version 2 are.
pub fn cgroups() -> Option<std::path::PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let of = |line: &str| Some(line.split(' ').nth(1)?.into());
    mounts.lines().find(|l| l.split(' ').nth(2) == Some("cgroup2")).and_then(of)
}

/// Why programs cannot be loaded into the kernel.
fn bpf_missing() -> Option<String> {
    const PERFMON_AND_BPF: u64 = 3 << 38;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|l| u64::from_str_radix(l.strip_prefix("CapEff:")?.trim(), 16).ok());
    match effective {
        Some(has) if has & PERFMON_AND_BPF == PERFMON_AND_BPF => {
            std::fs::File::open("/sys/kernel/btf/vmlinux").err().map(|e| format!("/sys/kernel/btf/vmlinux: {e}"))
        }
        _ => Some("CAP_BPF or CAP_PERFMON is not there".into()),
    }
}

/// Why a command fails; `None` where it does not.
fn failure(command: &str) -> Option<String> {
    let mut words = command.split(' ');
    let output = std::process::Command::new(words.next()?).args(words).output();
    match output {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("`{command}`: {}", String::from_utf8_lossy(&output.stderr).trim_end())),
        Err(error) => Some(format!("`{command}`: {error}")),
    }
}

/// A lab's number, and its names in `/run/netns`, are the host's: the next lab takes what has become free, and removes what
/// it finds of dead ones. Who looks for what is left of a lab holds this alone, the others hold it together.
static LABS: RwLock<()> = RwLock::new(());

/// With other tests of labs beside it.
pub fn together(body: fn()) -> impl FnOnce() + Send + 'static {
    move || {
        let _held = LABS.read().unwrap_or_else(PoisonError::into_inner);
        body();
    }
}

/// With none beside it.
pub fn alone(body: fn()) -> impl FnOnce() + Send + 'static {
    move || {
        let _held = LABS.write().unwrap_or_else(PoisonError::into_inner);
        body();
    }
}

/// A list of tests for one test binary.
#[derive(Default)]
pub struct Suite {
    trials: Vec<Trial>,
    known: Vec<(Capability, Option<String>)>,
    /// How many run at once; `None`: one a processor.
    at_once: Option<usize>,
}

impl Suite {
    /// For tests that wait more than they work: so many of them run at once.
    pub fn waiting(at_once: usize) -> Suite {
        Suite { at_once: Some(at_once), ..Suite::default() }
    }

    /// Adds a test that can run where every one of `needs` is there.
    pub fn test(&mut self, name: String, needs: &[Capability], body: impl FnOnce() + Send + 'static) {
        let missing = needs.iter().find_map(|need| self.missing(*need));
        let must = std::env::var("TG_MUST_RUN").unwrap_or_default();
        let trial = match missing {
            None => Trial::test(name, || {
                body();
                Ok(())
            }),
            Some((need, why)) if must.split(',').any(|m| m == need.name()) => {
                Trial::test(name, move || Err(Failed::from(format!("this machine has {}, but: {why}", need.name()))))
            }
            Some((need, why)) => Trial::test(name, || Ok(()))
                .with_kind(format!("SKIPPED, needs {}: {why}", need.name()))
                .with_ignored_flag(true),
        };
        self.trials.push(trial);
    }

    fn missing(&mut self, need: Capability) -> Option<(Capability, String)> {
        if !self.known.iter().any(|(c, _)| *c == need) {
            self.known.push((need, need.missing()));
        }
        let (_, why) = self.known.iter().find(|(c, _)| *c == need)?;
        why.clone().map(|why| (need, why))
    }

    /// Runs them.
    pub fn run(self) -> ExitCode {
        let mut arguments = Arguments::from_args();
        // `--ignored` would pass what could not be run.
        arguments.ignored = false;
        arguments.include_ignored = false;
        arguments.test_threads = arguments.test_threads.or(self.at_once);
        libtest_mimic::run(&arguments, self.trials).exit_code()
    }
}
