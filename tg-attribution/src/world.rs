//! Everything that is known, on one clock and joined. Changes when a source of knowledge comes.

use crate::clock::{self, Bound, HeaderClock};
use crate::cluster::Cluster;
use crate::hosts::Hosts;
use crate::input::Inputs;
use crate::join::Joined;
use crate::nodes::Nodes;
use crate::run::Run;
use crate::source::Sources;
use crate::{bounds, run};
use std::collections::HashMap;
use std::net::SocketAddr;
use tg_model::cluster_event::ClusterLine;
use tg_model::journal::Line;
use tg_model::node_event::NodeEvent;
use tg_model::node_event::NodeLine;
use tg_model::verdict::{Clock, InputKind, InputState};

/// What there is to know.
#[derive(Debug)]
pub struct World<'a> {
    pub sources: Sources,
    pub run: Run<'a>,
    pub cluster: Cluster<'a>,
    pub nodes: Nodes<'a>,
    pub joined: Joined,
    pub hosts: Hosts,
    /// Changes of IPVS' destinations: places in `Nodes::told`, by address.
    pub dests: HashMap<SocketAddr, Vec<usize>>,
    /// What was told of conntrack's tables: places in `Nodes::told`.
    pub tables: Vec<usize>,
}

impl<'a> World<'a> {
    pub fn new(inputs: &'a Inputs) -> World<'a> {
        let run = Run::new(&inputs.run);
        let sources = Sources { states: states(inputs, &run) };
        let first_node = 1;
        let cluster_input = first_node + inputs.nodes.len();
        let nodes = Nodes::new(first_node, &inputs.nodes, &sources, run.last_ns);
        let cluster =
            inputs.cluster.as_ref().map_or_else(Cluster::default, |c| Cluster::new(cluster_input, c, &sources));
        let joined = Joined::new(&run, &nodes, &cluster);
        let hosts = Hosts::new(&run);
        let mut dests: HashMap<SocketAddr, Vec<usize>> = HashMap::new();
        let mut tables = Vec::new();
        for (at, told) in nodes.told.iter().enumerate() {
            match told.event() {
                Some(NodeEvent::IpvsDest(dest)) => {
                    dests.entry(run::canonical(dest.destination.address)).or_default().push(at);
                }
                Some(NodeEvent::ConntrackTable(_)) => tables.push(at),
                _ => {}
            }
        }
        // By when they are over at the latest: clocks differ.
        tables.sort_by_key(|at| nodes.told[*at].source.at.latest());
        World { sources, run, cluster, nodes, joined, hosts, dests, tables }
    }
}

/// The inputs: the run, the nodes, the cluster, in this order.
fn states(inputs: &Inputs, run: &Run) -> Vec<InputState> {
    let header = &inputs.run.header;
    let own =
        HeaderClock { boot_id: &header.boot_id, monotonic_ns: header.monotonic_ns, realtime_ns: header.realtime_ns };
    let mut states = vec![InputState {
        file: inputs.run.file.clone(),
        kind: InputKind::Run,
        machine: header.machine.clone(),
        lines: inputs.run.lines.len() as u64 + 1,
        unreadable_lines: inputs.run.notes.unreadable_count,
        cut: !inputs.run.lines.iter().any(|(_, l)| matches!(l, Line::Footer(_))),
        clock: clock::OWN,
    }];
    for node in &inputs.nodes {
        let h = &node.header;
        let other = HeaderClock { boot_id: &h.boot_id, monotonic_ns: h.monotonic_ns, realtime_ns: h.realtime_ns };
        let by_headers = clock::by_headers(own, other);
        let bounds: Vec<Bound> = bounds::of_node(run, node);
        states.push(InputState {
            file: node.file.clone(),
            kind: InputKind::Node,
            machine: h.machine.clone(),
            lines: node.lines.len() as u64 + 1,
            unreadable_lines: node.notes.unreadable_count,
            cut: !node.lines.iter().any(|(_, l)| matches!(l.line, NodeLine::Footer(_))),
            clock: clock::matched(by_headers, &bounds),
        });
    }
    if let Some(cluster) = &inputs.cluster {
        let h = &cluster.header;
        let other = HeaderClock { boot_id: &h.boot_id, monotonic_ns: h.monotonic_ns, realtime_ns: h.realtime_ns };
        let by_headers: Clock = clock::by_headers(own, other);
        let (lowest, highest, pairs) = bounds::of_cluster(run, cluster);
        states.push(InputState {
            file: cluster.file.clone(),
            kind: InputKind::Cluster,
            machine: h.machine.clone(),
            lines: cluster.lines.len() as u64 + 1,
            unreadable_lines: cluster.notes.unreadable_count,
            cut: !cluster.lines.iter().any(|(_, l)| matches!(l, ClusterLine::Footer(_))),
            clock: clock::between(by_headers, lowest, highest, pairs),
        });
    }
    states
}
