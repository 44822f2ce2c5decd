//! Attempts that fail.

use super::faults::third_party;
use super::{MS, Sim, VIP};
use std::time::Duration;
use tg_model::node_event::{ConntrackTable, Drop, Netns, NodeEvent, Tuple};
use tg_model::outcome::AttemptFailure;
use tg_model::verdict::Cause;

/// Until an attempt is given up.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Some connections are reset, of which those by a node of `nodes` cannot come again.
fn lose(sim: &mut Sim, nodes: impl Fn(usize) -> bool) -> Vec<u32> {
    let slots: Vec<u32> = sim.live.keys().copied().collect();
    let mut lost = Vec::new();
    for slot in slots.into_iter().step_by(2) {
        sim.now += 3 * MS;
        third_party(sim, slot);
        if nodes(sim.next_node(slot)) {
            lost.push(slot);
        } else {
            sim.connect(slot);
        }
    }
    lost
}

/// Each tries, side by side, and its SYNs are dropped on its node: so much later than they were sent, and why.
fn dropped(sim: &mut Sim, slots: &[u32], of_node: impl Fn(usize) -> (u64, Cause)) {
    let timeout = CONNECT_TIMEOUT.as_nanos() as u64;
    let began = sim.now;
    for slot in slots {
        sim.now += 2 * MS;
        let (at, client, node) = sim.attempted(*slot);
        let (late, cause) = of_node(node);
        for again in [0, 1_000 * MS, 3_000 * MS] {
            drop_syn(sim, node, at + again + late, client);
        }
        sim.fail(*slot, at, at + timeout, AttemptFailure::Timeout, Some(VIP), cause);
    }
    sim.now = began + timeout + 1_000 * MS;
}

fn drop_syn(sim: &mut Sim, node: usize, at: u64, client: Tuple) {
    let reason = "NETFILTER_DROP".into();
    let drop = Drop { tuple: client, protocol: 6, netns: Netns::default(), reason, client: Some(client) };
    sim.event(node, at, "drop", NodeEvent::Drop(drop));
}

/// What the first node's observer tells of its table, once a second.
fn table(sim: &mut Sim, from: u64, seconds: u64, dropped: u64) {
    for second in 1..=seconds {
        let at = from + second * 1_000 * MS;
        let since_ns = super::journals::node_ns(at - 1_000 * MS);
        let (entries, max) = (262_100, 262_144);
        let (insert_failed, early_dropped) = (0, 9);
        let netns = Netns::default();
        let event = ConntrackTable { netns, since_ns, entries, max, dropped, insert_failed, early_dropped };
        sim.event(0, at, "conntrack-table", NodeEvent::ConntrackTable(event));
    }
}

pub fn conntrack_full(sim: &mut Sim) {
    let slots = lose(sim, |node| node == 0);
    table(sim, sim.now - 500 * MS, 7, 40);
    dropped(sim, &slots, |_| (MS, Cause::ConntrackFull));
    slots.into_iter().for_each(|slot| sim.connect(slot));
}

/// A rule that somebody wrote drops them, and the table had room still.
pub fn firewall(sim: &mut Sim) {
    let slots = lose(sim, |node| node == 0);
    table(sim, sim.now - 500 * MS, 7, 0);
    dropped(sim, &slots, |_| (MS, Cause::Unattributed));
    slots.into_iter().for_each(|slot| sim.connect(slot));
}

/// The rule drops them first, and then the table has no more room.
pub fn firewall_then_full(sim: &mut Sim) {
    let slots = lose(sim, |node| node == 0);
    let from = sim.now - 500 * MS;
    table(sim, from, 4, 0);
    table(sim, from + 4_000 * MS, 3, 40);
    dropped(sim, &slots, |_| (MS, Cause::Unattributed));
    slots.into_iter().for_each(|slot| sim.connect(slot));
}

/// The first node's table has no room, and the second one has no pods any more: who comes by one of them is dropped
/// after those who came by the other later.
pub fn full_and_drained(sim: &mut Sim) {
    for pod in (0..sim.pods.len()).filter(|pod| sim.pods[*pod].node == 1).collect::<Vec<_>>() {
        sim.terminate(pod);
        sim.now += 20 * MS;
    }
    let slots = lose(sim, |node| node < 2);
    table(sim, sim.now - 500 * MS, 7, 40);
    let of_node = |node| if node == 0 { (15 * MS, Cause::ConntrackFull) } else { (MS, Cause::DrainLocal) };
    dropped(sim, &slots, of_node);
}

/// As [`drain_local`], and the node's table has no room for others.
pub fn drained_while_full(sim: &mut Sim) {
    table(sim, sim.now - 500 * MS, 30, 40);
    drain_local(sim);
}

/// The pods of the first node go; who comes by it is dropped from then on.
pub fn drain_local(sim: &mut Sim) {
    let gone: Vec<usize> = (0..sim.pods.len()).filter(|p| sim.pods[*p].node == 0).collect();
    let elsewhere = sim.pods.iter().any(|p| p.ready && p.node != 0);
    for pod in gone {
        sim.terminate(pod);
        sim.now += 20 * MS;
    }
    let slots = lose(sim, |node| node == 0);
    let cause = if elsewhere { Cause::DrainLocal } else { Cause::Unattributed };
    dropped(sim, &slots, |_| (MS, cause));
}

pub fn no_name(sim: &mut Sim) {
    let slots = lose(sim, |_| true);
    for (nth, slot) in slots.iter().enumerate() {
        let at = sim.now;
        // Every third is refused by its own machine: that is not the name.
        let (remote, cause) = if nth % 3 == 0 { (Some(VIP), Cause::LocalError) } else { (None, Cause::NameResolution) };
        sim.fail(*slot, at, at + 30 * MS, AttemptFailure::LocalError, remote, cause);
        sim.now += 40 * MS;
        sim.connect(*slot);
    }
}
