//! Faults of IPVS.

use super::faults::{some, third_party};
use super::{MS, Sim, US, VIP};
use tg_model::node_event::{IpvsConn, IpvsConnPhase, Netns, NodeEvent, Reset, Tuple};
use tg_model::outcome::EndReason;
use tg_model::verdict::Cause;

/// The node's own stack answers for the service's address.
pub fn reset_by_node(sim: &mut Sim, node: usize, at: u64, client: Tuple) {
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

pub fn expired(sim: &mut Sim, slot: u32, at: u64) {
    let live = sim.live[&slot].clone();
    let conn = IpvsConn {
        phase: IpvsConnPhase::Expired,
        netns: Netns::default(),
        protocol: sim.protocol(),
        client: live.client.src,
        service: VIP,
        destination: live.behind.dst,
    };
    sim.event(live.node, at, "ipvs-conn", NodeEvent::IpvsConn(conn));
}

/// IPVS' destinations of a node's pods, or of one pod, are deleted while their connections are active.
pub fn deleted(sim: &mut Sim, flap: bool) {
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
                sim.add_dest(node, sim.pods[pod].address);
            }
        }
    }
    // Where all pods were on that node, nobody took any before.
    slots.into_iter().for_each(|slot| sim.connect(slot));
}

/// A pod drains, and some of its connections are reset from outside: their ports come again at once. `seen`: IPVS still
/// has their entries; else they are over, and nobody sees the new ones.
pub fn port_reuse(sim: &mut Sim, seen: bool) {
    let pod = 0;
    let spare = sim.create(false);
    sim.ready(spare);
    sim.now += 500 * MS;
    sim.terminate(pod);
    sim.now += 200 * MS;
    let slots = sim.on_pod(pod);
    for slot in slots.into_iter().step_by(2) {
        sim.now += 3 * MS;
        let before = sim.live[&slot].clone();
        if !seen && sim.random.chance(50) {
            expired(sim, slot, sim.now + MS);
        }
        third_party(sim, slot);
        sim.now += 10 * MS;
        if seen {
            let at = sim.now;
            sim.established(slot, at, before.node, pod, before.client, before.behind);
            let live = sim.live.get_mut(&slot).unwrap();
            (live.placed_by, live.avoidable) = (Cause::IpvsPortReuseStale, false);
        } else {
            let node = before.node;
            let told = sim.told.nodes[node].len();
            sim.connect(slot);
            sim.told.nodes[node].truncate(told);
        }
    }
    sim.now += 700 * MS;
    if !seen {
        // Those that nobody saw are closed by their servers, for a verdict.
        some(sim, 60, super::faults::server_closes);
    }
    super::faults::stop(sim, pod, Cause::PodTerminated);
}

/// Somebody takes all weights away; who tries finds nothing.
pub fn no_destination(sim: &mut Sim) {
    let slots: Vec<u32> = sim.live.keys().copied().collect();
    let slots: Vec<u32> = slots.into_iter().step_by(3).collect();
    for slot in &slots {
        sim.now += 2 * MS;
        third_party(sim, *slot);
    }
    weigh(sim, 0);
    for slot in &slots {
        sim.now += 100 * US;
        sim.attempt(*slot);
    }
    sim.now += 300 * MS;
    weigh(sim, 1);
    slots.into_iter().for_each(|slot| sim.connect(slot));
}

fn weigh(sim: &mut Sim, weight: i32) {
    for node in 0..sim.balancers.len() {
        let addresses: Vec<_> = sim.balancers[node].list.iter().map(|c| c.address).collect();
        for address in addresses {
            sim.weigh(node, address, weight);
        }
    }
}

/// Ports come again, and the SYN has to be sent twice.
pub fn slow(sim: &mut Sim, cause: Cause) {
    let slots: Vec<u32> = sim.live.keys().copied().collect();
    for slot in slots.into_iter().step_by(3) {
        sim.now += 5 * MS;
        third_party(sim, slot);
        sim.now += 10 * MS;
        let began = sim.now;
        sim.now += 1_010 * MS;
        sim.connect(slot);
        sim.slow(slot, began, cause);
        sim.now = began + 20 * MS;
    }
    sim.now += 2_000 * MS;
}
