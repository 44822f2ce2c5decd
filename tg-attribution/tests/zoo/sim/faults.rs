//! What happens in a simulated run, step by step.

use super::balance::Director;
use super::{MS, Sim, US, VIP};
use tg_model::cluster_event::{PodPhase, ProxyPhase, RolloutPhase};
use tg_model::node_event::{
    ConntrackPhase, Drop, IpvsConn, IpvsConnPhase, IpvsDestChange, Netns, NodeEvent, ProxyConnPhase, ProxyEnd, Reset,
    TcpState, Tuple,
};
use tg_model::outcome::EndReason;
use tg_model::tcp_info::TcpInfo;
use tg_model::verdict::Cause;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    Upgrade,
    /// An upgrade whose endpoints balancers hear of late.
    Lag,
    /// An upgrade while healthy servers close some connections, and others are reset from outside.
    Mixed,
    PodKill,
    PodFreeze,
    PodBlackhole,
    NodeLoss,
    ResetStorm,
    ServerClose,
    ConntrackFlush,
    ConntrackInvalid,
    EcmpChange,
    NodeFlap,
    DestinationDeleted,
    ProxyRestart,
    Starved,
    LocalError,
}

impl Scenario {
    pub const ALL: [Scenario; 17] = [
        Scenario::Upgrade,
        Scenario::Lag,
        Scenario::Mixed,
        Scenario::PodKill,
        Scenario::PodFreeze,
        Scenario::PodBlackhole,
        Scenario::NodeLoss,
        Scenario::ResetStorm,
        Scenario::ServerClose,
        Scenario::ConntrackFlush,
        Scenario::ConntrackInvalid,
        Scenario::EcmpChange,
        Scenario::NodeFlap,
        Scenario::DestinationDeleted,
        Scenario::ProxyRestart,
        Scenario::Starved,
        Scenario::LocalError,
    ];

    /// Whether such a thing can happen behind that director, with so many nodes.
    pub fn can_be(self, director: Director, nodes: u32, masquerade: bool) -> bool {
        let kernel = director != Director::Proxy;
        match self {
            Scenario::NodeFlap | Scenario::DestinationDeleted => director == Director::Ipvs,
            Scenario::ConntrackFlush => director == Director::Rules,
            Scenario::ConntrackInvalid => director == Director::Rules && !masquerade,
            Scenario::EcmpChange | Scenario::NodeLoss => kernel && nodes > 1,
            Scenario::PodBlackhole => kernel,
            _ => true,
        }
    }
}

/// Plays it.
pub fn play(sim: &mut Sim) {
    sim.now += 3_000 * MS;
    match sim.setup.scenario {
        Scenario::Upgrade => upgrade(sim, |_| {}, |_| {}),
        Scenario::Lag => {
            sim.lag = 1_300 * MS;
            // Some come again while a pod drains of which balancers have not heard yet.
            upgrade(sim, |_| {}, |sim| some(sim, 20, server_closes));
        }
        Scenario::Mixed => {
            let mixed = |sim: &mut Sim| {
                some(sim, 10, server_closes);
                some(sim, 10, third_party);
            };
            upgrade(sim, mixed, |_| {});
        }
        Scenario::PodKill => kill(sim),
        Scenario::PodFreeze => silent(sim, freeze),
        Scenario::PodBlackhole => silent(sim, blackhole),
        Scenario::NodeLoss => node_loss(sim),
        Scenario::ResetStorm => some(sim, 60, third_party),
        Scenario::ServerClose => some(sim, 60, server_closes),
        Scenario::ConntrackFlush => some(sim, 60, flushed),
        Scenario::ConntrackInvalid => some(sim, 60, untranslated),
        Scenario::EcmpChange => some(sim, 60, rehashed),
        Scenario::NodeFlap => deleted(sim, true),
        Scenario::DestinationDeleted => deleted(sim, false),
        Scenario::ProxyRestart => proxy_restart(sim),
        Scenario::Starved => starved(sim),
        Scenario::LocalError => some(sim, 60, |sim, slot| {
            let at = sim.now;
            sim.lost(slot, at, EndReason::LocalError, 0, None, Cause::LocalError);
        }),
    }
}

