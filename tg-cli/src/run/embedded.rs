//! The server that a run without `--address` starts for itself.

use super::args::RunArgs;
use super::plan;
use crate::exit::Problem;
use crate::output;
use std::net::SocketAddr;
use tg_core::server::{self, Config, ServerHandle};
use tg_model::plan::{Plan, Target};

/// What the server calls itself, and so the host of the report.
const NAME: &str = "tg-embedded";

/// The server; ends when it is dropped.
pub struct Embedded {
    address: SocketAddr,
    _server: ServerHandle,
}

impl Embedded {
    pub fn target(&self) -> Target {
        self.address.into()
    }
}

/// Starts it in the best place that this host has, and says so.
pub fn start(args: &RunArgs) -> Result<Embedded, Problem> {
    let mut last = None;
    for place in plan::loopback(args)? {
        let config = Config { listen: vec![place], udp: args.udp, name: NAME.into(), ..Config::default() };
        match server::start(config) {
            Ok(server) => {
                let address = server.addresses().first().copied().unwrap_or(place);
                output::stderr(&format!("No --address given: a server was started on {address} for this run."));
                return Ok(Embedded { address, _server: server });
            }
            Err(error) => last = Some(error),
        }
    }
    let error = last.map_or_else(|| anyhow::anyhow!("no loopback address"), anyhow::Error::new);
    Err(Problem::Failed(error.context("starting a server for this run")))
}

/// File descriptors for the server's ends of the connections: two a slot while lost ones are replaced.
pub fn descriptors(plan: &Plan) -> u64 {
    u64::from(plan.conns) * 2
}
