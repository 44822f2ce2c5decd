//! A rolling upgrade under traffic on one machine, and its prediction.
//!
//! | module | what it is | |
//! |---|---|---|
//! | [`deployment`] | the Deployment controller: when a pod is made, and when one is asked to end | pure |
//! | [`predict`] | what a plan is expected to lose | pure |
//! | [`scheduler`] | a balancer's destinations and how it chooses one, as IPVS has it | pure |
//! | [`lab`] | the upgrade itself: pods as processes, traffic, journals | |
//! | [`director`] | what balances the traffic, and the ground that pods stand on | |
//! | [`network`] | network namespaces: a client, a router, nodes, pods | |
//!
//! What is pure does no IO, and `now` is passed in.

pub mod deployment;
pub mod predict;
pub mod scheduler;
mod victim;

// From here on: sockets, files, threads, processes and clocks, which clippy.toml bans above.
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod director;
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod lab;
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod network;
