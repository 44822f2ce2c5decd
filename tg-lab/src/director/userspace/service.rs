//! One service on one node: its backends, their connections, and each choice. Changes when what a choice is made
//! from does. Pure.

use crate::scheduler::{Backend, Balancer, NotSimulated};
use std::collections::HashSet;
use std::net::SocketAddr;
use tg_model::cluster_event::Endpoint;
use tg_model::lab_plan::{DirectorKind, SchedulerKind};
use tg_model::node_event::{Candidate, ProxyDecision};

/// Candidates that a decision records at most: what is beyond that is counted.
const RECORDED_MAX: usize = 64;

/// Balances one service's connections on one node.
#[derive(Debug)]
pub struct Service {
    address: SocketAddr,
    protocol: u8,
    kind: SchedulerKind,
    balancer: Balancer,
    /// Endpoints no longer: they go when their last connection does.
    leaving: HashSet<SocketAddr>,
}

impl Service {
    /// For connections to `address`; no backends yet.
    ///
    /// # Errors
    /// Only the kernel has that scheduler.
    pub fn new(address: SocketAddr, protocol: u8, kind: SchedulerKind, seed: u64) -> Result<Service, NotSimulated> {
        let balancer = Balancer::new(DirectorKind::Userspace, kind, seed)?;
        Ok(Service { address, protocol, kind, balancer, leaving: HashSet::new() })
    }

    /// The service's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// IP protocol.
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    /// New connections go to those of this family that are ready. Those that are not, or are missing, keep the
    /// connections that they have.
    pub fn set_endpoints(&mut self, endpoints: &[Endpoint]) {
        let mine: Vec<&Endpoint> = endpoints.iter().filter(|e| e.address.is_ipv4() == self.address.is_ipv4()).collect();
        for endpoint in &mine {
            self.leaving.remove(&endpoint.address);
            // As kube-proxy: a backend is made when it is ready for the first time.
            if endpoint.ready || self.balancer.position(endpoint.address).is_some() {
                self.balancer.add(endpoint.address, u32::from(endpoint.ready));
            }
        }
        let listed: HashSet<SocketAddr> = mine.iter().map(|e| e.address).collect();
        let gone: Vec<Backend> =
            self.balancer.backends().iter().filter(|b| !listed.contains(&b.address)).copied().collect();
        for backend in gone {
            if backend.active == 0 {
                self.balancer.remove(backend.address);
            } else {
                self.balancer.set_weight(backend.address, 0);
                self.leaving.insert(backend.address);
            }
        }
    }

    /// Chooses for a client's new connection and counts it. Each chosen one must be given back by
    /// [`Service::release`].
    pub fn choose(&mut self, client: SocketAddr) -> ProxyDecision {
        let candidate = |b: &Backend| Candidate {
            address: b.address,
            weight: i32::try_from(b.weight).unwrap_or(i32::MAX),
            active: b.active,
            inactive: b.inactive,
        };
        let before = self.balancer.backends();
        let candidates = before.iter().take(RECORDED_MAX).map(candidate).collect();
        let candidates_total = u32::try_from(before.len()).unwrap_or(u32::MAX);
        let chosen = self.balancer.choose(client).and_then(|at| self.balancer.backends().get(at)).map(|b| b.address);
        ProxyDecision {
            protocol: self.protocol,
            service: self.address,
            scheduler: self.kind.name().into(),
            client,
            chosen,
            candidates,
            candidates_total,
        }
    }

    /// A connection that was chosen for has ended.
    pub fn release(&mut self, backend: SocketAddr) {
        self.balancer.close(backend);
        let left = self.balancer.position(backend).and_then(|at| self.balancer.backends().get(at));
        if left.is_some_and(|b| b.active == 0) && self.leaving.remove(&backend) {
            self.balancer.remove(backend);
        }
    }

    /// Backends, and how many connections they have.
    pub fn loads(&self) -> impl Iterator<Item = (SocketAddr, u32)> {
        self.balancer.backends().iter().map(|b| (b.address, b.active))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(address: &str, ready: bool) -> Endpoint {
        let terminating = !ready;
        Endpoint { address: address.parse().unwrap(), pod_uid: address.into(), ready, serving: true, terminating }
    }

    fn service(kind: SchedulerKind) -> Service {
        Service::new("127.0.0.1:1".parse().unwrap(), 6, kind, 1).unwrap()
    }

    fn choose(s: &mut Service) -> String {
        s.choose("127.0.0.1:4711".parse().unwrap()).chosen.map_or("none".into(), |a| a.to_string())
    }

    fn loads(s: &Service) -> Vec<(String, u32)> {
        let mut loads: Vec<_> = s.loads().map(|(a, n)| (a.to_string(), n)).collect();
        loads.sort();
        loads
    }

    #[test]
    fn a_backend_that_is_not_ready_keeps_its_connections_and_gets_no_new_one() {
        let mut s = service(SchedulerKind::Lc);
        assert_eq!(choose(&mut s), "none");
        s.set_endpoints(&[endpoint("127.0.0.2:1", true), endpoint("[::1]:9", true)]);
        assert_eq!([choose(&mut s), choose(&mut s)], ["127.0.0.2:1", "127.0.0.2:1"]);
        s.set_endpoints(&[endpoint("127.0.0.2:1", false), endpoint("127.0.0.3:1", true)]);
        assert_eq!(choose(&mut s), "127.0.0.3:1");
        s.set_endpoints(&[endpoint("127.0.0.3:1", true)]);
        assert_eq!(choose(&mut s), "127.0.0.3:1");
        assert_eq!(loads(&s), [("127.0.0.2:1".into(), 2), ("127.0.0.3:1".into(), 2)]);
        s.release("127.0.0.2:1".parse().unwrap());
        s.release("127.0.0.2:1".parse().unwrap());
        assert_eq!(loads(&s), [("127.0.0.3:1".into(), 2)]);
        s.set_endpoints(&[]);
        assert_eq!(choose(&mut s), "none");
    }

    #[test]
    fn a_decision_tells_what_there_was_before_it() {
        let mut s = service(SchedulerKind::Rr);
        let many: Vec<Endpoint> = (1..=100).map(|n| endpoint(&format!("127.0.1.{n}:1"), true)).collect();
        s.set_endpoints(&many);
        let active = |d: &ProxyDecision| d.candidates.iter().map(|c| c.active).sum::<u32>();
        let decisions: Vec<ProxyDecision> = (0..101).map(|_| s.choose("127.0.0.1:4711".parse().unwrap())).collect();
        assert_eq!((decisions[0].candidates.len(), decisions[0].candidates_total), (RECORDED_MAX, 100));
        assert_eq!(active(&decisions[0]), 0);
        assert_eq!(active(&decisions[100]), RECORDED_MAX as u32, "each has one by then");
        let chosen: HashSet<_> = decisions.iter().take(100).map(|d| d.chosen).collect();
        assert_eq!(chosen.len(), 100);
    }
}
