//! Where something was seen: tuples, namespaces, directions. Changes when what tells two places apart does.

use crate::named::named;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// A packet's, or a connection's, ends as somebody saw them at one place: NAT changes them on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Tuple {
    /// Where it comes from.
    #[cfg_attr(test, schemars(with = "String"))]
    pub src: SocketAddr,
    /// Where it goes to.
    #[cfg_attr(test, schemars(with = "String"))]
    pub dst: SocketAddr,
}

impl Tuple {
    /// The way back.
    pub fn reversed(self) -> Tuple {
        Tuple { src: self.dst, dst: self.src }
    }
}

impl std::fmt::Display for Tuple {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} > {}", self.src, self.dst)
    }
}

/// A network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Netns {
    /// Inode of the namespace's file (`ns.inum`). The kernel uses it again once the namespace is gone.
    pub inode: u32,
    /// What SO_NETNS_COOKIE gives there; never used again in one boot. 0 where it is not known.
    pub cookie: u64,
    /// Its name in /run/netns, or the pod or container that it belongs to, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl std::fmt::Display for Netns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name),
            None => write!(f, "netns {}", self.inode),
        }
    }
}

named! {
    /// Which way something goes, seen from an interface or a socket.
    Direction {
        /// Into this host, or this namespace.
        In = "in",
        /// Out of it.
        Out = "out",
    }
}

/// Bits of a conntrack entry's `status` (`include/uapi/linux/netfilter/nf_conntrack_common.h`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct ConntrackStatus(pub u32);

impl ConntrackStatus {
    /// Packets went both ways.
    pub fn seen_reply(self) -> bool {
        self.0 & 1 << 1 != 0
    }

    /// Its source was changed (masquerade).
    pub fn source_nat(self) -> bool {
        self.0 & 1 << 4 != 0
    }

    /// Its destination was changed (a service's address to a pod's).
    pub fn destination_nat(self) -> bool {
        self.0 & 1 << 5 != 0
    }
}
