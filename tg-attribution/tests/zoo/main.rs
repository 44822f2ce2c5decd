//! A zoo of runs whose causes are known: simulated, told in journals as a run, observers and a cluster's watch would
//! tell of them, and attributed. What the verdicts say is held against what really happened.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod conformance;
mod confusion;
mod damage;
mod found;
mod harm;
mod pieces;
mod properties;
mod rows;
mod sim;

use sim::{Clocks, Director, Scenario, Scheduler, Setup};

/// An upgrade of four pods on one node, by rr.
fn plain(scenario: Scenario, director: Director) -> Setup {
    Setup {
        seed: 1,
        director,
        scheduler: Scheduler::Rr,
        slots: 40,
        replicas: 4,
        nodes: 1,
        masquerade: false,
        ports: 50,
        clocks: Clocks::One,
        scenario,
        without: None,
    }
}

const SCHEDULERS: [Scheduler; 5] = [Scheduler::Rr, Scheduler::Lc, Scheduler::Random, Scheduler::Wrr, Scheduler::Wlc];

/// Everything that can be, several times.
fn every_setup(seeds: u64) -> Vec<Setup> {
    let mut all = Vec::new();
    for seed in 0..seeds {
        for scenario in Scenario::ALL {
            for director in [Director::Ipvs, Director::Rules, Director::Proxy] {
                let nth = seed + scenario as u64 + director as u64;
                let scheduler = SCHEDULERS[nth as usize % SCHEDULERS.len()];
                let nodes = 1 + (nth / 2 % 3) as u32;
                let masquerade = nth / 3 % 2 == 1;
                let clocks = [Clocks::One, Clocks::NodesApart, Clocks::AllApart][seed as usize % 3];
                // Ports come again within the run.
                let ports = [3, 50][(seed / 3 + director as u64) as usize % 2];
                let plain = plain(scenario, director);
                let nodes = if scenario.can_be(director, nodes, masquerade) { nodes } else { 2 };
                let masquerade = masquerade && scenario.can_be(director, nodes, true);
                if scenario.can_be(director, nodes, masquerade) {
                    all.push(Setup { seed, scheduler, nodes, masquerade, clocks, ports, ..plain });
                }
            }
        }
    }
    all
}
