//! The network as it stands: namespaces filled by scripts, pods that come and go. Changes when what a lab asks
//! of its network does.

use super::address::{Addresses, Family};
use super::claim::Claim;
use super::error::{NetworkError, Result};
use super::kernel::apply;
use super::netns::{self, Netns, sysctl};
use super::script::{Place, Plan};
use super::step::Step;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

/// So many nodes at most.
pub const NODES_MAX: u8 = 63;
/// So many pods on a node at most.
const PODS_MAX: u8 = 254;

/// What to build.
#[derive(Clone, Debug)]
pub struct Shape {
    /// IPv4, IPv6 or both.
    pub families: Vec<Family>,
    /// From 1 to [`NODES_MAX`].
    pub nodes: u8,
    /// Traffic goes to every node, not to the first alone.
    pub ecmp: bool,
}

/// A pod's end of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodLink {
    /// Where it runs.
    pub netns: Netns,
    /// Its addresses, of each family one.
    pub addresses: Vec<IpAddr>,
}

#[derive(Debug)]
struct PodThere {
    place: Place,
    netns: Netns,
}

/// A lab's network. Gone when dropped, with every process in it.
#[derive(Debug)]
pub struct Network {
    claim: Claim,
    plan: Plan,
    client: Netns,
    router: Netns,
    nodes: Vec<Netns>,
    pods: BTreeMap<String, PodThere>,
    /// For each node the number that its next pod gets: an address is used again as late as can be.
    next: Vec<u8>,
}

/// Kernel settings of the router and the nodes. A reply may come from another side than a request went to.
const FORWARDING: [(&str, &str); 7] = [
    ("net/ipv4/ip_forward", "1"),
    ("net/ipv6/conf/all/forwarding", "1"),
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    ("net/ipv4/fib_multipath_hash_policy", "1"),
    ("net/ipv6/fib_multipath_hash_policy", "1"),
    NO_DETECTION,
];
/// A new link would be without its own IPv6 address for a second.
const NO_DETECTION: (&str, &str) = ("net/ipv6/conf/default/accept_dad", "0");
/// For the client, where the kernel has it (5.18): after a time-out TCP would give its connection another hash. It
/// comes with the packet over a virtual link, and the router takes it in place of the addresses' and ports' own, so the
/// connection would move to another node, as none does on a wire.
const KEEP_HASH: (&str, &str) = ("net/core/txrehash", "0");

impl Network {
    /// Builds it; first it removes what labs left that were killed.
    ///
    /// # Errors
    /// The kernel refuses, or as many labs run as can.
    pub fn new(shape: &Shape) -> Result<Network> {
        if shape.nodes == 0 || shape.nodes > NODES_MAX {
            return Err(NetworkError::NoNode { node: shape.nodes, nodes: NODES_MAX });
        }
        let claim = Claim::new()?;
        let netns = |role: &str| Netns::new(claim.name(role));
        let plan =
            Plan { addresses: Addresses::new(claim.number()), families: shape.families.clone(), nodes: shape.nodes };
        let network = Network {
            client: netns("client"),
            router: netns("router"),
            nodes: (1..=shape.nodes).map(|node| netns(&format!("node-{node}"))).collect(),
            pods: BTreeMap::new(),
            next: vec![1; shape.nodes.into()],
            plan,
            claim,
        };
        // From here on a failure removes what is there: the network is dropped.
        network.build()?;
        network.route_service(&if shape.ecmp { (1..=shape.nodes).collect() } else { vec![1] })?;
        Ok(network)
    }

    fn build(&self) -> Result<()> {
        let all: Vec<&str> = [&self.client, &self.router].into_iter().chain(&self.nodes).map(Netns::name).collect();
        netns::add(&all)?;
        self.sysctl(&self.client, &[NO_DETECTION])?;
        if Path::new("/proc/sys").join(KEEP_HASH.0).exists() {
            self.sysctl(&self.client, &[KEEP_HASH])?;
        }
        [&self.router].into_iter().chain(&self.nodes).try_for_each(|netns| self.sysctl(netns, &FORWARDING))?;
        apply(&self.router, &self.plan.router(|role| self.claim.name(role)))?;
        apply(&self.client, &self.plan.client())?;
        (1..).zip(&self.nodes).try_for_each(|(node, netns)| apply(netns, &self.plan.node(node)))
    }

    /// Those of IPv6 only where it is wanted: a kernel may be without it.
    fn sysctl(&self, netns: &Netns, settings: &[(&str, &str)]) -> Result<()> {
        let v6 = self.plan.families.contains(&Family::V6);
        let settings: Vec<_> = settings.iter().filter(|(name, _)| v6 || !name.contains("ipv6")).copied().collect();
        sysctl(netns, &settings)
    }

    /// The number that its names and addresses have.
    #[must_use]
    pub fn number(&self) -> u8 {
        self.claim.number()
    }

