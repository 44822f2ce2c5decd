//! One service on one node: its backends, their connections, and each choice. Changes when what a choice is made
//! from does. Pure.

use crate::scheduler::{Backend, Scheduler};
use std::collections::HashMap;
use std::net::SocketAddr;
use tg_model::cluster_event::Endpoint;
use tg_model::lab_plan::SchedulerKind;
use tg_model::node_event::{Candidate, ProxyDecision};

/// Candidates that a decision records at most: what is beyond that is counted.
const RECORDED_MAX: usize = 64;

/// Balances one service's connections on one node.
#[derive(Debug)]
pub struct Balancer {
    service: SocketAddr,
    protocol: u8,
    kind: SchedulerKind,
    scheduler: Scheduler,
    /// Those that take new connections, in the order that their pods were made.
    ready: Vec<SocketAddr>,
    /// Connections of every backend that has some, ready or not.
    active: HashMap<SocketAddr, u32>,
}

impl Balancer {
    /// For connections to `service`; no backends yet.
    pub fn new(service: SocketAddr, protocol: u8, kind: SchedulerKind, seed: u64) -> Balancer {
        let scheduler = Scheduler::new(kind, seed);
        Balancer { service, protocol, kind, scheduler, ready: Vec::new(), active: HashMap::new() }
    }

    /// The service's address.
    pub fn service(&self) -> SocketAddr {
        self.service
    }

    /// IP protocol.
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    /// New connections go to those of this family that are ready. Connections that there are stay.
    pub fn set_endpoints(&mut self, endpoints: &[Endpoint]) {
        let mine = |e: &&Endpoint| e.ready && e.address.is_ipv4() == self.service.is_ipv4();
        self.ready = endpoints.iter().filter(mine).map(|e| e.address).collect();
    }

    /// Chooses for a client's new connection and counts it. Each chosen one must be given back by
    /// [`Balancer::release`].
    pub fn choose(&mut self, client: SocketAddr) -> ProxyDecision {
        let active = |address: &SocketAddr| self.active.get(address).copied().unwrap_or(0);
        let backend = |a: &SocketAddr| Backend { address: *a, weight: 1, active: active(a), inactive: 0 };
        let backends: Vec<Backend> = self.ready.iter().map(backend).collect();
        let chosen = self.scheduler.choose(&backends, client).and_then(|nth| self.ready.get(nth)).copied();
        if let Some(address) = chosen {
            *self.active.entry(address).or_default() += 1;
        }
        let candidate = |b: &Backend| Candidate { address: b.address, weight: 1, active: b.active, inactive: 0 };
        ProxyDecision {
            protocol: self.protocol,
            service: self.service,
            scheduler: self.kind.name().into(),
            client,
            chosen,
            candidates: backends.iter().take(RECORDED_MAX).map(candidate).collect(),
            candidates_total: u32::try_from(backends.len()).unwrap_or(u32::MAX),
        }
    }

    /// A connection that was chosen for has ended.
    pub fn release(&mut self, backend: SocketAddr) {
        if let Some(active) = self.active.get_mut(&backend) {
            *active = active.saturating_sub(1);
            if *active == 0 {
                self.active.remove(&backend);
            }
        }
    }

    /// Backends that have connections, and how many.
    pub fn loads(&self) -> impl Iterator<Item = (SocketAddr, u32)> {
        self.active.iter().map(|(address, active)| (*address, *active))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(address: &str, ready: bool) -> Endpoint {
        let terminating = !ready;
        Endpoint { address: address.parse().unwrap(), pod_uid: address.into(), ready, serving: true, terminating }
    }

    fn choose(b: &mut Balancer) -> String {
        b.choose("127.0.0.1:4711".parse().unwrap()).chosen.map_or("none".into(), |a| a.to_string())
    }

    #[test]
    fn a_backend_that_is_not_ready_keeps_its_connections_and_gets_no_new_one() {
        let mut b = Balancer::new("127.0.0.1:1".parse().unwrap(), 6, SchedulerKind::Lc, 1);
        assert_eq!(choose(&mut b), "none");
        b.set_endpoints(&[endpoint("127.0.0.2:1", true), endpoint("[::1]:9", true)]);
        assert_eq!([choose(&mut b), choose(&mut b)], ["127.0.0.2:1", "127.0.0.2:1"]);
        b.set_endpoints(&[endpoint("127.0.0.2:1", false), endpoint("127.0.0.3:1", true)]);
        assert_eq!(choose(&mut b), "127.0.0.3:1");
        let mut loads: Vec<_> = b.loads().collect();
        loads.sort();
        assert_eq!(loads, [("127.0.0.2:1".parse().unwrap(), 2), ("127.0.0.3:1".parse().unwrap(), 1)]);
        loads.into_iter().for_each(|(a, n)| (0..n).for_each(|_| b.release(a)));
        assert_eq!(b.loads().count(), 0);
    }

    #[test]
    fn a_decision_tells_what_there_was_before_it() {
        let mut b = Balancer::new("127.0.0.1:1".parse().unwrap(), 6, SchedulerKind::Rr, 1);
        let many: Vec<Endpoint> = (1..=100).map(|n| endpoint(&format!("127.0.1.{n}:1"), true)).collect();
        b.set_endpoints(&many);
        let first = b.choose("127.0.0.1:4711".parse().unwrap());
        assert_eq!((first.candidates.len(), first.candidates_total), (RECORDED_MAX, 100));
        assert!(first.candidates.iter().all(|c| c.active == 0));
        let second = b.choose("127.0.0.1:4711".parse().unwrap());
        assert_eq!(second.candidates.iter().map(|c| c.active).sum::<u32>(), 1);
        assert_ne!(first.chosen, second.chosen);
    }
}
