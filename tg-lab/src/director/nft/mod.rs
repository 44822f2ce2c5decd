//! The director *nft*: nftables and conntrack on each node, as kube-proxy's nftables mode has them.

mod rules;

pub use rules::{Service, Spread, flows_gone, set_up, spread_over};
