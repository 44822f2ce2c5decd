//! What a lab in namespaces needs of the machine, and what is missing. Changes when it needs something else.

use super::program::find;
use nix::sched::{CloneFlags, unshare};

/// Something that a machine may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To make network namespaces and mount their names: root.
    Root,
    /// A program.
    Program {
        /// Its name.
        name: &'static str,
        /// Debian's package that has it.
        package: &'static str,
    },
}

impl Need {
    /// `nft`.
    pub const NFT: Need = Need::Program { name: "nft", package: "nftables" };
    /// `ipvsadm`.
    pub const IPVSADM: Need = Need::Program { name: "ipvsadm", package: "ipvsadm" };
    /// `nsenter`.
    pub const NSENTER: Need = Need::Program { name: "nsenter", package: "util-linux" };
    /// `setpriv`.
    pub const SETPRIV: Need = Need::Program { name: "setpriv", package: "util-linux" };
    /// `ss`.
    pub const SS: Need = Need::Program { name: "ss", package: "iproute2" };
    /// `conntrack`.
    pub const CONNTRACK: Need = Need::Program { name: "conntrack", package: "conntrack" };

    fn is_there(self) -> bool {
        match self {
            Need::Program { name, .. } => find(name).is_some(),
            // On a thread of its own: it cannot come back.
            Need::Root => std::thread::Builder::new()
                .spawn(|| unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).is_ok())
                .is_ok_and(|thread| thread.join().unwrap_or(false)),
        }
    }
}

/// What of this the machine lacks, in words, with what to do about it.
#[must_use]
pub fn missing(needs: &[Need]) -> Vec<String> {
    advice(needs.iter().copied().filter(|need| !need.is_there()).collect())
}

fn advice(missing: Vec<Need>) -> Vec<String> {
    let mut told = Vec::new();
    if missing.contains(&Need::Root) {
        told.push("root (CAP_SYS_ADMIN and CAP_NET_ADMIN), for network namespaces: run it with sudo".to_owned());
    }
    let programs = missing.into_iter().filter_map(|need| match need {
        Need::Program { name, package } => Some((name, package)),
        Need::Root => None,
    });
    let (names, mut packages): (Vec<_>, Vec<_>) = programs.unzip();
    packages.dedup();
    if !names.is_empty() {
        let (names, packages) = (names.join(", "), packages.join(" "));
        told.push(format!("{names}: apt-get install --no-install-recommends {packages}"));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_with_its_remedy() {
        assert_eq!(advice(vec![]), [""; 0]);
        assert_eq!(
            advice(vec![Need::Root, Need::NFT, Need::IPVSADM]),
            [
                "root (CAP_SYS_ADMIN and CAP_NET_ADMIN), for network namespaces: run it with sudo",
                "nft, ipvsadm: apt-get install --no-install-recommends nftables ipvsadm"
            ]
        );
        let none = Need::Program { name: "tg-no-such-program", package: "none" };
        assert!(missing(&[none])[0].contains("tg-no-such-program"));
    }
}
