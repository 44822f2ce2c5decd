//! The ground in network namespaces, of which the directors nft and ipvs differ by their balancer. Changes when
//! what a lab asks of its ground does.

use super::balancer::Balancer;
use super::ipvs::{self, Ipvs};
use super::nft::{self, Nft, Spread};
use super::observer::{NodeOf, Observer};
use crate::lab::{Enter, Ground, LabError, NetworkFault, PodHome, PodPlace, SERVICE_PORT};
use crate::network::{Family, Input, NODES_MAX, Need, Netns, Network, Shape, missing, run_in};
use nix::sched::{CloneFlags, setns};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use tg_model::cluster_event::Endpoint;
use tg_model::lab_plan::{DirectorKind, LabFamily, LabPlan, SchedulerKind};

/// They are asked for ten times a second, and tables of many connections are long.
const LOADS_FRESH: Duration = Duration::from_millis(500);

/// Pods, nodes, router and client in network namespaces, with a kernel's balancer on each node.
#[derive(Debug)]
pub struct Namespaces {
    observer: Option<Observer>,
    balancer: Box<dyn Balancer>,
    /// The addresses of each pod, by name.
    pods: BTreeMap<String, Vec<SocketAddr>>,
    vips: Vec<SocketAddr>,
    ecmp: bool,
    notes: Vec<String>,
    /// Connections of each destination, and when they were counted.
    loads: BTreeMap<SocketAddr, u64>,
    loads_read: Option<Instant>,
    // Last: what is above lives in it.
    network: Option<Network>,
}

/// What this machine lacks for such a lab, each entry with what to do; empty: nothing. `program` and `command`: as
/// the lab was called.
#[must_use]
pub fn lacks(director: DirectorKind, program: &Path, command: &[String]) -> Vec<String> {
    let of_director: &[Need] = match director {
        DirectorKind::Userspace => return Vec::new(),
        DirectorKind::Nft => &[],
        DirectorKind::Ipvs => &[Need::IPVSADM],
    };
    let always = [Need::Root, Need::SS, Need::NSENTER, Need::SETPRIV, Need::NFT, Need::CONNTRACK];
    let mut lacks = missing(&[&always, of_director].concat());
    if director == DirectorKind::Ipvs && !ipvs::is_there() {
        let guest = ipvs::in_guest(program, command);
        lacks.push(format!("a kernel with IPVS (module ip_vs); a virtual machine has it: {guest}"));
    }
    lacks
}

impl Namespaces {
    /// Builds the network and starts a balancer on each node, and an observer of them where `observer` is given:
    /// the program tg-cli. The nodes' journals go to `folder`.
    ///
    /// # Errors
    /// The plan has more nodes than can be, or the system refused.
    pub fn start(plan: &LabPlan, folder: &Path, observer: Option<&Path>) -> Result<Namespaces, LabError> {
        let nodes = u8::try_from(plan.nodes).ok().filter(|n| *n <= NODES_MAX);
        let Some(nodes) = nodes else {
            return Err(LabError::Usage(format!(
                "--nodes is {}: with namespaces there can be {NODES_MAX} at most",
                plan.nodes
            )));
        };
        let families = match plan.family {
            LabFamily::Ipv4 => vec![Family::V4],
            LabFamily::Ipv6 => vec![Family::V6],
            LabFamily::Both => vec![Family::V4, Family::V6],
        };
        let network = Network::new(&Shape { families, nodes, ecmp: plan.ecmp })?;
        let address = |family: &Family| SocketAddr::new(network.addresses().vip(*family), SERVICE_PORT);
        let vips: Vec<SocketAddr> = network.families().iter().map(address).collect();
        let balancer = balancer(plan, &network, &vips)?;
        let mut notes = Vec::new();
        let started = observer.map(|program| Observer::start(program, &vips, folder, nodes_of(&network)));
        let observer = started.and_then(|started| {
            started.map_err(|error| notes.push(format!("no observer, so no journals of nodes: {error}"))).ok()
        });
        let (pods, ecmp) = (BTreeMap::new(), plan.ecmp);
        let (loads, loads_read) = (BTreeMap::new(), None);
        Ok(Namespaces { observer, balancer, pods, vips, ecmp, notes, loads, loads_read, network: Some(network) })
    }

    /// Where a pod runs; `None` where there is no such pod.
    #[must_use]
    pub fn pod(&self, name: &str) -> Option<Netns> {
        self.network.as_ref().and_then(|network| network.pod(name).ok().cloned())
    }

    /// The nodes' namespaces, in order.
    #[must_use]
    pub fn node_namespaces(&self) -> &[Netns] {
        self.network.as_ref().map_or(&[], Network::nodes)
    }

    fn network(&self) -> Result<&Network, LabError> {
        self.network.as_ref().ok_or_else(over)
    }

    fn all_nodes(&self) -> Vec<u8> {
        (1..).zip(self.network.iter().flat_map(Network::nodes)).map(|(number, _)| number).collect()
    }
}

fn over() -> LabError {
    LabError::Failed("the lab's network is gone already".to_owned())
}

