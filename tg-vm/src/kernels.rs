//! The kernels there are. Changes when one comes or goes, or when a test needs another module.

/// One of Debian's kernels.
#[derive(Debug, PartialEq, Eq)]
pub struct Kernel {
    /// What `--kernel` calls it, and its directory in the cache.
    pub name: &'static str,
    /// The package that depends on the one with the newest image.
    pub package: &'static str,
    /// Where it comes from: a mirror, a suite and a component each, as in apt's sources.list.
    pub sources: &'static [&'static str],
    /// Modules that a command may load. A kernel without one of them is refused when it is unpacked.
    pub modules: &'static [&'static str],
}

/// All of them; the first is the default.
pub const KERNELS: [Kernel; 2] = [
    Kernel {
        name: "6.1",
        package: "linux-image-amd64",
        sources: &[
            "http://deb.debian.org/debian bookworm main",
            "http://deb.debian.org/debian-security bookworm-security main",
        ],
        modules: &MODULES,
    },
    Kernel {
        name: "backports",
        package: "linux-image-amd64",
        sources: &["http://deb.debian.org/debian bookworm-backports main"],
        modules: &MODULES,
    },
];

const MODULES: [&str; 25] = [
    "ip_vs",
    "ip_vs_rr",
    "ip_vs_wrr",
    "ip_vs_lc",
    "ip_vs_wlc",
    "ip_vs_sh",
    "ip_vs_mh",
    "ip_vs_dh",
    "ip_vs_sed",
    "ip_vs_nq",
    "ip_vs_fo",
    "ip_vs_ovf",
    "ip_vs_lblc",
    "ip_vs_lblcr",
    "nf_conntrack",
    "nf_conntrack_netlink",
    "nf_tables",
    "nft_chain_nat",
    "nft_ct",
    "nft_masq",
    "nft_nat",
    "nft_reject_inet",
    "sch_netem",
    "veth",
    "dummy",
];

/// Modules that the guest needs before it can see the host's files, in any order.
pub(crate) const BOOT_MODULES: [&str; 5] = ["virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay"];

/// The kernel of that name.
#[must_use]
pub fn kernel(name: &str) -> Option<&'static Kernel> {
    KERNELS.iter().find(|kernel| kernel.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_can_be_directories() {
        let names: HashSet<_> = KERNELS.iter().map(|kernel| kernel.name).collect();
        assert_eq!(names.len(), KERNELS.len());
        for name in names {
            assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.'), "{name}");
            assert!(name.starts_with(|c: char| c.is_ascii_alphanumeric()), "{name}");
        }
    }

    #[test]
    fn a_kernel_is_found_by_its_name() {
        assert_eq!(kernel("6.1"), Some(&KERNELS[0]));
        assert_eq!(kernel("6"), None);
    }
}