/// One pod after the other; `between` each two, and while one is `draining`.
fn upgrade(sim: &mut Sim, between: impl Fn(&mut Sim), draining: impl Fn(&mut Sim)) {
    sim.rollout(RolloutPhase::Started);
    let old: Vec<usize> = (0..sim.setup.replicas as usize).collect();
    for pod in old {
        let new = sim.create(true);
        sim.now += 1_500 * MS;
        sim.ready(new);
        sim.now += 30 * MS;
        between(sim);
        sim.now += 400 * MS;
        sim.terminate(pod);
        let ends = sim.now + 900 * MS;
        sim.now += 400 * MS;
        draining(sim);
        sim.now = ends.max(sim.now);
        stop(sim, pod, Cause::PodTerminated);
        sim.now += 150 * MS;
        sim.catch_up();
    }
    sim.now += 2_000 * MS;
    sim.rollout(RolloutPhase::Complete);
}

/// The pod's server ends: its connections with it, and they come again.
fn stop(sim: &mut Sim, pod: usize, cause: Cause) {
    sim.pods[pod].stopped = true;
    for slot in sim.on_pod(pod) {
        sim.now += 40 * US;
        sim.ended_by_pod(slot, cause);
        sim.connect(slot);
    }
    sim.now += 10 * MS;
    sim.phase(pod, PodPhase::Stopped);
    sim.gone(pod);
}

fn kill(sim: &mut Sim) {
    let pod = 0;
    sim.pods[pod].stopped = true;
    let slots = sim.on_pod(pod);
    let at = sim.now;
    for slot in &slots {
        sim.ended_by_pod(*slot, Cause::PodTerminated);
    }
    sim.now = at + 30 * MS;
    sim.pods[pod].ready = false;
    sim.phase(pod, PodPhase::Stopped);
    sim.endpoints();
    slots.into_iter().for_each(|slot| sim.connect(slot));
    sim.now += 500 * MS;
    sim.gone(pod);
}

/// So many percent of the connections, a little time between.
fn some(sim: &mut Sim, percent: u64, what: impl Fn(&mut Sim, u32)) {
    let slots: Vec<u32> = sim.live.keys().copied().collect();
    for slot in slots {
        if sim.random.chance(percent) {
            sim.now += 3 * MS;
            what(sim, slot);
            sim.now += MS;
            sim.connect(slot);
        }
    }
}

fn server_closes(sim: &mut Sim, slot: u32) {
    // One that was asked to end may close what it has before it ends: that is its end.
    let asked = sim.pods[sim.live[&slot].pod].terminating;
    sim.ended_by_pod(slot, if asked { Cause::PodTerminated } else { Cause::ServerClosed });
}

/// Somebody on the way resets both ends.
fn third_party(sim: &mut Sim, slot: u32) {
    let live = sim.live[&slot].clone();
    let at = sim.now;
    if sim.setup.director == Director::Proxy {
        sim.proxied(live.node, at, ProxyConnPhase::Ended, live.client, live.behind, Some(ProxyEnd::Proxy));
    } else {
        let netns = sim.pod_netns(live.pod);
        let event = NodeEvent::ResetReceived(Reset {
            tuple: live.behind,
            netns,
            reason: None,
            socket: true,
            client: Some(live.client),
        });
        let node = sim.pods[live.pod].node;
        sim.event(node, at, "receive-reset", event);
        sim.state(live.pod, at + US, live.behind, TcpState::Established, TcpState::Close);
    }
    sim.lost(slot, at + 60 * US, EndReason::Reset, 0, None, Cause::ResetByThirdParty);
}

fn tcp(unacknowledged: u64) -> TcpInfo {
    let total_retrans = if unacknowledged > 0 { 3 } else { 0 };
    TcpInfo { bytes_sent: 9_000, bytes_acked: 9_001 - unacknowledged, total_retrans, ..TcpInfo::default() }
}

fn time_out(sim: &mut Sim, slot: u32, unacknowledged: u64, cause: Cause) {
    let at = sim.now;
    sim.lost(slot, at, EndReason::ResponseTimeout, 1_000 * MS, Some(tcp(unacknowledged)), cause);
}

