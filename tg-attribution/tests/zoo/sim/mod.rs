//! Simulated runs whose causes are known: pods, nodes that balance, clients behind them, and what a run's journal,
//! observers and a cluster's watch would tell of it. What really happened is kept beside.

mod attempts;
mod balance;
mod faults;
mod ipvs;
mod journals;
mod pods;
mod random;
mod run;
mod scenario;
mod traffic;
mod udp;

pub use balance::{Director, Scheduler};
pub use journals::{Clocks, PROGRAMS};
pub use random::Random;
pub use scenario::Scenario;

use balance::Balancer;
use journals::Told;
use pods::Pod;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use tg_attribution::Inputs;
use tg_model::id::{ConnId, SlotId};
use tg_model::plan::{Plan, PlanSpec, Source, Transport};
use tg_model::verdict::{Cause, TroubleKind};
use traffic::Live;

/// The service's address.
pub const VIP: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 5003));
const MS: u64 = 1_000_000;
const US: u64 = 1_000;

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub seed: u64,
    pub director: Director,
    pub scheduler: Scheduler,
    pub slots: u32,
    pub replicas: u32,
    pub nodes: u32,
    pub masquerade: bool,
    /// Ports that clients take in turn, for each slot.
    pub ports: u16,
    pub clocks: Clocks,
    pub scenario: Scenario,
    /// A program of the observers that could not be attached.
    pub without: Option<&'static str>,
}

/// What really happened to a connection that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truth {
    pub ended_by: Cause,
    pub placed_by: Cause,
    pub avoidable: bool,
}

/// A simulated run.
pub struct Zoo {
    pub inputs: Inputs,
    pub truth: BTreeMap<ConnId, Truth>,
    /// Why what went wrong without a loss did.
    pub troubles: BTreeMap<Happened, Cause>,
}

/// What tells one trouble from another: what, whose, and when it began.
pub type Happened = (TroubleKind, SlotId, i64);

/// The state of the simulation. Times are true times.
struct Sim {
    setup: Setup,
    random: Random,
    now: u64,
    told: Told,
    pods: Vec<Pod>,
    balancers: Vec<Balancer>,
    /// By slot.
    live: BTreeMap<u32, Live>,
    next_nth: BTreeMap<u32, u64>,
    /// By slot: when it first tried for its next connection, and how often that failed.
    tried: BTreeMap<u32, (u64, u64)>,
    next_port: BTreeMap<u32, u16>,
    next_snat: u16,
    /// Balancers hear of endpoints so much later: what they will hear, and when.
    lag: u64,
    late: Vec<(u64, Vec<(SocketAddr, bool)>)>,
    upgrading: bool,
    truth: BTreeMap<ConnId, Truth>,
    troubles: BTreeMap<Happened, Cause>,
    /// The time of the run in which the generator was late.
    was_late: Option<(u64, u64)>,
}

/// Runs it.
pub fn simulate(setup: Setup) -> Zoo {
    let mut sim = Sim {
        setup,
        random: Random::new(setup.seed),
        now: 0,
        told: Told { nodes: vec![Vec::new(); setup.nodes as usize], ..Told::default() },
        pods: Vec::new(),
        balancers: (0..setup.nodes).map(|_| Balancer::new(setup.scheduler)).collect(),
        live: BTreeMap::new(),
        next_nth: BTreeMap::new(),
        tried: BTreeMap::new(),
        next_port: BTreeMap::new(),
        next_snat: 0,
        lag: 0,
        late: Vec::new(),
        upgrading: false,
        truth: BTreeMap::new(),
        troubles: BTreeMap::new(),
        was_late: None,
    };
    sim.begin();
    scenario::play(&mut sim);
    sim.end();
    let plan = sim.plan();
    let inputs = journals::write(sim.told, plan, &setup, &mut sim.random);
    Zoo { inputs, truth: sim.truth, troubles: sim.troubles }
}

impl Sim {
    /// The first pods, then the first connections.
    fn begin(&mut self) {
        self.now = journals::NODE_START / 2;
        for nth in 0..self.setup.nodes {
            self.tell_node_ready(nth, true);
        }
        let first: Vec<usize> = (0..self.setup.replicas).map(|_| self.create(false)).collect();
        self.now = journals::NODE_START + 500 * MS;
        first.into_iter().for_each(|pod| self.ready(pod));
        self.now = journals::RUN_START + 10 * MS;
        for slot in 0..self.setup.slots {
            self.now += 300 * US;
            self.connect(slot);
        }
    }

    /// Connections that are alive are closed by the plan's end.
    fn end(&mut self) {
        self.now += 5_000 * MS;
        self.samples();
        let slots: BTreeSet<u32> = self.live.keys().copied().collect();
        slots.into_iter().for_each(|slot| self.complete(slot));
    }

    fn plan(&mut self) -> Plan {
        let scenario = self.setup.scenario;
        let transport = if scenario.is_udp() { Transport::Udp } else { Transport::Tcp };
        let slots = if scenario.tells_ports() { 0..self.setup.slots } else { 0..0 };
        let sources = slots.map(|slot| Source(self.client_tuple(slot).src)).collect();
        let targets = vec!["192.0.2.1:5003".parse().unwrap()];
        let connect_timeout = attempts::CONNECT_TIMEOUT;
        let conns = self.setup.slots;
        Plan::try_from(PlanSpec { conns, transport, sources, targets, connect_timeout, ..PlanSpec::default() }).unwrap()
    }

    fn protocol(&self) -> u8 {
        if self.setup.scenario.is_udp() { 17 } else { 6 }
    }

    fn run_ns(at: u64) -> u64 {
        at - journals::RUN_START
    }
}
