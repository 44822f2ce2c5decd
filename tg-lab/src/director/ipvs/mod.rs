//! The director *ipvs*: IPVS on each node, as kube-proxy sets it up.

mod commands;
mod destinations;
mod guest;
mod table;

use commands::device;
pub use commands::{Command, Service, kernel_settings, masquerading, set_up, text};
pub use destinations::Destinations;
pub use guest::in_guest;
pub use table::{Held, held};

use super::balancer::Balancer;
use super::usable;
use crate::network::{Input, Netns, Network, Result, apply, file, run_in, sysctl, within};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use tg_model::cluster_event::Endpoint;

/// The calling thread's namespace's.
const TABLE: &str = "/proc/thread-self/net/ip_vs";

/// Each node balances on its own.
#[derive(Debug)]
pub(crate) struct Ipvs {
    services: Vec<Service>,
    /// Of each node, of each service.
    destinations: Vec<Vec<Destinations>>,
}

/// Whether this kernel has IPVS, or a module of it. The module is loaded.
pub(crate) fn is_there() -> bool {
    // By the path alone: without its module the kernel has no such file.
    let there = || Path::new("/proc/net/ip_vs").exists();
    there() || (run_in(None, "modprobe", &["ip_vs"], Input::None).is_ok() && there())
}

impl Ipvs {
    /// Services without destinations, on each node.
    pub fn start(network: &Network, services: Vec<Service>, masquerade: bool, expire_nodest: bool) -> Result<Ipvs> {
        let vips: Vec<SocketAddr> = services.iter().map(|s| s.vip).collect();
        let rules: String = services.iter().map(|s| masquerading(s, masquerade)).collect();
        let virtual_services: String = services.iter().map(set_up).collect();
        for node in network.nodes() {
            apply(node, &device(&vips))?;
            sysctl(node, &kernel_settings(expire_nodest))?;
            run_in(Some(node), "nft", &["-f", "-"], Input::Text(&rules))?;
            ipvsadm(node, &virtual_services)?;
        }
        let of_node: Vec<Destinations> = services.iter().map(|s| Destinations::new(s.transport)).collect();
        Ok(Ipvs { services, destinations: vec![of_node; network.nodes().len()] })
    }
}

impl Balancer for Ipvs {
    /// Those that end are looked for with each change; kube-proxy looks once a minute.
    fn take(&mut self, network: &Network, endpoints: &[Endpoint]) -> Result<()> {
        for (node, destinations) in network.nodes().iter().zip(&mut self.destinations) {
            let mut changes = String::new();
            let table = if destinations.iter().any(Destinations::any_ending) { connections(node)? } else { Vec::new() };
            for (service, destinations) in self.services.iter().zip(destinations) {
                let mut commands = destinations.expire(|of| count(&table, of));
                commands.extend(destinations.take(&usable(endpoints, service.vip)));
                changes += &text(service, &commands);
            }
            if !changes.is_empty() {
                ipvsadm(node, &changes)?;
            }
        }
        Ok(())
    }

    fn loads(&self, network: &Network) -> BTreeMap<SocketAddr, u64> {
        let mut loads = BTreeMap::new();
        for held in network.nodes().iter().filter_map(|node| connections(node).ok()).flatten() {
            *loads.entry(held.destination).or_default() += held.active;
        }
        loads
    }
}

fn count(table: &[Held], of: SocketAddr) -> u64 {
    table.iter().filter(|h| h.destination == of).map(|h| h.active + h.inactive).sum()
}

fn connections(node: &Netns) -> Result<Vec<Held>> {
    let text = within(node, || std::fs::read_to_string(TABLE).map_err(file("read", TABLE)))??;
    Ok(held(&text))
}

fn ipvsadm(node: &Netns, changes: &str) -> Result<()> {
    run_in(Some(node), "ipvsadm", &["-R"], Input::Text(changes)).map(drop)
}
