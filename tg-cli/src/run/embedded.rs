//! The server that a run without `--address` starts for itself.

use super::args::RunArgs;
use super::plan;
use crate::exit::Problem;
use crate::output;
use anyhow::Context;
use std::net::SocketAddr;
use tg_core::doctor;
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

/// The server's ends of the connections are this process's, too: the core counts only the client's.
pub fn check_descriptors(plan: &Plan) -> Result<(), Problem> {
    let need = plan.descriptors() + u64::from(plan.conns) * 2;
    let (_, have) = doctor::descriptor_limit().context("asking for the limit on open files")?;
    if need <= have {
        return Ok(());
    }
    Err(Problem::usage_words(format_args!(
        "{need} file descriptors are needed, for this run and its own server, and {have} may be had: run \
         `ulimit -n {need}` first (as root, or after raising the hard limit), or take fewer connections"
    )))
}
