//! Connections of the simulation: what the run's journal and the nodes' observers tell of their begin and end.

use super::balance::Director;
use super::{MS, Sim, Truth, US, VIP};
use std::net::SocketAddr;
use tg_model::counts::Counts;
use tg_model::histogram::Histogram;
use tg_model::id::{ConnId, SlotId};
use tg_model::journal::{AttemptFailed, Closed, Established, Identified, Line, Sample, Totals};
use tg_model::node_event::{
    Conntrack, ConntrackPhase, ConntrackStatus, IpvsConn, IpvsConnPhase, IpvsDecision, Netns, NodeEvent, ProxyConn,
    ProxyConnPhase, ProxyDecision, ProxyEnd, Reset, StateChange, TcpState, Tuple,
};
use tg_model::outcome::{AttemptFailure, EndReason};
use tg_model::tcp_info::TcpInfo;
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
}

pub fn node_netns() -> Netns {
    Netns::default()
}

impl Sim {
    fn client_tuple(&mut self, slot: u32) -> Tuple {
        let port = self.next_port.entry(slot).or_default();
        *port = (*port + 1) % self.setup.ports;
        let nth = slot * u32::from(self.setup.ports) + u32::from(*port);
        let [host, port] = [nth / 40_000 + 1, nth % 40_000 + 20_000];
        Tuple { src: SocketAddr::from(([198, 51, 100, host as u8], port as u16)), dst: VIP }
    }

