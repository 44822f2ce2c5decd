//! The network of a lab, in namespaces: a client, a router, nodes, and pods that come and go on them.
//!
//! ```text
//! client ── router ── node-1 ── pod, pod …
//!              └───── node-2 ── pod …
//! ```
//! Each is a network namespace under `/run/netns`, named `tg-lab-NUMBER-…`. The router knows the service's
//! addresses by a route to one node, or to several (ECMP, by addresses and ports). All of it is gone with the
//! [`Network`]; what a lab that was killed left is removed by the next start.

mod address;
mod claim;
mod error;
mod kernel;
mod needs;
mod netns;
mod program;
mod script;
mod step;
mod topology;

pub use address::{Addresses, Family};
pub use claim::LABS_MAX;
pub use error::{NetworkError, Result};
pub use needs::{Need, missing};
pub use netns::{Netns, within};
pub use topology::{NODES_MAX, Network, PodLink, Shape};

pub(crate) use error::file;
pub(crate) use kernel::apply;
pub(crate) use netns::sysctl;
pub(crate) use program::{Input, run_in};
pub(crate) use step::{Scope, Step};
