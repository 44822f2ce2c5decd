//! The cluster over time: pods, endpoints, upgrades, nodes. Changes when a verdict needs more of a cluster's
//! journal.

mod endpoints;
mod holes;
mod pods;
mod rollouts;

pub use endpoints::{Endpoints, Since, has_ready};
pub use pods::{Life, Pods};
pub use rollouts::Rollouts;

use crate::input::Journal;
use crate::nodes::Hole;
use crate::run;
use crate::source::{Source, Sources};
use std::net::SocketAddr;
use tg_model::cluster_event::{ClusterEvent, ClusterLine, NodeChange, ProxyChange, Service};

/// What the cluster did. Empty where nobody watched it.
#[derive(Debug, Default)]
pub struct Cluster<'a> {
    /// Somebody watched.
    pub watched: bool,
    pub pods: Pods<'a>,
    pub endpoints: Endpoints<'a>,
    pub rollouts: Rollouts<'a>,
    pub nodes: Vec<(Source, &'a NodeChange)>,
    pub proxies: Vec<(Source, &'a ProxyChange)>,
    /// Where the watch does not tell what happened.
    pub holes: Vec<Hole>,
    services: &'a [Service],
}

impl<'a> Cluster<'a> {
    pub fn new(input: usize, journal: &'a Journal<ClusterLine>, sources: &Sources) -> Cluster<'a> {
        let holes = holes::of(input, journal, sources);
        let mut cluster = Cluster { watched: true, holes, services: &journal.header.services, ..Cluster::default() };
        let mut seen: Vec<_> = journal
            .lines
            .iter()
            .filter_map(|(number, line)| match line {
                ClusterLine::Event(seen) => Some((sources.source(input, *number, None, seen.at_ns), &**seen)),
                _ => None,
            })
            .collect();
        seen.sort_by_key(|(source, _)| (source.at.ns, source.line));
        // One that was written twice is one.
        seen.dedup_by_key(|(_, seen)| *seen);
        for (source, seen) in seen {
            match &seen.event {
                ClusterEvent::Pod(change) => cluster.pods.take(source, change),
                ClusterEvent::Endpoints(change) => cluster.endpoints.take(source, change),
                ClusterEvent::Rollout(rollout) => cluster.rollouts.take(source, rollout),
                ClusterEvent::Node(change) => cluster.nodes.push((source, change)),
                // One that ran before the watch began was not started then.
                ClusterEvent::Proxy(_) if seen.snapshot => {}
                ClusterEvent::Proxy(change) => cluster.proxies.push((source, change)),
            }
        }
        cluster.pods.finish();
        cluster
    }

    /// Whether it tells all that happened in a span.
    pub fn tells_all(&self, from: i64, to: i64) -> bool {
        !self.holes.iter().any(|hole| hole.touches(from, to))
    }

    /// Whether it is told which endpoints a node leads to, of some service.
    pub fn tells_policy(&self) -> bool {
        self.services.iter().any(|s| s.external_traffic.is_some())
    }

    /// The service that has this address; where there is but one, no address is needed.
    pub fn service(&self, vip: SocketAddr) -> Option<&'a Service> {
        let has = |s: &&Service| s.vips.iter().any(|v| run::canonical(*v) == vip);
        self.services.iter().find(has).or_else(|| self.services.first().filter(|_| self.services.len() == 1))
    }
}
