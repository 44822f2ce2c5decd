//! The verdict of each lost connection. Changes when what a verdict holds does.

use crate::case::Case;
use crate::causes;
use crate::decisions;
use crate::doom;
use crate::doubt::Doubts;
use crate::placed;
use crate::world::World;
use std::collections::HashMap;
use tg_model::id::SlotId;
use tg_model::verdict::{Lineage, PodRef, Verdict};

/// All of them, in the order in which the connections ended.
pub fn all(world: &World, doubts: &mut Doubts) -> Vec<Verdict> {
    let conns = &world.run.conns;
    let mut lost: Vec<usize> = (0..conns.len()).filter(|at| conns[*at].loss().is_some()).collect();
    lost.sort_by_key(|at| (conns[*at].loss().map(|e| e.ns), conns[*at].id));
    let mut before: HashMap<SlotId, u64> = HashMap::new();
    let mut verdicts = Vec::with_capacity(lost.len());
    for at in lost {
        let Some(case) = Case::new(world, at) else { continue };
        let count = before.entry(case.conn.id.slot).or_default();
        verdicts.push(verdict(&case, *count, doubts));
        *count += 1;
    }
    verdicts
}

fn verdict(case: &Case, losses_before: u64, doubts: &mut Doubts) -> Verdict {
    let (world, conn) = (case.world, case.conn);
    let decided = decisions::of_connection(world, conn, &case.told, case.destination);
    let mut ended_by = causes::ended_by(case);
    let (mut placed_by, avoidable) = placed::placed_by(case, decided.as_ref());
    let mut nodes: Vec<usize> = case.told.iter().map(|t| t.node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    doubts.lower(&mut ended_by, &nodes, case.window(), &world.sources);
    let placed_ns = decided.as_ref().map_or(conn.established_ns, |d| d.decision.at_ns.max(conn.established_ns));
    doubts.lower(&mut placed_by, &nodes, (conn.attempt_ns, placed_ns), &world.sources);
    Verdict {
        conn: conn.id,
        established_ns: conn.established_ns,
        ended_ns: case.end.ns,
        reason: case.end.reason,
        pod: pod(case),
        ended_by,
        placed_by,
        decision: decided.map(|d| d.decision),
        lineage: Lineage {
            predecessor: conn.id.predecessor(),
            losses_before,
            replacement: world.run.replacement(conn.id).map(|c| c.id),
        },
        avoidable,
    }
}

fn pod(case: &Case) -> Option<PodRef> {
    if let Some(life) = case.life {
        return Some(life.to_ref(Some(doom::doomed(&case.world.cluster, life))));
    }
    let name = case.conn.host.clone()?;
    let identity = case.conn.identity.as_ref();
    let some = |text: Option<&String>| text.filter(|t| !t.is_empty()).cloned();
    let (uid, node) = (some(identity.map(|i| &i.pod_uid)), some(identity.map(|i| &i.node)));
    Some(PodRef { name, uid, node, replica_set: None, doomed: None })
}