    /// Which address is whose.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.plan.addresses
    }

    /// IPv4, IPv6 or both.
    #[must_use]
    pub fn families(&self) -> &[Family] {
        &self.plan.families
    }

    /// Where the traffic comes from.
    #[must_use]
    pub fn client(&self) -> &Netns {
        &self.client
    }

    /// What stands between the client and the nodes.
    #[must_use]
    pub fn router(&self) -> &Netns {
        &self.router
    }

    /// The nodes, the first of them node 1.
    #[must_use]
    pub fn nodes(&self) -> &[Netns] {
        &self.nodes
    }

    /// Where a pod runs.
    ///
    /// # Errors
    /// There is no such pod.
    pub fn pod(&self, name: &str) -> Result<&Netns> {
        Ok(&self.there(name)?.netns)
    }

    fn there(&self, name: &str) -> Result<&PodThere> {
        self.pods.get(name).ok_or_else(|| NetworkError::NoPod(name.to_owned()))
    }

    fn node(&self, node: u8) -> Result<&Netns> {
        let nodes = self.plan.nodes;
        let index = usize::from(node).checked_sub(1);
        index.and_then(|i| self.nodes.get(i)).ok_or(NetworkError::NoNode { node, nodes })
    }

    /// Sends the service's traffic to these nodes from now on: several share it by ECMP.
    ///
    /// # Errors
    /// There is no such node, or the kernel refuses.
    pub fn route_service(&self, nodes: &[u8]) -> Result<()> {
        if nodes.is_empty() {
            return Err(NetworkError::NoNode { node: 0, nodes: self.plan.nodes });
        }
        nodes.iter().try_for_each(|node| self.node(*node).map(drop))?;
        apply(&self.router, &self.plan.service_route(nodes))
    }

    /// Gives a pod a namespace and a link to a node, from 1.
    ///
    /// # Errors
    /// There is no such node or it is full, or the kernel refuses.
    pub fn add_pod(&mut self, name: &str, node: u8) -> Result<PodLink> {
        let at_node = self.node(node)?.clone();
        let place = self.free_place(node)?;
        let netns = Netns::new(self.claim.name(name));
        netns::add(&[netns.name()])?;
        self.pods.insert(name.to_owned(), PodThere { place, netns: netns.clone() });
        self.sysctl(&netns, &[NO_DETECTION])?;
        apply(&at_node, &self.plan.pod_at_node(place, netns.name()))?;
        apply(&netns, &self.plan.pod(place))?;
        let addresses = self.plan.families.iter().map(|f| self.plan.addresses.pod(*f, node, place.pod)).collect();
        Ok(PodLink { netns, addresses })
    }

    fn free_place(&mut self, node: u8) -> Result<Place> {
        let taken: Vec<u8> = self.pods.values().filter(|p| p.place.node == node).map(|p| p.place.pod).collect();
        let full = NetworkError::Full { node, pods: taken.len() };
        let Some(next) = self.next.get_mut(usize::from(node) - 1) else { return Err(full) };
        let Some(pod) = (*next..=PODS_MAX).chain(1..*next).find(|pod| !taken.contains(pod)) else { return Err(full) };
        *next = pod % PODS_MAX + 1;
        Ok(Place { node, pod })
    }

    /// Ends what still runs in a pod, and takes its link and its namespace away.
    ///
    /// # Errors
    /// There is no such pod, or the kernel refuses.
    pub fn remove_pod(&mut self, name: &str) -> Result<()> {
        let pod = self.pods.remove(name).ok_or_else(|| NetworkError::NoPod(name.to_owned()))?;
        // By itself it would go some time after the namespace.
        apply(self.node(pod.place.node)?, &[Step::Delete { link: pod.place.link() }])?;
        netns::remove(&[pod.netns.name().to_owned()])
    }

    /// Takes a pod's link down: from now on nothing comes from it, and what is for it is dropped in silence.
    ///
    /// # Errors
    /// There is no such pod, or the kernel refuses.
    pub fn unplug_pod(&self, name: &str) -> Result<()> {
        let pod = self.there(name)?;
        apply(self.node(pod.place.node)?, &[Step::Set { link: pod.place.link(), up: false }])
    }

    /// Undoes [`Network::unplug_pod`].
    ///
    /// # Errors
    /// There is no such pod, or the kernel refuses.
    pub fn plug_pod(&self, name: &str) -> Result<()> {
        let pod = self.there(name)?;
        apply(self.node(pod.place.node)?, &self.plan.plug_pod(pod.place))
    }

    /// Takes a node's link down, its own end: the router goes on sending to it.
    ///
    /// # Errors
    /// There is no such node, or the kernel refuses.
    pub fn unplug_node(&self, node: u8) -> Result<()> {
        apply(self.node(node)?, &[Step::Set { link: "eth0".into(), up: false }])
    }

    /// Undoes [`Network::unplug_node`].
    ///
    /// # Errors
    /// There is no such node, or the kernel refuses.
    pub fn plug_node(&self, node: u8) -> Result<()> {
        apply(self.node(node)?, &self.plan.plug_node(node))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Nobody is there to be told; the next lab's start tries again.
        let _ = self.claim.clear();
    }
}
