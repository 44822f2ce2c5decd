//! Directors: what balances connections over pods. Changes when one is added.

pub mod ipvs;
pub mod nft;
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
