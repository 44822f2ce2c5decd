//! The userspace director: a proxy on loopback that needs no privileges. Each pod has an address of 127.0.0.0/8 of
//! its own (a port of `::1` for IPv6: an ordinary user has no other address of it), and the service has one, too.
//!
//! It stands for a balancer such as kube-proxy: one decision a connection, by a scheduler over the endpoints that
//! are ready. What differs from one that forwards packets: the client's handshake is with the proxy, so a pod
//! that refuses shows as a connection that is reset soon after, and not as a failed attempt. Several nodes are several
//! balancers in the proxy; the router's multipath is a hash of the client's address and port.
//!
//! A pod that is cut off (`pod-blackhole`) gets nothing and is told nothing. TCP's bytes wait and come once it is healed,
//! as a sender's kernel would send them again; datagrams are lost. But the proxy's own kernel acknowledges what the
//! client sends until its buffers are full: the client's TCP_INFO shows nothing sent again, TCP_USER_TIMEOUT does not
//! come, and only the response time-out tells. So a verdict cannot confirm `blackhole` here; with nft or ipvs it can.
//!
//! | module | what it does | |
//! |---|---|---|
//! | `service` | which backend a connection gets | pure |
//! | `nodes` | which node it comes by; what is told of it | |
//! | `connection` | one TCP connection, from its acceptance to its end | |
//! | `relay` | its bytes, FIN and RST both ways | |
//! | `streams`, `flows` | all of TCP's, all of UDP's | |
//! | `worker` | their thread | |
//! | `journal` | a node's journal | |
//! | `addresses` | free addresses, also beside other labs | |

mod addresses;
mod connection;
mod flows;
mod journal;
mod nodes;
mod relay;
mod service;
mod streams;
mod worker;

use crate::lab::{Enter, Ground, LabError, NetworkFault, PodHome, PodPlace};
use addresses::Block;
use flows::Flows;
use journal::Journal;
use nodes::{Node, Nodes};
use service::Service;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use streams::Streams;
use tg_model::cluster_event::Endpoint;
use tg_model::lab_plan::LabPlan;
use tg_model::plan::Transport;
use worker::{Order, Traffic, Worker};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// See the module.
#[derive(Debug)]
pub struct Userspace {
    block: Block,
    nodes: Vec<String>,
    vips: Vec<SocketAddr>,
    worker: Worker,
    /// The addresses of each pod, by name.
    pods: BTreeMap<String, Vec<SocketAddr>>,
}

impl Userspace {
    /// Takes free addresses and starts the proxy. Journals of its nodes go to `folder`.
    ///
    /// # Errors
    /// No address can be had, or a file cannot be made.
    pub fn start(plan: &LabPlan, folder: &Path, command: &[String]) -> Result<Userspace, LabError> {
        let block = Block::take(plan.family, plan.transport)?;
        let vips = block.vips();
        let names: Vec<String> = (1..=plan.nodes).map(|n| format!("node-{n}")).collect();
        let protocol = if plan.transport == Transport::Tcp { TCP } else { UDP };
        let node = |(nth, name): (u64, &String)| {
            // Nodes that choose at random do so each in its own way.
            let service = |vip: &SocketAddr| Service::new(*vip, protocol, plan.scheduler, plan.seed.wrapping_add(nth));
            let services = vips.iter().map(service).collect::<Result<_, _>>();
            let services = services.map_err(|e| LabError::Usage(e.to_string()))?;
            Ok(Node { services, journal: Journal::create(folder, name, &vips, command)? })
        };
        let nodes = (0..).zip(&names).map(node).collect::<Result<Vec<_>, LabError>>()?;
        let nodes = Nodes::new(nodes, plan.entry_nodes() as usize);
        let (listeners, sockets) = block.sockets()?;
        let worker = Worker::start(nodes, move |registry| {
            Ok(match protocol {
                TCP => Box::new(Streams::new(listeners, registry)?) as Box<dyn Traffic>,
                _ => Box::new(Flows::new(sockets, registry)?),
            })
        })?;
        Ok(Userspace { block, nodes: names, vips, worker, pods: BTreeMap::new() })
    }

    fn of(&self, pod: &str) -> Vec<SocketAddr> {
        self.pods.get(pod).cloned().unwrap_or_default()
    }

    fn cannot(fault: &NetworkFault) -> LabError {
        LabError::Usage(format!("the userspace director cannot do {fault:?}: take --director nft or ipvs"))
    }
}

impl Ground for Userspace {
    fn vips(&self) -> Vec<SocketAddr> {
        self.vips.clone()
    }

    fn nodes(&self) -> Vec<String> {
        self.nodes.clone()
    }

    fn client(&self) -> Result<Enter, LabError> {
        Ok(Box::new(|| Ok(())))
    }

    fn add_pod(&mut self, pod: &PodPlace) -> Result<PodHome, LabError> {
        let listen = self.block.for_pod()?;
        self.pods.insert(pod.name.clone(), listen.clone());
        Ok(PodHome { listen, prefix: Vec::new() })
    }

    fn remove_pod(&mut self, name: &str) -> Result<(), LabError> {
        if let Some(addresses) = self.pods.remove(name) {
            self.block.give_back(&addresses);
        }
        Ok(())
    }

    fn set_endpoints(&mut self, endpoints: &[Endpoint]) -> Result<(), LabError> {
        self.worker.order(Order::Endpoints(endpoints.to_vec()));
        Ok(())
    }

    fn inject(&mut self, fault: &NetworkFault) -> Result<(), LabError> {
        match fault {
            NetworkFault::PodBlackhole { pod } => self.worker.order(Order::CutOff(self.of(pod), true)),
            NetworkFault::ResetStorm { pod } => self.worker.order(Order::Reset(self.of(pod))),
            other => return Err(Userspace::cannot(other)),
        }
        Ok(())
    }

    fn heal(&mut self, fault: &NetworkFault) -> Result<(), LabError> {
        match fault {
            NetworkFault::PodBlackhole { pod } => self.worker.order(Order::CutOff(self.of(pod), false)),
            other => return Err(Userspace::cannot(other)),
        }
        Ok(())
    }

    fn loads(&mut self) -> Vec<(String, u64)> {
        let loads = self.worker.loads();
        let of = |addresses: &Vec<SocketAddr>| addresses.iter().filter_map(|a| loads.get(a)).sum();
        self.pods.iter().map(|(name, addresses)| (name.clone(), of(addresses))).collect()
    }

    fn finish(&mut self) -> Result<(), LabError> {
        self.worker.finish()
    }
}
