//! A lab's links, addresses and routes: pure. Changes when they do.

use super::address::{Addresses, Family};
use super::step::{Scope, Step, Way};
use std::net::IpAddr;

/// The lab that the steps are for.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub addresses: Addresses,
    pub families: Vec<Family>,
    /// Nodes count from 1.
    pub nodes: u8,
}

/// A pod's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// From 1.
    pub node: u8,
    /// Its number on that node, from 1.
    pub pod: u8,
}

impl Place {
    /// The node's end of the pod's link.
    pub fn link(self) -> String {
        format!("pod{}", self.pod)
    }
}

fn up(link: &str) -> Step {
    Step::Set { link: link.into(), up: true }
}

fn address(address: IpAddr, bits: u8, link: &str) -> Step {
    Step::Address { address, bits, link: link.into(), scope: Scope::Global }
}

fn by(router: IpAddr, link: &str) -> Way {
    Way::Routers(vec![(router, link.into())])
}

impl Plan {
    /// In the router: its links to the client and the nodes, and the way to the pods.
    pub fn router(&self, name: impl Fn(&str) -> String) -> Vec<Step> {
        let a = self.addresses;
        let links: Vec<(u8, String)> = (1..=self.nodes).map(|node| (node, format!("node{node}"))).collect();
        let mut steps = vec![up("lo"), Step::Veth { link: "client".into(), peer: name("client") }];
        let veth = |(node, link): &(u8, String)| Step::Veth { link: link.clone(), peer: name(&format!("node-{node}")) };
        steps.extend(links.iter().map(veth));
        for &family in &self.families {
            let bits = family.link_bits();
            steps.push(address(a.router_at_client(family), bits, "client"));
            steps.extend(links.iter().map(|(node, link)| address(a.router_at(family, *node), bits, link)));
        }
        steps.push(up("client"));
        steps.extend(links.iter().map(|(_, link)| up(link)));
        for &family in &self.families {
            steps.extend(links.iter().map(|(node, link)| Step::Route {
                to: a.pods_of(family, *node),
                bits: family.link_bits(),
                way: by(a.node(family, *node), link),
            }));
        }
        steps
    }

    /// In the router: the service is reached by these nodes, several by ECMP.
    pub fn service_route(&self, nodes: &[u8]) -> Vec<Step> {
        let a = self.addresses;
        let of = |family: Family| Step::Route {
            to: a.vip(family),
            bits: family.bits(),
            way: Way::Routers(nodes.iter().map(|node| (a.node(family, *node), format!("node{node}"))).collect()),
        };
        self.families.iter().map(|family| of(*family)).collect()
    }

    /// In the client.
    pub fn client(&self) -> Vec<Step> {
        let a = self.addresses;
        self.host(|family| (a.client(family), a.router_at_client(family)))
    }

    /// In a node: its link is up, with what goes when a link goes down.
    pub fn plug_node(&self, node: u8) -> Vec<Step> {
        let a = self.addresses;
        self.host(|family| (a.node(family, node), a.router_at(family, node)))
    }

    /// In a node. What is for a pod that it does not have goes nowhere, as with most network plugins.
    pub fn node(&self, node: u8) -> Vec<Step> {
        let mut steps = self.plug_node(node);
        for &family in &self.families {
            if family == Family::V4 {
                let (address, link) = (family.pod_gateway(), "lo".into());
                steps.push(Step::Address { address, bits: family.bits(), link, scope: Scope::Link });
            }
            let to = self.addresses.pods_of(family, node);
            steps.push(Step::Route { to, bits: family.link_bits(), way: Way::Nowhere });
        }
        steps
    }

    /// What has one link, to the router.
    fn host(&self, of: impl Fn(Family) -> (IpAddr, IpAddr)) -> Vec<Step> {
        let mut steps = vec![up("lo")];
        steps.extend(self.families.iter().map(|family| address(of(*family).0, family.link_bits(), "eth0")));
        steps.push(up("eth0"));
        let default = |family: &Family| Step::Route { to: family.any(), bits: 0, way: by(of(*family).1, "eth0") };
        steps.extend(self.families.iter().map(default));
        steps
    }

    /// In a node: a link to a pod whose namespace is there.
    pub fn pod_at_node(&self, place: Place, netns: &str) -> Vec<Step> {
        let mut steps = vec![Step::Veth { link: place.link(), peer: netns.into() }];
        steps.extend(self.plug_pod(place));
        steps
    }

