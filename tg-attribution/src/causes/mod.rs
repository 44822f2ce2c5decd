//! What ended a connection: each cause is a function that gives a finding where its evidence speaks for it. Changes
//! when a cause is added.
//!
//! The first that is confirmed is taken; else the first that is suspected. Causes whose evidence is narrower come
//! first. A cause other than the pod's own end asks for a pod that was well.

mod balancer;
mod conntrack;
mod generator;
mod pods;
mod proxy;
mod resets;
mod silence;
mod udp;

use crate::case::Case;
use crate::nodes::Node;
use crate::world::World;
use tg_model::verdict::{Cause, Finding, Grade, NotCovered};

type CauseFn = fn(&Case) -> Option<Finding>;

const ENDED_BY: [CauseFn; 17] = [
    generator::local_error,
    proxy::refused_by_backend,
    balancer::node_flap,
    balancer::destination_deleted_early,
    conntrack::invalid,
    resets::ecmp_rehash,
    proxy::restart,
    conntrack::entry_lost,
    udp::pod_ended,
    pods::terminated,
    pods::server_closed,
    resets::by_third_party,
    generator::starved,
    silence::blackhole,
    silence::stalled,
    pods::went_by_host_names,
    pods::closed_by_somebody,
];

/// What ended the connection.
pub fn ended_by(case: &Case) -> Finding {
    let mut suspected = None;
    for cause in ENDED_BY {
        match cause(case) {
            Some(finding) if finding.grade == Grade::Confirmed => return finding,
            Some(finding) if suspected.is_none() => suspected = Some(finding),
            _ => {}
        }
    }
    suspected.unwrap_or_else(|| nothing(case))
}

fn nothing(case: &Case) -> Finding {
    let mut missing = Vec::new();
    if case.told.is_empty() {
        missing.push("no node's journal tells of this connection".to_owned());
    }
    if case.life.is_none() {
        missing.push("no cluster's journal tells of its pod".to_owned());
    }
    if missing.is_empty() {
        missing.push(format!("nothing that was told fits its end ({})", case.end.reason));
    }
    let mut finding = Finding::unattributed(missing);
    let words = format!("its client saw it end: {}", case.end.reason);
    finding.evidence.push(case.world.sources.evidence(case.own_line(), words));
    finding
}

/// Causes that these journals cannot tell of, and why.
pub fn not_covered(world: &World) -> Vec<NotCovered> {
    let dropped = |n: &&Node| n.watches("drop");
    let drops = world.nodes.all.iter().any(|n| dropped(&n));
    let counted = world.nodes.all.iter().filter(dropped).any(|n| n.watches("conntrack-table"));
    let all = [
        (
            Cause::ConntrackFull,
            counted,
            "no node's journal tells both how full conntrack is and which packets were dropped",
        ),
        (Cause::ProxyStall, world.cluster.watched, "no cluster's journal tells when endpoints changed"),
        (
            Cause::DrainLocal,
            world.cluster.tells_policy() && drops,
            "no cluster's journal tells a service's externalTrafficPolicy, or no node's which packets were dropped",
        ),
        // Its evidence is never whole.
        (Cause::IpvsReuseSynDrop, false, "suspected at most: no journal holds net.ipv4.vs.conn_reuse_mode"),
    ];
    let not = all.into_iter().filter(|(_, covered, _)| !covered);
    not.map(|(cause, _, why)| NotCovered { cause, why: why.to_owned() }).collect()
}
