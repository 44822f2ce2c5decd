//! Connections of the simulation: what the run's journal and the nodes' observers tell of their begin and end.

use super::balance::Director;
use super::{MS, Sim, US, VIP};
use std::net::SocketAddr;
use tg_model::id::ConnId;
use tg_model::journal::Established;
use tg_model::node_event::{
    Candidate, Conntrack, ConntrackPhase, ConntrackStatus, IpvsConn, IpvsConnPhase, IpvsDecision, Netns, NodeEvent,
    ProxyConn, ProxyConnPhase, ProxyDecision, ProxyEnd, Reset, StateChange, TcpState, Tuple,
};
use tg_model::outcome::{AttemptFailure, EndReason};
use tg_model::verdict::Cause;

/// A connection that is alive.
#[derive(Clone, Debug)]
pub struct Live {
    pub established: Established,
    /// The node that balances it.
    pub node: usize,
    pub pod: usize,
    pub client: Tuple,
    /// As the pod's side has it: from whom it sees to itself.
    pub behind: Tuple,
    pub placed_by: Cause,
    pub avoidable: bool,
    /// It is UDP and goes to another pod than before, and why.
    pub moved: Option<Cause>,
}

pub fn node_netns() -> Netns {
    Netns::default()
}

impl Sim {
    pub fn client_tuple(&mut self, slot: u32) -> Tuple {
        let port = self.next_port.entry(slot).or_default();
        if !self.setup.scenario.has_fixed_ports() {
            *port = (*port + 1) % self.setup.ports;
        }
        let nth = slot * u32::from(self.setup.ports) + u32::from(*port);
        let [host, port] = [nth / 40_000 + 1, nth % 40_000 + 20_000];
        Tuple { src: SocketAddr::from(([198, 51, 100, host as u8], port as u16)), dst: VIP }
    }

    pub fn behind(&mut self, client: Tuple, node: usize, pod: SocketAddr) -> Tuple {
        let from = |last: u8, port| SocketAddr::from(([10, 255, 0, last], port));
        let src = match self.setup.director {
            Director::Proxy => {
                self.next_snat += 1;
                from(node as u8 + 1, 40_000 + self.next_snat % 20_000)
            }
            _ if self.setup.masquerade => {
                // Few, so that they are used again; none that is in use.
                let used = |src| self.live.values().any(|l| l.behind.src == src);
                loop {
                    self.next_snat = (self.next_snat + 1)
                        % (self.setup.slots as u16).saturating_mul(2).saturating_add(3).min(24_000);
                    let src = from(node as u8 + 1, 40_000 + self.next_snat);
                    if !used(src) {
                        break src;
                    }
                }
            }
            _ => client.src,
        };
        Tuple { src, dst: pod }
    }

    pub fn event(&mut self, node: usize, at: u64, program: &'static str, event: NodeEvent) {
        self.told.nodes[node].push((at, program, event));
    }

    /// A slot connects, now; it tries again where it is refused.
    pub fn connect(&mut self, slot: u32) {
        self.catch_up();
        for _ in 0..20 {
            if self.attempt(slot) {
                return;
            }
            self.now += 20 * MS;
            self.catch_up();
        }
    }

    /// An attempt begins now: with which ends, by which node.
    pub fn attempted(&mut self, slot: u32) -> (u64, Tuple, usize) {
        let client = self.client_tuple(slot);
        (self.now, client, self.node_of(client))
    }

    fn node_of(&self, client: Tuple) -> usize {
        if self.setup.nodes > 1 { (client.src.port() as usize / 3) % self.setup.nodes as usize } else { 0 }
    }

    /// The node that the slot's next attempt comes by.
    pub fn next_node(&mut self, slot: u32) -> usize {
        let before = self.next_port.get(&slot).copied();
        let client = self.client_tuple(slot);
        self.next_port.insert(slot, before.unwrap_or_default());
        self.node_of(client)
    }