/// Connections of a pod that stands still, or is cut off, end by the response time-out.
fn silent(sim: &mut Sim, what: impl Fn(&mut Sim, u32)) {
    let pod = 1 % sim.setup.replicas as usize;
    let slots = sim.on_pod(pod);
    sim.now += 300 * MS;
    sim.pods[pod].ready = false;
    sim.phase(pod, PodPhase::Unready);
    sim.endpoints();
    sim.now += 800 * MS;
    for slot in slots {
        sim.now += MS;
        what(sim, slot);
        sim.connect(slot);
    }
}

fn freeze(sim: &mut Sim, slot: u32) {
    time_out(sim, slot, 0, Cause::ServerStalled);
}

fn dropped(sim: &mut Sim, slot: u32, before: u64) {
    let live = sim.live[&slot].clone();
    let drop = Drop {
        tuple: live.behind,
        protocol: 6,
        netns: Netns::default(),
        reason: "NETFILTER_DROP".into(),
        client: None,
    };
    let at = sim.now - before;
    sim.event(live.node, at, "drop", NodeEvent::Drop(drop));
}

fn blackhole(sim: &mut Sim, slot: u32) {
    dropped(sim, slot, 700 * MS);
    time_out(sim, slot, 2_048, Cause::Blackhole);
}

/// The second node vanishes with its pods; the cluster hears of it later.
fn node_loss(sim: &mut Sim) {
    let pods: Vec<usize> = (0..sim.pods.len()).filter(|p| sim.pods[*p].node == 1).collect();
    let slots: Vec<u32> = pods.iter().flat_map(|p| sim.on_pod(*p)).collect();
    sim.now += 1_000 * MS;
    for slot in &slots {
        sim.now += MS;
        time_out(sim, *slot, 4_096, Cause::Blackhole);
    }
    sim.now += 2_000 * MS;
    sim.tell_node_ready(1, false);
    for pod in pods {
        sim.pods[pod].ready = false;
        sim.phase(pod, PodPhase::Unready);
    }
    sim.endpoints();
    slots.into_iter().for_each(|slot| sim.connect(slot));
}

/// Another pod gets a segment of it, and knows no such connection.
fn stray(sim: &mut Sim, slot: u32, node: usize, cause: Cause) {
    let live = sim.live[&slot].clone();
    let other = (live.pod + 1) % sim.setup.replicas as usize;
    let at = sim.now;
    let behind = Tuple { dst: sim.pods[other].address, ..live.behind };
    sim.conntrack(node, at + 20 * US, ConntrackPhase::Seen, live.client, behind);
    sim.conntrack(node, at + 2 * MS, ConntrackPhase::Confirmed, live.client, behind);
    let reset = sim.reset(other, at, behind.reversed(), false);
    sim.event(sim.pods[other].node, at + 60 * US, "send-reset", reset);
    sim.lost(slot, at + 120 * US, EndReason::Reset, 0, None, cause);
}

fn flushed(sim: &mut Sim, slot: u32) {
    let live = sim.live[&slot].clone();
    let at = sim.now;
    sim.conntrack(live.node, at, ConntrackPhase::Destroyed, live.client, live.behind);
    sim.now += 90 * MS;
    stray(sim, slot, live.node, Cause::ConntrackEntryLost);
}

fn untranslated(sim: &mut Sim, slot: u32) {
    let live = sim.live[&slot].clone();
    let at = sim.now;
    let netns = Netns { inode: 9, cookie: 0, name: Some("client".into()) };
    let reset = Reset { tuple: live.behind, netns, reason: Some("NO_SOCKET".into()), socket: false, client: None };
    sim.event(live.node, at, "send-reset", NodeEvent::ResetSent(reset));
    let answer = sim.reset(live.pod, at, live.behind.reversed(), false);
    let node = sim.pods[live.pod].node;
    sim.event(node, at + 70 * MS, "send-reset", answer);
    sim.lost(slot, at + 71 * MS, EndReason::Reset, 60 * MS, None, Cause::ConntrackInvalid);
}

/// The node's own stack answers for the service's address.
fn reset_by_node(sim: &mut Sim, node: usize, at: u64, client: Tuple) {
    let netns = Netns::default();
    let reset = Reset {
        tuple: client.reversed(),
        netns,
        reason: Some("NO_SOCKET".into()),
        socket: false,
        client: Some(client),
    };
    assert_eq!(client.dst, VIP);
    sim.event(node, at, "send-reset", NodeEvent::ResetSent(reset));
}

