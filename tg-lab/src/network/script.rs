//! What `ip -batch` is told: pure text. Changes when the lab's links, addresses or routes do.

use super::address::{Addresses, Family};
use std::fmt::Write;

/// The lab that the scripts are for.
#[derive(Clone, Debug)]
pub struct Plan {
    pub addresses: Addresses,
    pub families: Vec<Family>,
    /// Nodes count from 1.
    pub nodes: u8,
}

/// A pod's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub node: u8,
    /// Its number on that node, from 1.
    pub pod: u8,
}

impl Place {
    /// The node's end of the pod's link.
    pub fn interface(self) -> String {
        format!("pod{}", self.pod)
    }
}

/// A script as it grows. Writing to a `String` cannot fail.
#[derive(Default)]
struct Script(String);

impl Script {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let _ = self.0.write_fmt(line);
        self.0.push('\n');
    }
}

macro_rules! line {
    ($script:expr, $($text:tt)*) => { $script.line(format_args!($($text)*)) };
}

/// Without duplicate address detection: it would keep an address from being used for a second.
fn nodad(family: Family) -> &'static str {
    match family {
        Family::V4 => "",
        Family::V6 => " nodad",
    }
}

impl Plan {
    /// In the router: its links to the client and the nodes, and the way to the pods.
    pub fn router(&self, name: impl Fn(&str) -> String) -> String {
        let (mut s, a) = (Script::default(), self.addresses);
        line!(s, "link set lo up");
        line!(s, "link add client type veth peer name eth0 netns {}", name("client"));
        for node in 1..=self.nodes {
            line!(s, "link add node{node} type veth peer name eth0 netns {}", name(&format!("node-{node}")));
        }
        for &family in &self.families {
            let (bits, nodad) = (family.link_bits(), nodad(family));
            line!(s, "addr add {}/{bits} dev client{nodad}", a.router_at_client(family));
            for node in 1..=self.nodes {
                line!(s, "addr add {}/{bits} dev node{node}{nodad}", a.router_at(family, node));
            }
        }
        line!(s, "link set client up");
        (1..=self.nodes).for_each(|node| line!(s, "link set node{node} up"));
        for &family in &self.families {
            for node in 1..=self.nodes {
                line!(s, "route add {} via {} dev node{node}", a.pods_of(family, node), a.node(family, node));
            }
        }
        s.0
    }

    /// In the router: the service is reached by these nodes, several by ECMP; by none: nowhere.
    pub fn service_route(&self, nodes: &[u8]) -> String {
        let (mut s, a) = (Script::default(), self.addresses);
        for &family in &self.families {
            let vip = a.vip(family);
            let bits = family.bits();
            match nodes {
                [] => line!(s, "route replace blackhole {vip}/{bits}"),
                [node] => line!(s, "route replace {vip}/{bits} via {} dev node{node}", a.node(family, *node)),
                several => {
                    let hops: String =
                        several.iter().map(|n| format!(" nexthop via {} dev node{n}", a.node(family, *n))).collect();
                    line!(s, "route replace {vip}/{bits}{hops}");
                }
            }
        }
        s.0
    }

    /// In the client.
    pub fn client(&self) -> String {
        let a = self.addresses;
        self.host(|family| (a.client(family), a.router_at_client(family))).0
    }

    /// In a node: its link is up, with what goes when a link goes down.
    pub fn plug_node(&self, node: u8) -> String {
        let a = self.addresses;
        self.host(|family| (a.node(family, node), a.router_at(family, node))).0
    }

    /// In a node. What is for a pod that it does not have goes nowhere, as with most network plugins.
    pub fn node(&self, node: u8) -> String {
        let (mut s, a) = (Script(self.plug_node(node)), self.addresses);
        for &family in &self.families {
            if family == Family::V4 {
                // Scope link: no packet of the node's own begins here.
                line!(s, "addr add {}/32 dev lo scope link", family.pod_gateway());
            }
            line!(s, "route add blackhole {}", a.pods_of(family, node));
        }
        s.0
    }

    /// What has one link, to the router.
    fn host(&self, of: impl Fn(Family) -> (std::net::IpAddr, std::net::IpAddr)) -> Script {
        let mut s = Script::default();
        line!(s, "link set lo up");
        for &family in &self.families {
            line!(s, "addr replace {}/{} dev eth0{}", of(family).0, family.link_bits(), nodad(family));
        }
        line!(s, "link set eth0 up");
        for &family in &self.families {
            line!(s, "route replace {} via {} dev eth0", family.everywhere(), of(family).1);
        }
        s
    }

    /// In a node: a link to a pod whose namespace is there.
    pub fn pod_at_node(&self, place: Place, netns: &str) -> String {
        format!("link add {} type veth peer name eth0 netns {netns}\n{}", place.interface(), self.plug_pod(place))
    }

