//! What a project's own test would have: servers are restarted one by one under traffic, and what that
//! lost is asserted. `cargo run -p tg-core --example rolling_restart`.
#![allow(clippy::disallowed_methods)]

use std::time::Duration;
use tg_core::model::plan::{Plan, PlanSpec, Rate};
use tg_core::run::{self, RunHandle};
use tg_core::server::{self, Config, ServerHandle};

type Error = Box<dyn std::error::Error>;

const SERVERS: u64 = 4;
const CONNS: u64 = 8;

fn start_server(nth: u64, port: u16) -> Result<ServerHandle, Error> {
    let listen = vec![([127, 0, 0, 1], port).into()];
    Ok(server::start(Config { listen, name: format!("pod-{nth}"), ..Config::default() })?)
}

/// Waits for what a snapshot says, not for a time.
fn wait_until(run: &RunHandle, is_so: impl Fn(&run::Snapshot) -> bool) {
    while !is_so(&run.snapshot()) && !run.is_finished() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn main() -> Result<(), Error> {
    let mut servers: Vec<ServerHandle> = (0..SERVERS).map(|nth| start_server(nth, 0)).collect::<Result<_, _>>()?;
    let ports: Vec<u16> = servers.iter().map(|s| s.addresses()[0].port()).collect();
    let targets = servers.iter().map(|s| s.addresses()[0].into());

    // Slots take the servers in turn: two connections each. The run ends when it is told to.
    let spec =
        PlanSpec { conns: CONNS as u32, rate: Rate::PerConnection(50.0), duration: None, ..PlanSpec::new(targets) };
    let run = run::start(Plan::try_from(spec)?, run::Options::default())?;
    wait_until(&run, |now| now.active == CONNS && now.totals.counts.received >= 2 * CONNS);

    for (nth, port) in (0..SERVERS).zip(ports) {
        let server = servers.remove(0);
        server.stop();
        server.wait()?;
        servers.push(start_server(nth, port)?);
        wait_until(&run, |now| now.totals.established == CONNS + 2 * (nth + 1));
    }
    let received = run.snapshot().totals.counts.received;
    wait_until(&run, |now| now.totals.counts.received >= received + 2 * CONNS);
    run.stop();
    let summary = run.wait()?.summary;

    // Each connection was lost once, with its server, and the one that replaced it lasted.
    assert_eq!((summary.lost, summary.lasting), (CONNS, CONNS));
    assert!(summary.hosts.lost.iter().all(|(_, lost)| *lost == 2), "{:?}", summary.hosts.lost);
    assert_eq!(summary.hosts.lost.len() as u64, SERVERS);
    assert_eq!(summary.ended.reset + summary.ended.closed_by_peer, CONNS);
    assert!(summary.accounting.ok);
    println!("{CONNS} connections lost, {CONNS} lasting: as few as a restart of every server can lose");
    Ok(())
}