    /// Nobody takes it.
    fn nowhere(&mut self, slot: u32, at: u64, node: usize, client: Tuple, candidates: Vec<Candidate>) {
        let ready = self.pods.iter().any(|p| p.ready);
        let (failure, cause) = match self.setup.director {
            Director::Ipvs if ready => (AttemptFailure::Refused, Cause::IpvsNoDestination),
            Director::Proxy => (AttemptFailure::Timeout, Cause::Unattributed),
            _ => (AttemptFailure::Refused, Cause::Unattributed),
        };
        if self.setup.director == Director::Ipvs {
            let total = candidates.len() as u32;
            let decision = IpvsDecision {
                netns: node_netns(),
                service: self.service(),
                client: Some(client.src),
                chosen: None,
                candidates,
                candidates_total: total,
            };
            self.event(node, at + 50 * US, "ipvs-decision", NodeEvent::IpvsDecision(decision));
        }
        self.fail(slot, at, at + 200 * US, failure, Some(VIP), cause);
    }

    pub fn attempt(&mut self, slot: u32) -> bool {
        let (at, client, node) = self.attempted(slot);
        let candidates = self.balancers[node].list.clone();
        let Some(chosen) = self.balancers[node].choose(client.src, &mut self.random) else {
            self.nowhere(slot, at, node, client, candidates);
            return false;
        };
        let pod = self.pod_at(chosen);
        let behind = self.behind(client, node, chosen);
        self.tell_binding(node, at, client, behind, candidates);
        if self.pods[pod].stopped {
            let reset = self.reset(pod, at + 100 * US, behind.reversed(), false);
            self.event(self.pods[pod].node, at + 100 * US, "send-reset", reset);
            let cause = self.lag_of(pod, at, false).unwrap_or(Cause::Unattributed);
            self.fail(slot, at, at + 200 * US, AttemptFailure::Refused, Some(VIP), cause);
            return false;
        }
        self.established(slot, at, node, pod, client, behind);
        true
    }

    /// What the balancer's node tells of a new connection.
    pub fn tell_binding(
        &mut self,
        node: usize,
        at: u64,
        client: Tuple,
        behind: Tuple,
        candidates: Vec<tg_model::node_event::Candidate>,
    ) {
        let (chosen, total) = (Some(behind.dst), candidates.len() as u32);
        let (service, scheduler) = (self.service(), self.setup.scheduler.name().to_owned());
        match self.setup.director {
            Director::Ipvs => {
                let decision = IpvsDecision {
                    netns: node_netns(),
                    service,
                    client: Some(client.src),
                    chosen,
                    candidates,
                    candidates_total: total,
                };
                self.event(node, at + 50 * US, "ipvs-decision", NodeEvent::IpvsDecision(decision));
                let conn = IpvsConn {
                    phase: IpvsConnPhase::Made,
                    netns: node_netns(),
                    protocol: self.protocol(),
                    client: client.src,
                    service: VIP,
                    destination: behind.dst,
                };
                self.event(node, at + 55 * US, "ipvs-conn", NodeEvent::IpvsConn(conn));
                if self.setup.masquerade {
                    self.conntrack(node, at + 60 * US, ConntrackPhase::Seen, client, behind);
                }
            }
            Director::Rules => {
                self.conntrack(node, at + 60 * US, ConntrackPhase::Seen, client, behind);
                self.conntrack(node, at + 3 * MS, ConntrackPhase::Confirmed, client, behind);
            }
            Director::Proxy => {
                let decision = ProxyDecision {
                    protocol: self.protocol(),
                    service: VIP,
                    scheduler,
                    client: client.src,
                    chosen,
                    candidates,
                    candidates_total: total,
                };
                self.event(node, at + 250 * US, "userspace-director", NodeEvent::ProxyDecision(decision));
                self.proxied(node, at + 300 * US, ProxyConnPhase::Made, client, behind, None);
            }
        }
    }

    pub fn conntrack(&mut self, node: usize, at: u64, phase: ConntrackPhase, client: Tuple, behind: Tuple) {
        let program = if phase == ConntrackPhase::Seen { "binding" } else { "conntrack" };
        let entry = Conntrack {
            phase,
            netns: node_netns(),
            protocol: self.protocol(),
            original: client,
            reply: behind.reversed(),
            status: ConntrackStatus(1 << 5),
            tcp_state: None,
        };
        self.event(node, at, program, NodeEvent::Conntrack(entry));
    }