    /// In a node: the link to a pod is up, with what goes when a link goes down.
    pub fn plug_pod(&self, place: Place) -> String {
        let (mut s, link) = (Script::default(), place.interface());
        line!(s, "link set {link} up");
        for &family in &self.families {
            if family == Family::V6 {
                line!(s, "addr replace {}/64 dev {link} nodad", family.pod_gateway());
            }
            let pod = self.addresses.pod(family, place.node, place.pod);
            line!(s, "route replace {pod}/{} dev {link}", family.bits());
        }
        s.0
    }

    /// In a pod, once it has its link.
    pub fn pod(&self, place: Place) -> String {
        let mut s = Script::default();
        line!(s, "link set lo up");
        for &family in &self.families {
            let pod = self.addresses.pod(family, place.node, place.pod);
            line!(s, "addr add {pod}/{} dev eth0{}", family.bits(), nodad(family));
        }
        line!(s, "link set eth0 up");
        for &family in &self.families {
            let gateway = family.pod_gateway();
            if family == Family::V4 {
                line!(s, "route add {gateway} dev eth0");
            }
            line!(s, "route add {} via {gateway} dev eth0", family.everywhere());
        }
        s.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(families: &[Family], nodes: u8) -> Plan {
        Plan { addresses: Addresses::new(0), families: families.to_vec(), nodes }
    }

    fn name(role: &str) -> String {
        format!("x-{role}")
    }

    #[test]
    fn a_router_knows_the_client_the_nodes_and_where_pods_are() {
        assert_eq!(
            plan(&[Family::V4, Family::V6], 2).router(name),
            "link set lo up
link add client type veth peer name eth0 netns x-client
link add node1 type veth peer name eth0 netns x-node-1
link add node2 type veth peer name eth0 netns x-node-2
addr add 10.128.0.1/24 dev client
addr add 10.128.1.1/24 dev node1
addr add 10.128.2.1/24 dev node2
addr add fd74:6700::1/64 dev client nodad
addr add fd74:6700:0:1::1/64 dev node1 nodad
addr add fd74:6700:0:2::1/64 dev node2 nodad
link set client up
link set node1 up
link set node2 up
route add 10.128.65.0/24 via 10.128.1.2 dev node1
route add 10.128.66.0/24 via 10.128.2.2 dev node2
route add fd74:6700:0:41::/64 via fd74:6700:0:1::2 dev node1
route add fd74:6700:0:42::/64 via fd74:6700:0:2::2 dev node2
"
        );
    }

    #[test]
    fn the_service_is_at_one_node_at_several_or_nowhere() {
        let v6 = plan(&[Family::V6], 3);
        assert_eq!(v6.service_route(&[2]), "route replace 2001:db8::1/128 via fd74:6700:0:2::2 dev node2\n");
        assert_eq!(
            plan(&[Family::V4], 3).service_route(&[1, 3]),
            "route replace 192.0.2.1/32 nexthop via 10.128.1.2 dev node1 nexthop via 10.128.3.2 dev node3\n"
        );
        assert_eq!(v6.service_route(&[]), "route replace blackhole 2001:db8::1/128\n");
    }

    #[test]
    fn a_node_drops_what_is_for_pods_that_it_has_not() {
        assert_eq!(
            plan(&[Family::V4, Family::V6], 1).node(1),
            "link set lo up
addr replace 10.128.1.2/24 dev eth0
addr replace fd74:6700:0:1::2/64 dev eth0 nodad
link set eth0 up
route replace 0.0.0.0/0 via 10.128.1.1 dev eth0
route replace ::/0 via fd74:6700:0:1::1 dev eth0
addr add 169.254.1.1/32 dev lo scope link
route add blackhole 10.128.65.0/24
route add blackhole fd74:6700:0:41::/64
"
        );
    }

    #[test]
    fn a_pod_has_its_addresses_alone_and_the_node_for_a_gateway() {
        let plan = plan(&[Family::V4, Family::V6], 1);
        let place = Place { node: 1, pod: 7 };
        assert_eq!(
            plan.pod_at_node(place, "x-pod"),
            "link add pod7 type veth peer name eth0 netns x-pod
link set pod7 up
route replace 10.128.65.7/32 dev pod7
addr replace fe80::1/64 dev pod7 nodad
route replace fd74:6700:0:41::7/128 dev pod7
"
        );
        assert_eq!(
            plan.pod(place),
            "link set lo up
addr add 10.128.65.7/32 dev eth0
addr add fd74:6700:0:41::7/128 dev eth0 nodad
link set eth0 up
route add 169.254.1.1 dev eth0
route add 0.0.0.0/0 via 169.254.1.1 dev eth0
route add ::/0 via fe80::1 dev eth0
"
        );
    }
}
