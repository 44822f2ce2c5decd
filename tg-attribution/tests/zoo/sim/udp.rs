//! Flows of UDP: they have no end of their own.

use super::balance::Director;
use super::{MS, Sim, US, VIP, ipvs};
use tg_model::cluster_event::{PodPhase, ProxyPhase, RolloutPhase};
use tg_model::node_event::ConntrackPhase;
use tg_model::outcome::{AttemptFailure, EndReason};
use tg_model::verdict::Cause;

/// So long after its pod's end a flow is lost.
const SILENCE: u64 = 1_000 * MS;

/// Nothing answers any more on these flows.
fn silent(sim: &mut Sim, slots: &[u32]) {
    sim.now += SILENCE;
    for slot in slots {
        let at = sim.now;
        sim.lost(*slot, at, EndReason::ResponseTimeout, SILENCE, None, Cause::PodTerminated);
    }
}

/// The balancer's entry of a flow is over.
fn forget(sim: &mut Sim, slot: u32, at: u64) {
    let live = sim.live[&slot].clone();
    if sim.setup.director == Director::Ipvs {
        return ipvs::expired(sim, slot, at);
    }
    sim.conntrack(live.node, at, ConntrackPhase::Destroyed, live.client, live.behind);
}

pub fn upgrade(sim: &mut Sim) {
    sim.rollout(RolloutPhase::Started);
    for pod in 0..sim.setup.replicas as usize {
        let new = sim.create(true);
        sim.now += 1_500 * MS;
        sim.ready(new);
        sim.now += 400 * MS;
        sim.terminate(pod);
        sim.now += 300 * MS;
        let slots = sim.on_pod(pod);
        over(sim, pod);
        silent(sim, &slots);
        slots.into_iter().for_each(|slot| sim.connect(slot));
    }
    sim.rollout(RolloutPhase::Complete);
}

/// The pod's process is over, and the cluster says so.
fn over(sim: &mut Sim, pod: usize) {
    sim.pods[pod].stopped = true;
    sim.pods[pod].ready = false;
    sim.phase(pod, PodPhase::Stopped);
    sim.gone(pod);
}

/// A pod is killed; its flows' entries stay, and lead to it from the same ports. `flushed`: they do not stay.
pub fn stale(sim: &mut Sim, flushed: bool) {
    let spare = sim.create(false);
    sim.ready(spare);
    let slots = sim.on_pod(0);
    over(sim, 0);
    sim.now += 20 * MS;
    for slot in slots.iter().filter(|_| flushed) {
        sim.now += 10 * US;
        let at = sim.now;
        forget(sim, *slot, at);
    }
    silent(sim, &slots);
    let began = sim.now + 100 * MS;
    for slot in &slots {
        let cause = if flushed { Cause::Unattributed } else { Cause::UdpStaleEntry };
        for again in 0..2 {
            let at = began + again * 2_000 * MS;
            sim.fail(*slot, at, at + 1_000 * MS, AttemptFailure::Timeout, Some(VIP), cause);
        }
    }
    sim.now = began + 5_000 * MS;
    slots.into_iter().for_each(|slot| sim.connect(slot));
}

/// Entries of the first node are destroyed while in use, and flows go elsewhere.
pub fn moved(sim: &mut Sim, cause: Cause) {
    if cause == Cause::UdpMoved {
        sim.tell_proxy(0, ProxyPhase::Stopped);
        sim.now += 700 * MS;
        sim.tell_proxy(0, ProxyPhase::Started);
    }
    let slots: Vec<u32> = sim.live.iter().filter(|(_, l)| l.node == 0).map(|(slot, _)| *slot).collect();
    for slot in slots {
        sim.now += 3 * MS;
        let at = sim.now;
        forget(sim, slot, at);
        sim.moves(slot, cause);
    }
}

/// A pod is asked to end, and its flows go elsewhere before it does.
pub fn drained(sim: &mut Sim) {
    let spare = sim.create(false);
    sim.ready(spare);
    sim.now += 200 * MS;
    sim.terminate(0);
    for slot in sim.on_pod(0) {
        sim.now += 3 * MS;
        let at = sim.now;
        forget(sim, slot, at);
        sim.moves(slot, Cause::PodTerminated);
    }
}