    fn behind(&mut self, client: Tuple, node: usize, pod: SocketAddr) -> Tuple {
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

    fn attempt(&mut self, slot: u32) -> bool {
        let (at, client) = (self.now, self.client_tuple(slot));
        let node = if self.setup.nodes > 1 { (client.src.port() as usize / 3) % self.setup.nodes as usize } else { 0 };
        let candidates = self.balancers[node].list.clone();
        let Some(chosen) = self.balancers[node].choose(&mut self.random) else {
            self.failed(slot, at, AttemptFailure::Timeout);
            return false;
        };
        let pod = self.pod_at(chosen);
        let behind = self.behind(client, node, chosen);
        self.tell_binding(node, at, client, behind, candidates);
        if self.pods[pod].stopped {
            let reset = self.reset(pod, at + 100 * US, behind.reversed(), false);
            self.event(self.pods[pod].node, at + 100 * US, "send-reset", reset);
            self.failed(slot, at, AttemptFailure::Refused);
            return false;
        }
        self.established(slot, at, node, pod, client, behind);
        true
    }

    /// What the balancer's node tells of a new connection.
    fn tell_binding(
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
                    protocol: 6,
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
                    protocol: 6,
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
            protocol: 6,
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
        let event = NodeEvent::ProxyConn(ProxyConn { phase, protocol: 6, client, backend, end });
        self.event(node, at, "userspace-director", event);
    }

    pub fn pod_netns(&self, pod: usize) -> Netns {
        Netns { inode: 1000 + pod as u32, cookie: 0, name: Some(self.pods[pod].told.name.clone()) }
    }

    pub fn reset(&self, pod: usize, _at: u64, tuple: Tuple, socket: bool) -> NodeEvent {
        let reason = Some(if socket { "TCP_STATE" } else { "NO_SOCKET" }.to_owned());
        NodeEvent::ResetSent(Reset { tuple, netns: self.pod_netns(pod), reason, socket, client: None })
    }

    fn failed(&mut self, slot: u32, at: u64, failure: AttemptFailure) {
        let ended = at + 200 * US;
        let line = AttemptFailed {
            slot: SlotId(slot),
            started_ns: Sim::run_ns(at),
            ended_ns: Sim::run_ns(ended),
            failure,
            errno: None,
            detail: None,
            remote: Some(VIP),
        };
        self.told.run.push((ended, Line::AttemptFailed(line)));
    }

    fn established(&mut self, slot: u32, at: u64, node: usize, pod: usize, client: Tuple, behind: Tuple) {
        let nth = self.next_nth.entry(slot).or_default();
        let conn = ConnId { slot: SlotId(slot), nth: *nth };
        *nth += 1;
        let up = at + 180 * US;
        let established = Established {
            conn,
            first_attempt_ns: Sim::run_ns(at),
            attempt_ns: Sim::run_ns(at),
            established_ns: Sim::run_ns(up),
            failed_attempts: 0,
            local: client.src,
            remote: client.dst,
        };
        self.told.run.push((up, Line::Established(established.clone())));
        let host = Some(self.pods[pod].told.name.clone());
        let identified = Identified { conn, at_ns: Sim::run_ns(up + 400 * US), host, identity: None };
        self.told.run.push((up + 400 * US, Line::Identified(identified)));
        if self.setup.director != Director::Proxy {
            self.state(pod, at + 120 * US, behind, TcpState::SynRecv, TcpState::Established);
        }
        let (placed_by, avoidable) = self.placing(conn, pod, at);
        let live = Live { established, node, pod, client, behind, placed_by, avoidable };
        self.live.insert(slot, live);
    }

    /// What really put it there, in the world as it is now.
    fn placing(&self, conn: ConnId, pod: usize, _at: u64) -> (Cause, bool) {
        let p = &self.pods[pod];
        let replaced = conn.nth > 0;
        let stays = self.pods.iter().any(|p| p.ready && (p.new || !self.upgrading));
        let cause = match () {
            () if !p.ready && (p.terminating || p.stopped) => Cause::EndpointLag,
            () if replaced && self.upgrading && !p.new => Cause::RescheduledToDoomed,
            () => Cause::Scheduled,
        };
        (cause, replaced && cause != Cause::Scheduled && stays)
    }

    /// The pod's socket changes its state.
    pub fn state(&mut self, pod: usize, at: u64, behind: Tuple, from: TcpState, to: TcpState) {
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

    /// The run tells of a loss; the truth is kept, the balancer forgets it.
    pub fn lost(&mut self, slot: u32, at: u64, reason: EndReason, detection: u64, tcp: Option<TcpInfo>, cause: Cause) {
        let Some(live) = self.live.remove(&slot) else { return };
        if let Some(c) = self.balancers[live.node].at(live.behind.dst) {
            c.active = c.active.saturating_sub(1);
        }
        if self.setup.director == Director::Rules && cause == Cause::PodTerminated {
            self.conntrack(live.node, at + 900 * MS, ConntrackPhase::Destroyed, live.client, live.behind);
        }
        let conn = live.established.conn;
        self.truth.insert(conn, Truth { ended_by: cause, placed_by: live.placed_by, avoidable: live.avoidable });
        self.closed(live, at, reason, detection, tcp);
        self.now = self.now.max(at) + 20 * US;
    }

    fn closed(&mut self, live: Live, at: u64, reason: EndReason, detection_ns: u64, tcp: Option<TcpInfo>) {
        let closed = Closed {
            established: live.established,
            ended_ns: Sim::run_ns(at),
            reason,
            errno: None,
            detail: None,
            detection_ns,
            host: Some(self.pods[live.pod].told.name.clone()),
            identity: None,
            counts: Counts::default(),
            tcp,
        };
        self.told.run.push((at, Line::Closed(Box::new(closed))));
    }

    /// The plan's end.
    pub fn complete(&mut self, slot: u32) {
        if let Some(live) = self.live.remove(&slot) {
            let at = self.now;
            self.closed(live, at, EndReason::Completed, 0, None);
        }
    }

    /// A sample of the second that ends now, with the worst lateness.
    pub fn sample(&mut self, late_ns: u64) {
        let mut lateness = Histogram::default();
        lateness.record(30_000);
        lateness.record(late_ns.max(1));
        let none = Histogram::default().encode();
        let at_ns = Sim::run_ns(self.now);
        let sample = Sample {
            at_ns,
            since_ns: at_ns.saturating_sub(1_500 * MS),
            realtime_ns: 0,
            active: 0,
            connecting: 0,
            totals: Totals::default(),
            latency: none.clone(),
            service_time: none,
            lateness: lateness.encode(),
        };
        self.told.run.push((self.now, Line::Sample(Box::new(sample))));
    }

    /// Slots whose connection is on a pod.
    pub fn on_pod(&self, pod: usize) -> Vec<u32> {
        self.live.iter().filter(|(_, l)| l.pod == pod).map(|(slot, _)| *slot).collect()
    }
}
