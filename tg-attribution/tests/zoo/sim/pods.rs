//! Pods of the simulation, and what the cluster's watch tells of them.

use super::{MS, Sim, VIP};
use std::net::{Ipv4Addr, SocketAddr};
use tg_model::cluster_event::{
    ClusterEvent, Endpoint, EndpointsChange, NodeChange, Pod as Told, PodChange, PodPhase, ProxyChange, ProxyPhase,
    Rollout, RolloutPhase,
};
use tg_model::node_event::{IpvsDest, IpvsDestChange, IpvsService, Netns, NodeEvent};

pub const OLD: &str = "mserver-8d75c6567";
pub const NEW: &str = "mserver-5d54db6df5";

#[derive(Clone, Debug)]
pub struct Pod {
    pub told: Told,
    /// Which node it is on.
    pub node: usize,
    pub address: SocketAddr,
    pub new: bool,
    pub ready: bool,
    pub terminating: bool,
    pub stopped: bool,
    pub gone: bool,
    /// Since when it was no ready endpoint.
    pub left: Option<u64>,
}

impl Sim {
    fn tell(&mut self, event: ClusterEvent) {
        self.told.cluster.push((self.now, event));
    }

    /// A pod of the old or the new ReplicaSet.
    pub fn create(&mut self, new: bool) -> usize {
        let nth = self.pods.len();
        let node = nth % self.setup.nodes as usize;
        let ip = Ipv4Addr::new(10, 0, (nth / 250) as u8, (nth % 250) as u8 + 2);
        let set = if new { NEW } else { OLD };
        let told = Told {
            name: format!("{set}-{nth:05}"),
            uid: format!("uid-{nth}"),
            node: format!("node-{}", node + 1),
            addresses: vec![ip.into()],
            replica_set: set.into(),
        };
        let address = SocketAddr::new(ip.into(), 5003);
        let (ready, terminating, stopped, gone, left) = (false, false, false, false, None);
        self.pods.push(Pod { told, node, address, new, ready, terminating, stopped, gone, left });
        self.phase(nth, PodPhase::Created);
        nth
    }

    pub fn phase(&mut self, pod: usize, phase: PodPhase) {
        let told = self.pods[pod].told.clone();
        self.tell(ClusterEvent::Pod(PodChange { phase, pod: told, grace_ns: None }));
    }

    pub fn ready(&mut self, pod: usize) {
        self.pods[pod].ready = true;
        self.pods[pod].left = None;
        self.phase(pod, PodPhase::Ready);
        self.endpoints();
        self.reweigh();
    }

    pub fn terminate(&mut self, pod: usize) {
        self.pods[pod].ready = false;
        self.pods[pod].terminating = true;
        self.phase(pod, PodPhase::Terminating);
        self.endpoints();
    }

    pub fn gone(&mut self, pod: usize) {
        self.pods[pod].gone = true;
        self.phase(pod, PodPhase::Gone);
        self.endpoints();
    }

    /// The list is told; balancers hear of it, now or later.
    pub fn endpoints(&mut self) {
        let there: Vec<&Pod> =
            self.pods.iter().filter(|p| !p.gone && (p.ready || p.terminating || p.stopped)).collect();
        let endpoints = there.iter().map(|p| Endpoint {
            address: p.address,
            pod_uid: p.told.uid.clone(),
            ready: p.ready,
            serving: !p.stopped,
            terminating: p.terminating,
        });
        let change = EndpointsChange { service: "mserver".into(), endpoints: endpoints.collect() };
        // Where none is ready, balancers lead to those that end and still serve.
        let none = !there.iter().any(|p| p.ready);
        let takes = |p: &Pod| p.ready || none && p.terminating && !p.stopped;
        let heard = there.iter().map(|p| (p.address, takes(p))).collect();
        let now = self.now;
        self.tell(ClusterEvent::Endpoints(change));
        self.pods.iter_mut().filter(|p| !p.ready).for_each(|p| p.left = p.left.or(Some(now)));
        self.late.push((self.now + self.lag, heard));
        self.catch_up();
    }

