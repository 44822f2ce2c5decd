//! Streams a run's live figures: `cargo run -p tg-core --example live`.
//!
//! An embedded server, 80 connections at 5 packets/s for 5 seconds, a line each half second.

use std::time::Duration;
use tg_core::model::plan::{Plan, PlanSpec};
use tg_core::{run, server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = server::start(server::Config { listen: vec!["127.0.0.1:0".parse()?], ..server::Config::default() })?;
    let targets = server.addresses().iter().map(|address| (*address).into());
    let plan = Plan::try_from(PlanSpec { duration: Some(Duration::from_secs(5)), ..PlanSpec::new(targets) })?;
    let handle = run::start(plan, run::Options::default())?;
    println!("engine {}", handle.header().engine);
    while !handle.wait_for(Duration::from_millis(500)) {
        let now = handle.snapshot();
        println!(
            "{:4.1} s: {} active, {} sent, {} received, {} lost, latency p99 {} µs, lateness p99 {} µs",
            now.elapsed.as_secs_f64(),
            now.active,
            now.totals.counts.sent,
            now.totals.counts.received,
            now.totals.lost,
            now.latency_p99_ns / 1000,
            now.lateness_p99_ns / 1000,
        );
    }
    let outcome = handle.wait()?;
    println!(
        "{} lasting, {} lost, accounting ok: {}",
        outcome.summary.lasting, outcome.summary.lost, outcome.summary.accounting.ok
    );
    Ok(())
}