fn rehashed(sim: &mut Sim, slot: u32) {
    let live = sim.live[&slot].clone();
    let node = (live.node + 1) % sim.setup.nodes as usize;
    if sim.setup.director == Director::Rules {
        return stray(sim, slot, node, Cause::EcmpRehash);
    }
    let at = sim.now;
    reset_by_node(sim, node, at + 30 * US, live.client);
    sim.lost(slot, at + 80 * US, EndReason::Reset, 0, None, Cause::EcmpRehash);
}

fn expired(sim: &mut Sim, slot: u32, at: u64) {
    let live = sim.live[&slot].clone();
    let conn = IpvsConn {
        phase: IpvsConnPhase::Expired,
        netns: Netns::default(),
        protocol: 6,
        client: live.client.src,
        service: VIP,
        destination: live.behind.dst,
    };
    sim.event(live.node, at, "ipvs-conn", NodeEvent::IpvsConn(conn));
}

/// IPVS' destinations of a node's pods, or of one pod, are deleted while their connections are active.
fn deleted(sim: &mut Sim, flap: bool) {
    let cause = if flap { Cause::NodeFlap } else { Cause::IpvsDestinationDeletedEarly };
    let last = sim.setup.nodes - 1;
    let pods: Vec<usize> =
        (0..sim.pods.len()).filter(|p| if flap { sim.pods[*p].node == last as usize } else { *p == 0 }).collect();
    let slots: Vec<u32> = pods.iter().flat_map(|p| sim.on_pod(*p)).collect();
    if flap {
        sim.tell_node_ready(last, false);
        sim.now += 50 * MS;
    }
    for pod in &pods {
        for node in 0..sim.balancers.len() {
            sim.delete_dest(node, sim.pods[*pod].address);
        }
    }
    for slot in &slots {
        sim.now += 2 * MS;
        let (at, live) = (sim.now, sim.live[slot].clone());
        expired(sim, *slot, at);
        reset_by_node(sim, live.node, at + 200 * MS, live.client);
        sim.lost(*slot, at + 201 * MS, EndReason::Reset, 200 * MS, None, cause);
    }
    sim.now += 1_000 * MS;
    if flap {
        sim.tell_node_ready(last, true);
        for pod in pods {
            for node in 0..sim.balancers.len() {
                sim.balancers[node].add(sim.pods[pod].address);
                sim.tell_dest(node, sim.pods[pod].address, IpvsDestChange::Added);
            }
        }
    }
    // Where all pods were on that node, nobody took any before.
    slots.into_iter().for_each(|slot| sim.connect(slot));
}

fn proxy_restart(sim: &mut Sim) {
    sim.tell_proxy(0, ProxyPhase::Stopped);
    let slots: Vec<u32> = sim.live.iter().filter(|(_, l)| l.node == 0).map(|(slot, _)| *slot).collect();
    sim.now += 100 * MS;
    for slot in &slots {
        sim.now += 200 * US;
        let (at, live) = (sim.now, sim.live[slot].clone());
        match sim.setup.director {
            Director::Ipvs => expired(sim, *slot, at),
            Director::Rules => sim.conntrack(live.node, at, ConntrackPhase::Destroyed, live.client, live.behind),
            Director::Proxy => {
                let end = Some(ProxyEnd::Proxy);
                sim.proxied(live.node, at + 100 * US, ProxyConnPhase::Ended, live.client, live.behind, end);
            }
        }
        sim.lost(*slot, at + 100 * MS, EndReason::Reset, 100 * MS, None, Cause::ProxyRestart);
        sim.now = at;
    }
    sim.now += 400 * MS;
    sim.tell_proxy(0, ProxyPhase::Started);
    slots.into_iter().for_each(|slot| sim.connect(slot));
}

fn starved(sim: &mut Sim) {
    sim.now += 1_500 * MS;
    let slots: Vec<u32> = sim.live.keys().copied().collect();
    for slot in slots.into_iter().step_by(3) {
        time_out(sim, slot, 0, Cause::GeneratorStarved);
        sim.connect(slot);
    }
    sim.now += 10 * MS;
    sim.sample(1_400 * MS);
}
