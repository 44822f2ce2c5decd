//! Faults of pods, of proxies, on the way: step by step.

use super::balance::Director;
use super::ipvs::{expired, reset_by_node};
use super::traffic::Live;
use super::{MS, Sim, US};
use tg_model::cluster_event::{PodPhase, ProxyPhase, RolloutPhase};
use tg_model::node_event::{ConntrackPhase, Drop, Netns, NodeEvent, ProxyConnPhase, ProxyEnd, Reset, TcpState};
use tg_model::outcome::EndReason;
use tg_model::tcp_info::TcpInfo;
use tg_model::verdict::Cause;

/// One pod after the other; `between` each two, and while one is `draining`.
pub fn upgrade(sim: &mut Sim, between: impl Fn(&mut Sim), draining: impl Fn(&mut Sim)) {
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
pub fn stop(sim: &mut Sim, pod: usize, cause: Cause) {
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

pub fn kill(sim: &mut Sim) {
    end_unasked(sim, 0);
    sim.now += 500 * MS;
    sim.gone(0);
}

/// The pod that is killed is there again soon, and takes what others lose: those connections tell nothing of the
/// process before.
pub fn restart(sim: &mut Sim) {
    end_unasked(sim, 0);
    sim.now += 600 * MS;
    sim.pods[0].stopped = false;
    sim.ready(0);
    some(sim, 50, server_closes);
    sim.now += 1_500 * MS;
    some(sim, 50, server_closes);
    // So late that what its watch tells of the upgrade is of nothing before.
    sim.now += 12_000 * MS;
    upgrade(sim, |_| {}, |_| {});
}

/// The pod's process ends: its connections with it, and they come again.
fn end_unasked(sim: &mut Sim, pod: usize) {
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
}

/// So many percent of the connections, a little time between.
pub fn some(sim: &mut Sim, percent: u64, what: impl Fn(&mut Sim, u32)) {
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

pub fn server_closes(sim: &mut Sim, slot: u32) {
    // One that was asked to end may close what it has before it ends: that is its end.
    let asked = sim.pods[sim.live[&slot].pod].terminating;
    sim.ended_by_pod(slot, if asked { Cause::PodTerminated } else { Cause::ServerClosed });
}

/// Somebody on the way resets both ends.
pub fn third_party(sim: &mut Sim, slot: u32) {
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
pub fn silent(sim: &mut Sim, what: impl Fn(&mut Sim, u32)) {
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

pub fn freeze(sim: &mut Sim, slot: u32) {
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

pub fn blackhole(sim: &mut Sim, slot: u32) {
    dropped(sim, slot, 700 * MS);
    time_out(sim, slot, 2_048, Cause::Blackhole);
}

/// The second node vanishes with its pods; the cluster hears of it later.
pub fn node_loss(sim: &mut Sim) {
    let pods: Vec<usize> = (0..sim.pods.len()).filter(|p| sim.pods[*p].node == 1).collect();
    // Those of its pods, and those that it led to others.
    let by_it = |live: &Live| live.node == 1 || pods.contains(&live.pod);
    let slots: Vec<u32> = sim.live.iter().filter(|(_, live)| by_it(live)).map(|(slot, _)| *slot).collect();
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

/// Another pod gets a segment of it, or the same one from another client as it seems, and knows no such connection.
fn stray(sim: &mut Sim, slot: u32, node: usize, cause: Cause) {
    let live = sim.live[&slot].clone();
    let at = sim.now;
    let masquerade = sim.setup.masquerade;
    let same = masquerade && sim.random.chance(50);
    let other = if same { live.pod } else { (live.pod + 1) % sim.setup.replicas as usize };
    let behind = sim.behind(live.client, node, sim.pods[other].address);
    // Of an entry that begins in mid-stream nothing is told before it is confirmed.
    if !masquerade {
        sim.conntrack(node, at + 20 * US, ConntrackPhase::Seen, live.client, behind);
    }
    sim.conntrack(node, at + 200 * US, ConntrackPhase::Confirmed, live.client, behind);
    // It comes to a listener.
    let mut reset = sim.reset(other, at, behind.reversed(), masquerade);
    if let (NodeEvent::ResetSent(reset), true) = (&mut reset, masquerade) {
        reset.reason = Some("TCP_FLAGS".into());
    }
    sim.event(sim.pods[other].node, at + 60 * US, "send-reset", reset);
    sim.lost(slot, at + 120 * US, EndReason::Reset, 0, None, cause);
}

pub fn flushed(sim: &mut Sim, slot: u32) {
    let live = sim.live[&slot].clone();
    let at = sim.now;
    sim.conntrack(live.node, at, ConntrackPhase::Destroyed, live.client, live.behind);
    sim.now += 90 * MS;
    stray(sim, slot, live.node, Cause::ConntrackEntryLost);
}

pub fn untranslated(sim: &mut Sim, slot: u32) {
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

pub fn rehashed(sim: &mut Sim, slot: u32) {
    let live = sim.live[&slot].clone();
    let node = (live.node + 1) % sim.setup.nodes as usize;
    if sim.setup.director == Director::Rules {
        return stray(sim, slot, node, Cause::EcmpRehash);
    }
    let at = sim.now;
    reset_by_node(sim, node, at + 30 * US, live.client);
    sim.lost(slot, at + 80 * US, EndReason::Reset, 0, None, Cause::EcmpRehash);
}

pub fn proxy_restart(sim: &mut Sim) {
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

pub fn starved(sim: &mut Sim) {
    sim.now += 1_500 * MS;
    let slots: Vec<u32> = sim.live.keys().copied().collect();
    for slot in slots.into_iter().step_by(3) {
        time_out(sim, slot, 0, Cause::GeneratorStarved);
        sim.connect(slot);
    }
    sim.now += 10 * MS;
    sim.was_late(1_400 * MS);
}

/// Every pod is asked to end; some connections are reset and come again meanwhile.
pub fn scale_down(sim: &mut Sim) {
    let pods: Vec<usize> = (0..sim.pods.len()).collect();
    for pod in &pods {
        sim.terminate(*pod);
        sim.now += 20 * MS;
    }
    sim.now += 100 * MS;
    some(sim, 50, third_party);
    sim.now += 500 * MS;
    for pod in pods {
        sim.pods[pod].stopped = true;
        for slot in sim.on_pod(pod) {
            sim.now += 40 * US;
            sim.ended_by_pod(slot, Cause::PodTerminated);
        }
        sim.now += 10 * MS;
        sim.phase(pod, PodPhase::Stopped);
        sim.gone(pod);
    }
}
