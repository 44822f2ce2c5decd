//! What is done to a namespace's links, addresses and routes. Shown as `ip` would be told. Changes when the lab
//! does something else to them.

use std::fmt;
use std::net::IpAddr;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A link to another namespace, where it is called `eth0`.
    Veth { link: String, peer: String },
    /// A link that leads nowhere.
    Dummy { link: String },
    /// A link is up, or down.
    Set { link: String, up: bool },
    /// A link, and its other end, is gone.
    Delete { link: String },
    /// A link has an address; of IPv6 without duplicate address detection, which would keep it from being used for
    /// a second.
    Address { address: IpAddr, bits: u8, link: String, scope: Scope },
    /// What goes there goes this way; in place of the way that there was.
    Route { to: IpAddr, bits: u8, way: Way },
}

/// Where an address is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everywhere.
    Global,
    /// On the link alone: no packet of the host's own begins there.
    Link,
}

/// A way that packets go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To a neighbour on a link.
    Link(String),
    /// By a router on a link; by several, each flow by one of them.
    Routers(Vec<(IpAddr, String)>),
    /// They are dropped.
    Nowhere,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Veth { link, peer } => write!(f, "link add {link} type veth peer name eth0 netns {peer}"),
            Step::Dummy { link } => write!(f, "link add {link} type dummy"),
            Step::Set { link, up } => write!(f, "link set {link} {}", if *up { "up" } else { "down" }),
            Step::Delete { link } => write!(f, "link delete {link}"),
            Step::Address { address, bits, link, scope } => {
                let nodad = if address.is_ipv6() { " nodad" } else { "" };
                let scope = if *scope == Scope::Link { " scope link" } else { "" };
                write!(f, "addr replace {address}/{bits} dev {link}{nodad}{scope}")
            }
            Step::Route { to, bits, way } => match way {
                Way::Link(link) => write!(f, "route replace {to}/{bits} dev {link}"),
                Way::Nowhere => write!(f, "route replace blackhole {to}/{bits}"),
                Way::Routers(routers) => {
                    write!(f, "route replace {to}/{bits}")?;
                    let several = if routers.len() > 1 { " nexthop" } else { "" };
                    routers.iter().try_for_each(|(by, link)| write!(f, "{several} via {by} dev {link}"))
                }
            },
        }
    }
}
