//! One observer's journal, given out by node: what an observer on each node would have seen, which is the node
//! and its pods and not the client. Pure. Changes when a line tells its namespace in another way.

use crate::network::Netns as Named;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use tg_model::node_event::{Netns, NodeEvent, NodeFooter, NodeHeader, NodeLine, Numbered, ProgramLoss, SnapshotEntry};

/// Which node a namespace belongs to: its own, or one of its pods'.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeOf {
    names: BTreeMap<String, String>,
    /// A number is used again once its namespace is gone.
    inodes: BTreeMap<u32, BTreeSet<String>>,
}

impl NodeOf {
    /// A namespace of this node's, while it is there.
    pub(crate) fn add(&mut self, netns: &Named, node: &str) {
        let inode = std::fs::metadata(netns.path()).ok().and_then(|m| u32::try_from(m.ino()).ok());
        self.insert(netns.name(), inode, node);
    }

    pub(super) fn insert(&mut self, name: &str, inode: Option<u32>, node: &str) {
        self.names.insert(name.to_owned(), node.to_owned());
        if let Some(inode) = inode {
            self.inodes.entry(inode).or_default().insert(node.to_owned());
        }
    }

    /// A namespace that had no name yet when something happened in it is told by its number: several nodes, where
    /// that was used again.
    fn of(&self, netns: &Netns) -> Vec<&str> {
        match &netns.name {
            Some(name) => self.names.get(name).map(String::as_str).into_iter().collect(),
            None => self.inodes.get(&netns.inode).into_iter().flatten().map(String::as_str).collect(),
        }
    }
}

/// Gives lines out to nodes.
#[derive(Debug)]
pub struct Split<'a> {
    node_of: &'a NodeOf,
    nodes: Vec<Node>,
    header: NodeHeader,
}

#[derive(Debug)]
struct Node {
    name: String,
    seq: u64,
    /// Events, by program.
    events: BTreeMap<String, u64>,
}

/// Lines, each with the place of its node among [`Split::nodes`].
type Lines = Vec<(usize, Numbered)>;

impl<'a> Split<'a> {
    /// Of a journal that begins so.
    #[must_use]
    pub fn new(node_of: &'a NodeOf, header: &NodeHeader) -> Split<'a> {
        let names: BTreeSet<&String> = node_of.names.values().collect();
        let node = |name: &String| Node { name: name.clone(), seq: 0, events: BTreeMap::new() };
        Split { node_of, nodes: names.into_iter().map(node).collect(), header: header.clone() }
    }

    /// The nodes there are, in order.
    #[must_use]
    pub fn nodes(&self) -> Vec<String> {
        self.nodes.iter().map(|n| n.name.clone()).collect()
    }

    /// How each node's journal begins.
    pub fn headers(&mut self) -> Lines {
        let header = self.header.clone();
        self.each(|node| NodeLine::Header(Box::new(NodeHeader { machine: node.name.clone(), ..header.clone() })))
    }

    /// What becomes of a line.
    pub fn line(&mut self, line: NodeLine) -> Lines {
        match &line {
            NodeLine::Header(_) => Vec::new(),
            NodeLine::Program(_) | NodeLine::Watched(_) | NodeLine::Gap(_) => self.each(|_| line.clone()),
            NodeLine::Footer(footer) => self.each(|node| NodeLine::Footer(node.footer(footer))),
            NodeLine::Namespace(namespace) => self.only(&namespace.netns.clone(), &line),
            NodeLine::Snapshot(taken) => self.only(&of_snapshot(&taken.entry).clone(), &line),
            NodeLine::Event(observed) => match of_event(&observed.event).cloned() {
                Some(netns) => self.only(&netns, &line),
                None => self.each(|_| line.clone()),
            },
        }
    }

    fn each(&mut self, mut line: impl FnMut(&Node) -> NodeLine) -> Lines {
        (0..).zip(&mut self.nodes).map(|(nth, node)| (nth, node.numbered(line(node)))).collect()
    }

    fn only(&mut self, netns: &Netns, line: &NodeLine) -> Lines {
        let mine = self.node_of.of(netns);
        let nodes = (0..).zip(&mut self.nodes).filter(|(_, node)| mine.contains(&node.name.as_str()));
        nodes.map(|(nth, node)| (nth, node.numbered(line.clone()))).collect()
    }
}

impl Node {
    fn numbered(&mut self, line: NodeLine) -> Numbered {
        if let NodeLine::Event(observed) = &line {
            *self.events.entry(observed.program.clone()).or_default() += 1;
        }
        let seq = self.seq;
        self.seq += 1;
        Numbered { seq, line }
    }

