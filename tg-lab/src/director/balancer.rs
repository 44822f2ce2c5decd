//! What a kernel's balancer does for the lab. Changes when the lab asks more of one.

use crate::network::{Network, Result};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::SocketAddr;
use tg_model::cluster_event::Endpoint;

/// What balances connections on every node of a network.
pub(crate) trait Balancer: Debug + Send {
    /// The service's endpoints are these now.
    fn take(&mut self, network: &Network, endpoints: &[Endpoint]) -> Result<()>;

    /// Connections that each destination has, over all nodes; empty where that is not known.
    fn loads(&self, network: &Network) -> BTreeMap<SocketAddr, u64>;
}
