//! Which address is whose. Changes when the lab's numbering does.
//!
//! An observer sees all of a host, so labs that run side by side have different addresses. Lab `n` has
//! `10.(128+n).0.0/16` and `fd74:6700:n::/48` ("tg"): link 0 is the client's, link `k` is node `k`'s, link `64+k`
//! holds the pods of node `k`. Its services are `192.0.2.(n+1)` and `2001:db8::(n+1)`, of the ranges for
//! documentation: no real network has them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    /// Bits of an address.
    pub(crate) fn bits(self) -> u8 {
        match self {
            Family::V4 => 32,
            Family::V6 => 128,
        }
    }

    /// Bits of a link's prefix.
    pub(crate) fn link_bits(self) -> u8 {
        match self {
            Family::V4 => 24,
            Family::V6 => 64,
        }
    }

    /// The address that stands for every one.
    pub(crate) fn any(self) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
        }
    }

    /// What a pod takes for its gateway: on each node the same, on no wire.
    pub(crate) fn pod_gateway(self) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::new(169, 254, 1, 1).into(),
            Family::V6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).into(),
        }
    }
}

/// Where the links of the pods begin.
const POD_LINKS: u8 = 64;
/// The router is host 1 of every link, the client and the nodes are host 2.
const ROUTER: u8 = 1;
const OTHER: u8 = 2;

/// The addresses of one lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    lab: u8,
}

impl Addresses {
    /// Of the lab of this number, below [`LABS_MAX`](super::LABS_MAX).
    #[must_use]
    pub fn new(lab: u8) -> Addresses {
        Addresses { lab }
    }

    /// The service's.
    #[must_use]
    pub fn vip(self, family: Family) -> IpAddr {
        let last = self.lab.saturating_add(1);
        match family {
            Family::V4 => Ipv4Addr::new(192, 0, 2, last).into(),
            Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()).into(),
        }
    }

    /// The client's.
    #[must_use]
    pub fn client(self, family: Family) -> IpAddr {
        self.host(family, 0, OTHER)
    }

    /// The router's on the client's link.
    pub(crate) fn router_at_client(self, family: Family) -> IpAddr {
        self.host(family, 0, ROUTER)
    }

    /// The router's on a node's link.
    pub(crate) fn router_at(self, family: Family, node: u8) -> IpAddr {
        self.host(family, node, ROUTER)
    }

    /// A node's; nodes count from 1.
    #[must_use]
    pub fn node(self, family: Family, node: u8) -> IpAddr {
        self.host(family, node, OTHER)
    }

    /// A pod's; a node's pods count from 1.
    #[must_use]
    pub fn pod(self, family: Family, node: u8, pod: u8) -> IpAddr {
        self.host(family, POD_LINKS + node, pod)
    }

    /// What every pod of a node has in common: the address of the link, [`Family::link_bits`] long.
    pub(crate) fn pods_of(self, family: Family, node: u8) -> IpAddr {
        self.pod(family, node, 0)
    }

    fn host(self, family: Family, link: u8, host: u8) -> IpAddr {
        match family {
            Family::V4 => Ipv4Addr::new(10, self.lab.saturating_add(128), link, host).into(),
            Family::V6 => Ipv6Addr::new(0xfd74, 0x6700, self.lab.into(), link.into(), 0, 0, 0, host.into()).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LABS_MAX, NODES_MAX};
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn labs_nodes_and_pods_share_no_address() {
        for family in [Family::V4, Family::V6] {
            let mut all = HashSet::new();
            for lab in 0..LABS_MAX {
                let a = Addresses::new(lab);
                let mut new = |address| assert!(all.insert(address), "{address} twice");
                [a.vip(family), a.client(family), a.router_at_client(family)].into_iter().for_each(&mut new);
                for node in 1..=NODES_MAX {
                    [a.router_at(family, node), a.node(family, node)].into_iter().for_each(&mut new);
                    [1, 254].map(|pod| a.pod(family, node, pod)).into_iter().for_each(&mut new);
                }
            }
        }
    }

    #[test]
    fn they_read_as_documented() {
        let a = Addresses::new(3);
        let both = |of: &dyn Fn(Family) -> IpAddr| [of(Family::V4).to_string(), of(Family::V6).to_string()];
        assert_eq!(both(&|f| a.vip(f)), ["192.0.2.4", "2001:db8::4"]);
        assert_eq!(both(&|f| a.client(f)), ["10.131.0.2", "fd74:6700:3::2"]);
        assert_eq!(both(&|f| a.node(f, 2)), ["10.131.2.2", "fd74:6700:3:2::2"]);
        assert_eq!(both(&|f| a.pod(f, 2, 9)), ["10.131.66.9", "fd74:6700:3:42::9"]);
        assert_eq!(both(&|f| a.pods_of(f, 1)), ["10.131.65.0", "fd74:6700:3:41::"]);
    }
}
