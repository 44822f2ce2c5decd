//! Directors: what balances connections over pods. Changes when one is added.
//!
//! `userspace` is a proxy. `nft` and `ipvs` are a kernel's own, set up as kube-proxy sets them up; they share
//! their ground, `namespaces`, and are watched by an observer, `observer`.

mod balancer;
pub mod ipvs;
pub mod namespaces;
pub mod nft;
pub mod observer;
mod usable;
pub mod userspace;

pub use usable::usable;

use tg_model::plan::Transport;

/// As nft and conntrack call it.
pub(crate) fn protocol(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    }
}
