//! What nodes' journals tell: events on the run's clock, and where a journal has holes. Changes when a verdict
//! needs more of a node's journal.

mod holes;

pub use holes::{Hole, NEVER};

use crate::input::Journal;
use crate::moment::Moment;
use crate::source::{Source, Sources};
use std::collections::{HashMap, HashSet};
use tg_model::node_event::{
    Conntrack, Namespace, Netns, NodeEvent, NodeHeader, NodeLine, Numbered, SnapshotEntry, TimeSource,
};

/// A node's journal.
#[derive(Debug)]
pub struct Node<'a> {
    pub header: &'a NodeHeader,
    /// Nothing before it was observed.
    pub from: Moment,
    pub holes: Vec<Hole>,
    /// Programs that were attached, as far as their lines are there.
    attached: HashSet<&'a str>,
}

/// Where something was seen: the observer and the namespace's inode.
pub type Place = (usize, u32);

/// Something that a node told of.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    pub source: Source,
    /// Which of the nodes.
    pub node: usize,
    pub what: What<'a>,
}

/// What it was.
#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    Event(&'a NodeEvent),
    /// It was there before the observer.
    Snapshot(&'a SnapshotEntry),
}

impl Node<'_> {
    /// Whether a program was attached: what is not told of happened all the same where it was not.
    pub fn watches(&self, program: &str) -> bool {
        self.attached.contains(program)
    }

    /// Whether it lost events in a span.
    pub fn lost_some(&self, from: i64, to: i64) -> bool {
        self.holes.iter().any(|hole| hole.touches(from, to))
    }
}

impl<'a> Told<'a> {
    /// The event, where it is no snapshot.
    pub fn event(&self) -> Option<&'a NodeEvent> {
        match self.what {
            What::Event(event) => Some(event),
            What::Snapshot(_) => None,
        }
    }

    /// The entry of conntrack that it tells of, whatever became of it.
    pub fn entry(&self) -> Option<&'a Conntrack> {
        match self.what {
            What::Event(NodeEvent::Conntrack(entry)) | What::Snapshot(SnapshotEntry::Conntrack(entry)) => Some(entry),
            _ => None,
        }
    }
}

/// A reader stamps an event so much later than it was, at most, where it is not overloaded.
pub const READER_LATE_NS: u64 = 20_000_000;

/// The lines by their own numbers: one that was written twice is one, and their order in the file says nothing.
pub fn in_order(lines: &[(u64, Numbered)]) -> Vec<&(u64, Numbered)> {
    let mut lines: Vec<&(u64, Numbered)> = lines.iter().collect();
    lines.sort_by_key(|(number, l)| (l.seq, *number));
    lines.dedup_by_key(|(_, l)| l.seq);
    lines
}

/// Programs whose events the kernel stamps. Any other's may be late: also where the line that tells is lost.
pub fn exact_programs(lines: &[(u64, Numbered)]) -> HashSet<&str> {
    let statuses = lines.iter().filter_map(|(_, l)| match &l.line {
        NodeLine::Program(p) if p.times == TimeSource::Kernel => Some(p.program.as_str()),
        _ => None,
    });
    statuses.collect()
}

/// All nodes' journals.
#[derive(Debug, Default)]
pub struct Nodes<'a> {
    pub all: Vec<Node<'a>>,
    /// In the order of time.
    pub told: Vec<Told<'a>>,
    /// The end of each pod's network namespace, by the pod's UID.
    pub gone: HashMap<&'a str, Source>,
}

impl<'a> Nodes<'a> {
    /// `first`: the number of the first of them among the inputs. `run_last_ns`: when the run ended.
    pub fn new(first: usize, journals: &'a [Journal<Numbered>], sources: &Sources, run_last_ns: i64) -> Nodes<'a> {
        let mut nodes = Nodes::default();
        for (nth, journal) in journals.iter().enumerate() {
            nodes.take(first + nth, nth, journal, sources, run_last_ns);
        }
        nodes.told.sort_by_key(|t| (t.source.at.ns, t.source.input, t.source.seq));
        nodes
    }

    fn take(&mut self, input: usize, nth: usize, journal: &'a Journal<Numbered>, sources: &Sources, run_last_ns: i64) {
        let lines = in_order(&journal.lines);
        let exact = exact_programs(&journal.lines);
        let mut attached = HashSet::new();
        for (number, line) in &lines {
            let source = |ns| sources.source(input, *number, Some(line.seq), ns);
            match &line.line {
                NodeLine::Event(e) => {
                    let mut source = source(e.at_ns);
                    source.at.late_ns = if exact.contains(e.program.as_str()) { 0 } else { READER_LATE_NS };
                    self.told.push(Told { source, node: nth, what: What::Event(&e.event) });
                }
                NodeLine::Snapshot(s) => {
                    self.told.push(Told { source: source(s.at_ns), node: nth, what: What::Snapshot(&s.entry) });
                }
                NodeLine::Namespace(n) => self.namespace(source(n.at_ns), n),
                NodeLine::Program(p) => {
                    attached.extend(p.way.is_some().then_some(p.program.as_str()));
                }
                NodeLine::Header(_) | NodeLine::Watched(_) | NodeLine::Gap(_) | NodeLine::Footer(_) => {}
            }
        }
        let holes = holes::of(input, &lines, journal, sources, run_last_ns);
        let from = sources.at(input, 0);
        self.all.push(Node { header: &journal.header, from, holes, attached });
    }

    fn namespace(&mut self, source: Source, namespace: &'a Namespace) {
        if let (true, Some(uid)) = (namespace.gone, &namespace.pod_uid) {
            self.gone.entry(uid).or_insert(source);
        }
    }

    /// Whether the node that told of something, or the namespace that it was in, has this name.
    pub fn is_named(&self, told: &Told, name: &str) -> bool {
        let machine = self.all.get(told.node).is_some_and(|n| n.header.machine == name);
        let netns = match told.event() {
            Some(NodeEvent::Conntrack(e)) => Some(&e.netns),
            Some(NodeEvent::IpvsDecision(e)) => Some(&e.netns),
            Some(NodeEvent::IpvsConn(e)) => Some(&e.netns),
            _ => None,
        };
        machine || netns.is_some_and(|n| n.name.as_deref() == Some(name))
    }

    /// The node's name: several may be namespaces that one observer sees.
    pub fn name(&self, node: usize, netns: Option<&Netns>) -> String {
        let machine = || self.all.get(node).map_or(String::new(), |n| n.header.machine.clone());
        netns.and_then(|n| n.name.clone()).unwrap_or_else(machine)
    }
}
