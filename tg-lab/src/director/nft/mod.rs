//! The director *nft*: nftables and conntrack on each node, as kube-proxy's nftables mode has them.

mod rules;
mod table;

pub use rules::{Service, Spread, flows_gone, set_up, spread_over};
pub use table::connections;

use super::balancer::Balancer;
use super::usable;
use crate::network::{Input, Netns, Network, Result, run_in, within};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tg_model::cluster_event::Endpoint;

/// The calling thread's namespace's.
const TABLE: &str = "/proc/thread-self/net/nf_conntrack";

/// The same rules on each node.
#[derive(Debug)]
pub(crate) struct Nft {
    services: Vec<(Service, Vec<SocketAddr>)>,
}

impl Nft {
    /// Services without endpoints, on each node.
    pub fn start(network: &Network, services: Vec<Service>) -> Result<Nft> {
        let text: String = services.iter().map(set_up).collect();
        network.nodes().iter().try_for_each(|node| nft(node, &text))?;
        Ok(Nft { services: services.into_iter().map(|service| (service, Vec::new())).collect() })
    }
}

impl Balancer for Nft {
    fn take(&mut self, network: &Network, endpoints: &[Endpoint]) -> Result<()> {
        let mut text = String::new();
        let mut forget = Vec::new();
        for (service, there) in &mut self.services {
            let usable = usable(endpoints, service.vip);
            if usable == *there {
                continue;
            }
            text += &spread_over(service, &usable);
            forget.extend(there.iter().filter(|e| !usable.contains(e)).filter_map(|e| flows_gone(service, *e)));
            *there = usable;
        }
        if text.is_empty() {
            return Ok(());
        }
        for node in network.nodes() {
            nft(node, &text)?;
            for words in &forget {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                // It fails where there was no such flow.
                let _ = run_in(Some(node), "conntrack", &words, Input::None);
            }
        }
        Ok(())
    }

    /// Without anything where this kernel does not show conntrack as a file.
    fn loads(&self, network: &Network) -> BTreeMap<SocketAddr, u64> {
        let mut loads = BTreeMap::new();
        for node in network.nodes() {
            let Ok(Ok(table)) = within(node, || std::fs::read_to_string(TABLE)) else { continue };
            for (pod, count) in self.services.iter().flat_map(|(service, _)| connections(&table, service.vip)) {
                *loads.entry(pod).or_default() += count;
            }
        }
        loads
    }
}

fn nft(node: &Netns, text: &str) -> Result<()> {
    run_in(Some(node), "nft", &["-f", "-"], Input::Text(text)).map(drop)
}