    /// In a node: the link to a pod is up, with what goes when a link goes down.
    pub fn plug_pod(&self, place: Place) -> Vec<Step> {
        let link = place.link();
        let mut steps = vec![up(&link)];
        for &family in &self.families {
            if family == Family::V6 {
                steps.push(address(family.pod_gateway(), family.link_bits(), &link));
            }
            let to = self.addresses.pod(family, place.node, place.pod);
            steps.push(Step::Route { to, bits: family.bits(), way: Way::Link(link.clone()) });
        }
        steps
    }

    /// In a pod, once it has its link.
    pub fn pod(&self, place: Place) -> Vec<Step> {
        let mut steps = vec![up("lo")];
        for &family in &self.families {
            let own = self.addresses.pod(family, place.node, place.pod);
            steps.push(address(own, family.bits(), "eth0"));
        }
        steps.push(up("eth0"));
        for &family in &self.families {
            let gateway = family.pod_gateway();
            if family == Family::V4 {
                steps.push(Step::Route { to: gateway, bits: family.bits(), way: Way::Link("eth0".into()) });
            }
            steps.push(Step::Route { to: family.any(), bits: 0, way: by(gateway, "eth0") });
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(families: &[Family], nodes: u8) -> Plan {
        Plan { addresses: Addresses::new(0), families: families.to_vec(), nodes }
    }

    fn told(steps: &[Step]) -> String {
        steps.iter().map(|step| format!("{step}\n")).collect()
    }

    fn name(role: &str) -> String {
        format!("x-{role}")
    }

    #[test]
    fn a_router_knows_the_client_the_nodes_and_where_pods_are() {
        assert_eq!(
            told(&plan(&[Family::V4, Family::V6], 2).router(name)),
            "link set lo up
link add client type veth peer name eth0 netns x-client
link add node1 type veth peer name eth0 netns x-node-1
link add node2 type veth peer name eth0 netns x-node-2
addr replace 10.128.0.1/24 dev client
addr replace 10.128.1.1/24 dev node1
addr replace 10.128.2.1/24 dev node2
addr replace fd74:6700::1/64 dev client nodad
addr replace fd74:6700:0:1::1/64 dev node1 nodad
addr replace fd74:6700:0:2::1/64 dev node2 nodad
link set client up
link set node1 up
link set node2 up
route replace 10.128.65.0/24 via 10.128.1.2 dev node1
route replace 10.128.66.0/24 via 10.128.2.2 dev node2
route replace fd74:6700:0:41::/64 via fd74:6700:0:1::2 dev node1
route replace fd74:6700:0:42::/64 via fd74:6700:0:2::2 dev node2
"
        );
    }

    #[test]
    fn the_service_is_at_one_node_or_at_several() {
        let v6 = plan(&[Family::V6], 3);
        assert_eq!(told(&v6.service_route(&[2])), "route replace 2001:db8::1/128 via fd74:6700:0:2::2 dev node2\n");
        assert_eq!(
            told(&plan(&[Family::V4], 3).service_route(&[1, 3])),
            "route replace 192.0.2.1/32 nexthop via 10.128.1.2 dev node1 nexthop via 10.128.3.2 dev node3\n"
        );
    }

    #[test]
    fn a_node_drops_what_is_for_pods_that_it_has_not() {
        assert_eq!(
            told(&plan(&[Family::V4, Family::V6], 1).node(1)),
            "link set lo up
addr replace 10.128.1.2/24 dev eth0
addr replace fd74:6700:0:1::2/64 dev eth0 nodad
link set eth0 up
route replace 0.0.0.0/0 via 10.128.1.1 dev eth0
route replace ::/0 via fd74:6700:0:1::1 dev eth0
addr replace 169.254.1.1/32 dev lo scope link
route replace blackhole 10.128.65.0/24
route replace blackhole fd74:6700:0:41::/64
"
        );
    }

    #[test]
    fn a_pod_has_its_addresses_alone_and_the_node_for_a_gateway() {
        let plan = plan(&[Family::V4, Family::V6], 1);
        let place = Place { node: 1, pod: 7 };
        assert_eq!(
            told(&plan.pod_at_node(place, "x-pod")),
            "link add pod7 type veth peer name eth0 netns x-pod
link set pod7 up
route replace 10.128.65.7/32 dev pod7
addr replace fe80::1/64 dev pod7 nodad
route replace fd74:6700:0:41::7/128 dev pod7
"
        );
        assert_eq!(
            told(&plan.pod(place)),
            "link set lo up
addr replace 10.128.65.7/32 dev eth0
addr replace fd74:6700:0:41::7/128 dev eth0 nodad
link set eth0 up
route replace 169.254.1.1/32 dev eth0
route replace 0.0.0.0/0 via 169.254.1.1 dev eth0
route replace ::/0 via fe80::1 dev eth0
"
        );
    }
}