/// Several nodes need masquerading: a reply that did not come by the node that chose the pod would not be
/// translated back. kube-proxy has it for all that comes from outside.
fn balancer(plan: &LabPlan, network: &Network, vips: &[SocketAddr]) -> Result<Box<dyn Balancer>, LabError> {
    let masquerade = plan.masquerade || plan.nodes > 1;
    let (transport, scheduler) = (plan.transport, plan.scheduler);
    if plan.director == DirectorKind::Ipvs {
        let service = |vip: &SocketAddr| ipvs::Service { vip: *vip, transport, scheduler: scheduler.name() };
        let services = vips.iter().map(service).collect();
        return Ok(Box::new(Ipvs::start(network, services, masquerade, plan.expire_nodest)?));
    }
    let spread = match scheduler {
        SchedulerKind::Random => Spread::Random,
        SchedulerKind::Rr => Spread::RoundRobin,
        other => return Err(LabError::Usage(format!("nftables has no scheduler {}", other.name()))),
    };
    let service = |vip: &SocketAddr| nft::Service { vip: *vip, transport, spread, masquerade };
    Ok(Box::new(Nft::start(network, vips.iter().map(service).collect())?))
}

/// What of the network a node's observer would see: the node itself. Pods come later.
fn nodes_of(network: &Network) -> NodeOf {
    let mut node_of = NodeOf::default();
    for (number, netns) in (1..).zip(network.nodes()) {
        node_of.add(netns, &node_name(number));
    }
    node_of
}

fn node_name(number: u8) -> String {
    format!("node-{number}")
}

fn node_number(name: &str) -> Result<u8, LabError> {
    let number = name.strip_prefix("node-").and_then(|n| n.parse().ok());
    number.ok_or_else(|| LabError::Failed(format!("there is no node {name}")))
}

fn enter(netns: &Netns) -> Result<Enter, LabError> {
    let path = netns.path();
    let what = format!("entering {}", path.display());
    let file = File::open(path).map_err(LabError::io(what.clone()))?;
    Ok(Box::new(move || {
        setns(file, CloneFlags::CLONE_NEWNET).map_err(|errno| LabError::Io { what, error: errno.into() })
    }))
}

impl Ground for Namespaces {
    fn vips(&self) -> Vec<SocketAddr> {
        self.vips.clone()
    }

    fn nodes(&self) -> Vec<String> {
        self.all_nodes().into_iter().map(node_name).collect()
    }

    fn client(&self) -> Result<Enter, LabError> {
        enter(self.network()?.client())
    }

    fn add_pod(&mut self, pod: &PodPlace) -> Result<PodHome, LabError> {
        let network = self.network.as_mut().ok_or_else(over)?;
        let link = network.add_pod(&pod.name, node_number(&pod.node)?)?;
        if let Some(observer) = &mut self.observer {
            observer.node_of.add(&link.netns, &pod.node);
        }
        let listen: Vec<SocketAddr> = link.addresses.iter().map(|ip| SocketAddr::new(*ip, SERVICE_PORT)).collect();
        self.pods.insert(pod.name.clone(), listen.clone());
        let mut into = OsString::from("--net=");
        into.push(link.netns.path());
        Ok(PodHome { listen, prefix: vec!["nsenter".into(), into, "--".into()] })
    }

    fn remove_pod(&mut self, name: &str) -> Result<(), LabError> {
        self.pods.remove(name);
        Ok(self.network.as_mut().ok_or_else(over)?.remove_pod(name)?)
    }

    fn set_endpoints(&mut self, endpoints: &[Endpoint]) -> Result<(), LabError> {
        let network = self.network.as_ref().ok_or_else(over)?;
        Ok(self.balancer.take(network, endpoints)?)
    }

    fn inject(&mut self, fault: &NetworkFault) -> Result<(), LabError> {
        let network = self.network()?;
        match fault {
            NetworkFault::PodBlackhole { pod } => network.unplug_pod(pod)?,
            // The kernel resets them as if their program had asked for it.
            NetworkFault::ResetStorm { pod } => {
                let words = ["-K", "-H", "-n", "state", "established"];
                run_in(Some(network.pod(pod)?), "ss", &words, Input::None)?;
            }
            NetworkFault::NodeLoss { node } => network.unplug_node(node_number(node)?)?,
            NetworkFault::ConntrackFlush => {
                for node in network.nodes() {
                    run_in(Some(node), "conntrack", &["-F"], Input::None)?;
                }
            }
            NetworkFault::EcmpChange => {
                let mut nodes = self.all_nodes();
                nodes.pop();
                network.route_service(&nodes)?;
            }
        }
        Ok(())
    }

    fn heal(&mut self, fault: &NetworkFault) -> Result<(), LabError> {
        let network = self.network()?;
        match fault {
            // One that ended meanwhile has nothing to be healed.
            NetworkFault::PodBlackhole { pod } if !self.pods.contains_key(pod) => {}
            NetworkFault::PodBlackhole { pod } => network.plug_pod(pod)?,
            NetworkFault::NodeLoss { node } => network.plug_node(node_number(node)?)?,
            NetworkFault::EcmpChange if self.ecmp => network.route_service(&self.all_nodes())?,
            // These are over at once.
            NetworkFault::EcmpChange | NetworkFault::ResetStorm { .. } | NetworkFault::ConntrackFlush => {}
        }
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn loads(&mut self) -> Vec<(String, u64)> {
        let Some(network) = &self.network else { return Vec::new() };
        if self.loads_read.is_none_or(|at| at.elapsed() >= LOADS_FRESH) {
            (self.loads, self.loads_read) = (self.balancer.loads(network), Some(Instant::now()));
        }
        let loads = &self.loads;
        if loads.is_empty() {
            return Vec::new();
        }
        let of = |addresses: &Vec<SocketAddr>| addresses.iter().filter_map(|a| loads.get(a)).sum();
        self.pods.iter().map(|(name, addresses)| (name.clone(), of(addresses))).collect()
    }

    fn finish(&mut self) -> Result<(), LabError> {
        let observed = self.observer.take().map_or(Ok(()), Observer::finish);
        self.network = None;
        observed
    }
}