    /// Balancers hear of what is due.
    pub fn catch_up(&mut self) {
        let now = self.now;
        let (due, late) = self.late.drain(..).partition(|(at, _)| *at <= now);
        self.late = late;
        let due: Vec<(u64, Vec<(SocketAddr, bool)>)> = due;
        for (_, endpoints) in due {
            for node in 0..self.balancers.len() {
                self.program(node, &endpoints);
            }
        }
    }

    fn program(&mut self, node: usize, endpoints: &[(SocketAddr, bool)]) {
        for (address, ready) in endpoints {
            let known = self.balancers[node].at(*address).map(|c| c.weight);
            match (known, ready) {
                (None, true) => self.add_dest(node, *address),
                (Some(1..), false) => self.weigh(node, *address, 0),
                (Some(0), true) => self.weigh(node, *address, 1),
                _ => {}
            }
        }
        let there = |a: SocketAddr| endpoints.iter().any(|(e, _)| *e == a);
        let left: Vec<SocketAddr> =
            self.balancers[node].list.iter().map(|c| c.address).filter(|a| !there(*a)).collect();
        for address in left {
            self.delete_dest(node, address);
        }
    }

    pub fn weigh(&mut self, node: usize, address: SocketAddr, weight: i32) {
        self.balancers[node].weigh(address, weight);
        self.tell_dest(node, address, IpvsDestChange::Edited);
    }

    pub fn add_dest(&mut self, node: usize, address: SocketAddr) {
        let weight = if self.setup.scheduler.has_weights() { 1 + self.random.below(4) as i32 } else { 1 };
        self.balancers[node].add(address, weight);
        self.tell_dest(node, address, IpvsDestChange::Added);
    }

    /// Every destination that takes connections gets another weight, where weights count.
    fn reweigh(&mut self) {
        if !self.setup.scheduler.has_weights() {
            return;
        }
        for node in 0..self.balancers.len() {
            let takers = self.balancers[node].list.iter().filter(|c| c.weight > 0).map(|c| c.address);
            for address in takers.collect::<Vec<_>>() {
                let weight = 1 + self.random.below(6) as i32;
                self.weigh(node, address, weight);
            }
        }
    }

    pub fn tell_dest(&mut self, node: usize, address: SocketAddr, change: IpvsDestChange) {
        let Some(destination) = self.balancers[node].at(address).cloned() else { return };
        self.dest(node, change, destination);
    }

    pub fn delete_dest(&mut self, node: usize, address: SocketAddr) {
        if let Some(destination) = self.balancers[node].delete(address) {
            self.dest(node, IpvsDestChange::Deleted, destination);
        }
    }

    fn dest(&mut self, node: usize, change: IpvsDestChange, destination: tg_model::node_event::Candidate) {
        if self.setup.director == super::Director::Ipvs {
            let (netns, service) = (Netns::default(), self.service());
            let event = NodeEvent::IpvsDest(IpvsDest { change, netns, service, destination });
            self.told.nodes[node].push((self.now, "ipvs-dest", event));
        }
    }

    pub fn service(&self) -> IpvsService {
        IpvsService {
            protocol: self.protocol(),
            address: Some(VIP),
            fwmark: 0,
            scheduler: self.setup.scheduler.name().into(),
        }
    }

    pub fn tell_node_ready(&mut self, nth: u32, ready: bool) {
        self.tell(ClusterEvent::Node(NodeChange { node: format!("node-{}", nth + 1), ready }));
    }

    pub fn tell_proxy(&mut self, nth: u32, phase: ProxyPhase) {
        self.tell(ClusterEvent::Proxy(ProxyChange { node: format!("node-{}", nth + 1), phase }));
    }

    pub fn rollout(&mut self, phase: RolloutPhase) {
        self.upgrading = phase == RolloutPhase::Started;
        self.tell(ClusterEvent::Rollout(Rollout {
            phase,
            deployment: "mserver".into(),
            replica_set: NEW.into(),
            replicas: self.setup.replicas,
            max_surge: 1,
            max_unavailable: 0,
        }));
        self.now += MS;
    }

    pub fn pod_at(&self, address: SocketAddr) -> usize {
        self.pods.iter().position(|p| p.address == address).unwrap()
    }
}
