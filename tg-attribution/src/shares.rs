//! Each pod's share of the run's connections. Changes when what is said of a pod does.

use crate::case::{led_to, pod_at, pod_of, told_of};
use crate::doom;
use crate::totals::landed_on_doomed;
use crate::world::World;
use std::collections::HashMap;
use tg_model::verdict::{PodRef, PodShare, Verdict};

/// The shares, in the order in which the pods came; those that only their connections tell of come last, by name.
pub fn of(world: &World, verdicts: &[Verdict]) -> Vec<PodShare> {
    let mut shares: Vec<PodShare> = world.cluster.pods.all.iter().map(|life| of_life(world, life)).collect();
    let watched = shares.len();
    let mut by_name: HashMap<String, usize> = HashMap::new();
    let mut of_conn: HashMap<usize, usize> = HashMap::new();
    for (at, conn) in world.run.conns.iter().enumerate() {
        let known = pod_of(world, conn).or_else(|| {
            let told = told_of(world, at);
            told.iter().rev().find_map(|t| pod_at(world, led_to(t)?, conn.established_ns))
        });
        let share = match (known, &conn.host) {
            (Some(pod), _) => pod,
            (None, Some(name)) => *by_name.entry(name.clone()).or_insert_with(|| {
                shares.push(unwatched(name));
                shares.len() - 1
            }),
            (None, None) => continue,
        };
        of_conn.insert(at, share);
        let share = &mut shares[share];
        share.connections += 1;
        match conn.loss() {
            Some(_) => share.lost += 1,
            None => share.lasting += 1,
        }
    }
    for verdict in verdicts.iter().filter(|v| landed_on_doomed(v)) {
        let share = world.run.position(verdict.conn).and_then(|at| of_conn.get(&at));
        if let Some(share) = share {
            shares[*share].rescheduled_to += 1;
        }
    }
    shares[watched..].sort_by(|a, b| a.pod.name.cmp(&b.pod.name));
    shares
}

fn of_life(world: &World, life: &crate::cluster::Life) -> PodShare {
    let ns = |source: Option<crate::source::Source>| source.map(|s| s.at.ns);
    PodShare {
        pod: life.to_ref(Some(doom::doomed(&world.cluster, life))),
        ready_ns: ns(life.ready),
        terminating_ns: ns(life.terminating),
        stopped_ns: ns(life.ended()),
        connections: 0,
        lost: 0,
        lasting: 0,
        rescheduled_to: 0,
    }
}

fn unwatched(name: &str) -> PodShare {
    let pod = PodRef { name: name.to_owned(), uid: None, node: None, replica_set: None, doomed: None };
    let (ready_ns, terminating_ns, stopped_ns) = (None, None, None);
    PodShare { pod, ready_ns, terminating_ns, stopped_ns, connections: 0, lost: 0, lasting: 0, rescheduled_to: 0 }
}
