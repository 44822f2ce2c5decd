//! One suite over all engines: what a peer does must come out the same on io_uring, on epoll and in
//! simulation. Nothing here is judged by the clock.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod outcome;
mod peers;
mod scenarios;
#[path = "../support/mod.rs"]
mod support;

use outcome::Run;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use support::{Capability, Suite};
use tg_core::engine::simulated::Script;
use tg_core::{run, simulate};
use tg_model::plan::{EngineChoice, Plan, PlanSpec, Transport};
use tg_model::time::Nanos;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Simulated,
    Epoll,
    Uring,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Simulated => "simulated",
            Kind::Epoll => "epoll",
            Kind::Uring => "uring",
        }
    }
}

const FAMILIES: [(&str, IpAddr); 2] =
    [("v4", IpAddr::V4(Ipv4Addr::LOCALHOST)), ("v6", IpAddr::V6(Ipv6Addr::LOCALHOST))];

fn main() -> ExitCode {
    // They wait for most of their time.
    let mut suite = Suite::waiting(8);
    for scenario in scenarios::all() {
        for kind in [Kind::Simulated, Kind::Epoll, Kind::Uring] {
            for (family, ip) in FAMILIES {
                if kind != Kind::Simulated && !(scenario.transport == Transport::Udp || peers::can(scenario.behaviour))
                {
                    continue;
                }
                let mut needs = Vec::new();
                needs.extend((kind == Kind::Uring).then_some(Capability::Uring));
                needs.extend((kind != Kind::Simulated && ip.is_ipv6()).then_some(Capability::Ipv6));
                let transport = if scenario.transport == Transport::Udp { "udp" } else { "tcp" };
                let name = format!("{}::{transport}::{family}::{}", kind.name(), scenario.name);
                let scenario = scenario.clone();
                suite.test(name, &needs, move || {
                    let run = conduct(kind, ip, &scenario);
                    assert_eq!(run.header.engine, kind.name(), "the engine that the journal names");
                    run.check_accounting();
                    (scenario.expect)(&run);
                });
            }
        }
    }
    suite.run()
}

/// Carries a scenario out with one engine.
fn conduct(kind: Kind, ip: IpAddr, scenario: &scenarios::Scenario) -> Run {
    let mut spec = PlanSpec { transport: scenario.transport, ..scenarios::spec() };
    (scenario.plan)(&mut spec);
    if kind == Kind::Simulated {
        spec.targets = vec![SocketAddr::new(ip, 5003).into()];
        let script = Script {
            split: scenario.pieces,
            response_timeout: Nanos::from(spec.response_timeout),
            lost: if scenario.faults.lose_every > 0 { 20 } else { 0 },
            doubled: if scenario.faults.double_every > 0 { 40 } else { 0 },
            moved: if scenario.faults.rename_every > 0 { 60 } else { 0 },
            ..Script::always(7, scenario.behaviour)
        };
        let plan = Plan::try_from(spec).expect("a valid plan");
        let outcome = simulate::run(&plan, script, None).expect("the simulation goes on");
        return Run::new(outcome.header, outcome.lines, None);
    }
    let peers = match scenario.transport {
        Transport::Tcp => peers::tcp(ip, scenario.behaviour, scenario.pieces),
        Transport::Udp => peers::udp(ip, scenario.behaviour, scenario.faults),
    };
    spec.targets = vec![peers.address.into()];
    spec.engine = if kind == Kind::Uring { EngineChoice::Uring } else { EngineChoice::Epoll };
    let plan = Plan::try_from(spec).expect("a valid plan");
    let handle = run::start(plan, run::Options::default()).expect("the run starts");
    let mut outcome = handle.wait().expect("the run ends in order");
    assert_eq!(outcome.journal_error, None);
    let (header, lines) = outcome::read(outcome.journal.reader().expect("the journal"));
    Run::new(header, lines, Some((outcome.summary, peers)))
}
