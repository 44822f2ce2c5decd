//! How long attribution takes: `cargo run --release -p tg-attribution --example size [SLOTS [REPLICAS]]`. An upgrade
//! by rr of so many pods under so many connections is simulated, then attributed.

#![allow(clippy::unwrap_used, reason = "what fails here fails the measurement")]

#[allow(dead_code, unused_imports, reason = "the zoo needs more of it")]
#[path = "../tests/zoo/sim/mod.rs"]
mod sim;

use sim::{Clocks, Director, Scenario, Scheduler, Setup, simulate};

#[expect(clippy::disallowed_types, reason = "the measurement's own clock")]
type Clock = std::time::Instant;

fn main() {
    let mut numbers = std::env::args().skip(1).map(|a| a.parse().unwrap());
    let slots = numbers.next().unwrap_or(4000);
    let replicas = numbers.next().unwrap_or(40);
    for director in [Director::Ipvs, Director::Rules] {
        let setup = Setup {
            seed: 1,
            director,
            scheduler: Scheduler::Rr,
            slots,
            replicas,
            nodes: 3,
            masquerade: true,
            ports: 5,
            clocks: Clocks::NodesApart,
            scenario: Scenario::Upgrade,
            without: None,
        };
        let zoo = simulate(setup);
        let events: usize = zoo.inputs.nodes.iter().map(|n| n.lines.len()).sum();
        let start = Clock::now();
        let run = tg_attribution::attribute(&zoo.inputs);
        let took = start.elapsed();
        let conns = run.totals.lost + run.totals.lasting;
        println!(
            "{director:?}: {conns} connections, {} lost ({} confirmed), {events} lines of nodes: {took:?}",
            run.totals.lost, run.totals.confirmed
        );
    }
}