    /// What was lost may have been any node's.
    fn footer(&self, whole: &NodeFooter) -> NodeFooter {
        let programs = whole
            .programs
            .iter()
            .map(|p| ProgramLoss { events: self.events.get(&p.program).copied().unwrap_or(0), ..p.clone() });
        NodeFooter { ended_ns: whole.ended_ns, programs: programs.collect() }
    }
}

fn of_snapshot(entry: &SnapshotEntry) -> &Netns {
    match entry {
        SnapshotEntry::Conntrack(entry) => &entry.netns,
        SnapshotEntry::IpvsService { netns, .. }
        | SnapshotEntry::IpvsDest { netns, .. }
        | SnapshotEntry::IpvsEnd { netns, .. }
        | SnapshotEntry::ConntrackEnd { netns, .. } => netns,
        SnapshotEntry::IpvsConn(conn) => &conn.netns,
    }
}

fn of_event(event: &NodeEvent) -> Option<&Netns> {
    Some(match event {
        NodeEvent::ResetSent(e) | NodeEvent::ResetReceived(e) => &e.netns,
        NodeEvent::TcpState(e) => &e.netns,
        NodeEvent::Conntrack(e) => &e.netns,
        NodeEvent::IpvsDecision(e) => &e.netns,
        NodeEvent::IpvsConn(e) => &e.netns,
        NodeEvent::IpvsDest(e) => &e.netns,
        NodeEvent::Segments(e) => &e.flow.netns,
        NodeEvent::Drop(e) => &e.netns,
        NodeEvent::ConntrackTable(e) => &e.netns,
        NodeEvent::ProxyDecision(_) | NodeEvent::ProxyConn(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tg_model::node_event::{Namespace, Observed, ProgramStatus, StateChange, TcpState, TimeSource, Tuple};

    fn netns(inode: u32, name: Option<&str>) -> Netns {
        Netns { inode, cookie: 0, name: name.map(str::to_owned) }
    }

    fn event(netns: Netns) -> NodeLine {
        let end = |port| std::net::SocketAddr::from(([10, 0, 0, 1], port));
        let event = NodeEvent::TcpState(StateChange {
            tuple: Tuple { src: end(1), dst: end(2) },
            netns,
            from: TcpState::Established,
            to: TcpState::Close,
            client: None,
        });
        NodeLine::Event(Box::new(Observed { at_ns: 1, program: "states".into(), event }))
    }

    fn header() -> NodeHeader {
        NodeHeader {
            tg_version: "0".into(),
            command: vec![],
            machine: "host".into(),
            kernel: "6".into(),
            boot_id: "b".into(),
            monotonic_ns: 1,
            realtime_ns: 2,
            vips: vec![],
            namespaces: vec![],
        }
    }

    fn two_nodes() -> NodeOf {
        let mut of = NodeOf::default();
        of.insert("tg-lab-0-node-1", Some(1), "node-1");
        of.insert("tg-lab-0-node-2", Some(2), "node-2");
        of.insert("tg-lab-0-pod-a", Some(7), "node-1");
        of.insert("tg-lab-0-pod-b", Some(7), "node-2");
        of
    }

    #[test]
    fn events_go_to_the_node_of_their_namespace() {
        let of = two_nodes();
        let mut split = Split::new(&of, &header());
        assert_eq!(split.nodes(), ["node-1", "node-2"]);
        let machines: Vec<_> = split.headers().into_iter().map(|(nth, l)| (nth, l.seq, l.line)).collect();
        assert!(matches!(&machines[1], (1, 0, NodeLine::Header(h)) if h.machine == "node-2"));
        let mut places = |inode, name| -> Vec<usize> {
            split.line(event(netns(inode, name))).into_iter().map(|(nth, _)| nth).collect()
        };
        assert_eq!(places(1, Some("tg-lab-0-node-1")), [0]);
        assert_eq!(places(7, Some("tg-lab-0-pod-b")), [1], "by its name, though the number was another's");
        assert_eq!(places(2, None), [1]);
        assert_eq!(places(7, None), [0, 1], "whose it is cannot be told");
        assert_eq!(places(3, Some("tg-lab-0-client")), [0usize; 0]);
        assert_eq!(places(4, None), [0usize; 0]);
        let gone = Namespace { at_ns: 1, netns: netns(2, None), pod_uid: None, container: None, gone: true };
        assert_eq!(split.line(NodeLine::Namespace(gone)).len(), 1);
    }

    #[test]
    fn each_node_counts_its_own_lines_and_events_and_all_losses() {
        let of = two_nodes();
        let mut split = Split::new(&of, &header());
        split.headers();
        let status = ProgramStatus {
            program: "states".into(),
            way: None,
            refused: vec![],
            cost: None,
            times: TimeSource::Kernel,
        };
        assert_eq!(split.line(NodeLine::Program(status)).len(), 2);
        split.line(event(netns(1, None)));
        split.line(event(netns(1, None)));
        let programs = vec![ProgramLoss { program: "states".into(), events: 9, lost: 3 }];
        let footers = split.line(NodeLine::Footer(NodeFooter { ended_ns: 5, programs }));
        let told: Vec<_> = footers
            .into_iter()
            .map(|(nth, l)| match l.line {
                NodeLine::Footer(f) => (nth, l.seq, f.programs[0].events, f.programs[0].lost),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told, [(0, 4, 2, 3), (1, 2, 0, 3)]);
    }
}
