//! The director *ipvs*: IPVS on each node, as kube-proxy sets it up.

mod commands;
mod destinations;
mod table;

pub use commands::{Command, Service, device, kernel_settings, masquerading, set_up, text};
pub use destinations::Destinations;
pub use table::{Held, held};
