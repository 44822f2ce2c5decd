//! The journals of a simulated run: what happened, by true time, written down by each journal's own clock.

use super::Setup;
use super::random::Random;
use tg_attribution::{Inputs, Journal};
use tg_model::cluster_event::{
    ClusterEvent, ClusterFooter, ClusterHeader, ClusterLine, ClusterSeen, ClusterSource, Service,
};
use tg_model::journal::{Ending, Footer, Header, Line, Notes, Totals};
use tg_model::node_event::{
    NodeEvent, NodeFooter, NodeHeader, NodeLine, Numbered, Observed, ProgramStatus, TimeSource,
};
use tg_model::plan::Plan;

/// True time of the run's start; the cluster's watch begins at 0, the nodes' observers in between.
pub const RUN_START: u64 = 5_000_000_000;
pub const NODE_START: u64 = 1_000_000_000;
const REAL_TIME: u64 = 1_800_000_000_000_000_000;

/// What was told, by true time.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub run: Vec<(u64, Line)>,
    pub nodes: Vec<Vec<(u64, &'static str, NodeEvent)>>,
    pub cluster: Vec<(u64, ClusterEvent)>,
}

/// Which clocks the journals have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clocks {
    /// Everything on one kernel.
    One,
    /// The nodes on kernels of their own, seconds apart in real time.
    NodesApart,
    /// The cluster's watch, too.
    AllApart,
}

/// Programs, and who stamps their events.
pub const PROGRAMS: [(&str, TimeSource); 11] = [
    ("conntrack", TimeSource::Reader),
    ("conntrack-table", TimeSource::Reader),
    ("userspace-director", TimeSource::Reader),
    ("binding", TimeSource::Kernel),
    ("drop", TimeSource::Kernel),
    ("ipvs-conn", TimeSource::Kernel),
    ("ipvs-decision", TimeSource::Kernel),
    ("ipvs-dest", TimeSource::Kernel),
    ("receive-reset", TimeSource::Kernel),
    ("send-reset", TimeSource::Kernel),
    ("tcp-state", TimeSource::Kernel),
];

/// A header's boot id, monotonic and real time, for a journal that began at a true time.
fn clock(start: u64, apart: bool, nth: u64, random: &mut Random) -> (String, u64, u64) {
    if !apart {
        return ("boot-run".into(), 70_000_000_000 + start, REAL_TIME + start);
    }
    let wrong = random.below(6_000_000_000);
    (format!("boot-{nth}"), random.below(1 << 45), REAL_TIME + start + wrong - 3_000_000_000)
}

/// Writes everything down.
pub fn write(mut told: Told, plan: Plan, setup: &Setup, random: &mut Random) -> Inputs {
    told.run.sort_by_key(|(at, _)| *at);
    told.cluster.sort_by_key(|(at, _)| *at);
    let run_end = told.run.last().map_or(RUN_START, |(at, _)| *at);
    let nodes = told.nodes.into_iter().enumerate();
    let nodes = nodes.map(|(nth, events)| node(nth, events, run_end, setup, random)).collect();
    let cluster = cluster(told.cluster, setup, random);
    let (boot_id, monotonic_ns, realtime_ns) = clock(RUN_START, false, 0, random);
    let header = Header {
        tg_version: "0".into(),
        command: Vec::new(),
        plan,
        period_ns: Some(200_000_000),
        engine: "simulated".into(),
        engine_note: None,
        nap_ns: 0,
        spin_ns: 0,
        machine: "generator".into(),
        kernel: "6.18".into(),
        boot_id,
        monotonic_ns,
        realtime_ns,
    };
    let end = run_end - RUN_START;
    let lines = told.run.into_iter().map(|(_, line)| line).chain([Line::Footer(footer(end))]);
    let lines = (2..).zip(lines).collect();
    Inputs {
        run: Journal { file: "run.jsonl".into(), header, lines, notes: Notes::default() },
        nodes,
        cluster: Some(cluster),
    }
}

/// A true time as a node's journal has it.
pub fn node_ns(at: u64) -> u64 {
    at - NODE_START
}

fn footer(end: u64) -> Footer {
    let totals = Totals::default();
    let (stopped_ns, ended_ns) = (end, end);
    Footer {
        ending: Ending::Planned,
        error: None,
        zero_ns: None,
        stopped_ns,
        ended_ns,
        totals,
        records_lost: 0,
        cpu_ns: 0,
    }
}

fn node(
    nth: usize,
    mut events: Vec<(u64, &'static str, NodeEvent)>,
    run_end: u64,
    setup: &Setup,
    random: &mut Random,
) -> Journal<Numbered> {
    events.retain(|(_, program, _)| Some(*program) != setup.without);
    events.sort_by_key(|(at, ..)| *at);
    let (boot_id, monotonic_ns, realtime_ns) = clock(NODE_START, setup.clocks != Clocks::One, nth as u64 + 1, random);
    let header = NodeHeader {
        tg_version: "0".into(),
        command: Vec::new(),
        machine: format!("node-{}", nth + 1),
        kernel: setup.scenario.kernel().into(),
        boot_id,
        monotonic_ns,
        realtime_ns,
        vips: Vec::new(),
        namespaces: Vec::new(),
    };
    let status = |(program, times): (&str, TimeSource)| {
        NodeLine::Program(ProgramStatus {
            program: program.into(),
            way: (setup.without != Some(program)).then(|| "simulated".into()),
            refused: Vec::new(),
            cost: None,
            times,
        })
    };
    let end = events.last().map_or(run_end, |(at, ..)| run_end.max(*at)) + 1_000_000_000;
    let lines = PROGRAMS.map(status).into_iter();
    let lines = lines.chain(events.into_iter().map(|(at, program, event)| {
        NodeLine::Event(Box::new(Observed { at_ns: at - NODE_START, program: program.into(), event }))
    }));
    let footer = NodeLine::Footer(NodeFooter { ended_ns: end - NODE_START, programs: Vec::new() });
    let lines = lines.chain([footer]);
    let lines = (1..).zip(lines).map(|(seq, line)| (seq + 1, Numbered { seq, line })).collect();
    Journal { file: format!("node-{}.jsonl", nth + 1), header, lines, notes: Notes::default() }
}

fn cluster(events: Vec<(u64, ClusterEvent)>, setup: &Setup, random: &mut Random) -> Journal<ClusterLine> {
    let (boot_id, monotonic_ns, realtime_ns) = clock(0, setup.clocks == Clocks::AllApart, 100, random);
    let header = ClusterHeader {
        tg_version: "0".into(),
        command: Vec::new(),
        source: ClusterSource::Kubernetes,
        machine: "control-plane".into(),
        boot_id,
        monotonic_ns,
        realtime_ns,
        services: vec![Service {
            name: "mserver".into(),
            vips: vec![super::VIP],
            external_traffic: setup.scenario.policy(),
        }],
    };
    let end = events.last().map_or(0, |(at, _)| *at) + 20_000_000_000;
    let lines = events
        .into_iter()
        .map(|(at_ns, event)| ClusterLine::Event(Box::new(ClusterSeen { at_ns, snapshot: false, event })));
    let lines = lines.chain([ClusterLine::Footer(ClusterFooter { ended_ns: end })]);
    let lines = (2..).zip(lines).collect();
    Journal { file: "cluster.jsonl".into(), header, lines, notes: Notes::default() }
}