    pub fn proxied(
        &mut self,
        node: usize,
        at: u64,
        phase: ProxyConnPhase,
        client: Tuple,
        backend: Tuple,
        end: Option<ProxyEnd>,
    ) {
        let event = NodeEvent::ProxyConn(ProxyConn { phase, protocol: self.protocol(), client, backend, end });
        self.event(node, at, "userspace-director", event);
    }

    pub fn pod_netns(&self, pod: usize) -> Netns {
        Netns { inode: 1000 + pod as u32, cookie: 0, name: Some(self.pods[pod].told.name.clone()) }
    }

    pub fn reset(&self, pod: usize, _at: u64, tuple: Tuple, socket: bool) -> NodeEvent {
        let reason = Some(if socket { "TCP_STATE" } else { "NO_SOCKET" }.to_owned());
        NodeEvent::ResetSent(Reset { tuple, netns: self.pod_netns(pod), reason, socket, client: None })
    }

    /// What really put it there, in the world as it is now.
    pub fn placing(&self, conn: ConnId, pod: usize, at: u64) -> (Cause, bool) {
        let p = &self.pods[pod];
        let replaced = conn.nth > 0;
        let stays = self.pods.iter().any(|p| p.ready && (p.new || !self.upgrading));
        let doomed = self.upgrading && !p.new || p.terminating;
        let cause = match self.lag_of(pod, at, true) {
            Some(cause) => cause,
            None if replaced && doomed => Cause::RescheduledToDoomed,
            None => Cause::Scheduled,
        };
        (cause, replaced && cause != Cause::Scheduled && stays)
    }

    /// Which lag it is that a pod is met which takes no more, if it is one. When a balancer of IPVS follows is told;
    /// any other's record bears only how late it still led there, and so does that of an attempt.
    fn lag_of(&self, pod: usize, at: u64, placed: bool) -> Option<Cause> {
        let p = &self.pods[pod];
        let serves = p.terminating && !p.stopped && !self.pods.iter().any(|p| p.ready);
        let left = p.left.filter(|_| !p.ready && !serves)?;
        let told = if placed && self.setup.director == Director::Ipvs { self.lag } else { at - left };
        Some(if told >= 5_000 * MS { Cause::ProxyStall } else { Cause::EndpointLag })
    }

    /// The pod's socket changes its state.
    pub fn state(&mut self, pod: usize, at: u64, behind: Tuple, from: TcpState, to: TcpState) {
        if self.setup.scenario.is_udp() {
            return;
        }
        let netns = self.pod_netns(pod);
        let change = StateChange { tuple: behind.reversed(), netns, from, to, client: None };
        self.event(self.pods[pod].node, at, "tcp-state", NodeEvent::TcpState(change));
    }

    /// The pod's side ends the connection, now: by a FIN, or by a reset.
    pub fn ended_by_pod(&mut self, slot: u32, cause: Cause) {
        let Some(live) = self.live.get(&slot).cloned() else { return };
        let at = self.now;
        let reset = self.random.chance(20);
        let reason = if reset { EndReason::Reset } else { EndReason::ClosedByPeer };
        match self.setup.director {
            Director::Proxy => {
                let end = if reset { ProxyEnd::BackendReset } else { ProxyEnd::BackendClosed };
                self.proxied(live.node, at + 350 * US, ProxyConnPhase::Ended, live.client, live.behind, Some(end));
            }
            _ if reset => {
                let event = self.reset(live.pod, at, live.behind.reversed(), true);
                self.event(self.pods[live.pod].node, at, "send-reset", event);
            }
            _ => self.state(live.pod, at, live.behind, TcpState::Established, TcpState::FinWait1),
        }
        self.lost(slot, at + 80 * US, reason, 0, None, cause);
    }

    /// Slots whose connection is on a pod.
    pub fn on_pod(&self, pod: usize) -> Vec<u32> {
        self.live.iter().filter(|(_, l)| l.pod == pod).map(|(slot, _)| *slot).collect()
    }
}
