//! The cluster over time: pods, endpoints, upgrades, nodes. Changes when a verdict needs more of a cluster's
//! journal.

mod endpoints;
mod pods;
mod rollouts;

pub use endpoints::Endpoints;
pub use pods::{Life, Pods};
pub use rollouts::Rollouts;

use crate::input::Journal;
use crate::source::{Source, Sources};
use tg_model::cluster_event::{ClusterEvent, ClusterLine, NodeChange, ProxyChange};

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
}

impl<'a> Cluster<'a> {
    pub fn new(input: usize, journal: &'a Journal<ClusterLine>, sources: &Sources) -> Cluster<'a> {
        let mut cluster = Cluster { watched: true, ..Cluster::default() };
        let mut seen: Vec<_> = journal
            .lines
            .iter()
            .filter_map(|(number, line)| match line {
                ClusterLine::Event(seen) => Some((sources.source(input, *number, None, seen.at_ns), &**seen)),
                _ => None,
            })
            .collect();
        seen.sort_by_key(|(source, _)| source.at.ns);
        for (source, seen) in seen {
            match &seen.event {
                ClusterEvent::Pod(change) => cluster.pods.take(source, change),
                ClusterEvent::Endpoints(change) => cluster.endpoints.take(source, change),
                ClusterEvent::Rollout(rollout) => cluster.rollouts.take(source, rollout),
                ClusterEvent::Node(change) => cluster.nodes.push((source, change)),
                ClusterEvent::Proxy(change) => cluster.proxies.push((source, change)),
            }
        }
        cluster
    }
}
