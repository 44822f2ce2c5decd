//! A rolling upgrade under traffic on one machine, and its prediction.
//!
//! | module | what it is |
//! |---|---|
//! | [`deployment`] | the Deployment controller: when a pod is made, and when one is asked to end |
//! | [`predict`] | what a plan is expected to lose |
//! | [`scheduler`] | a balancer's destinations and how it chooses one, as IPVS has it |
//!
//! These are pure: no IO, `now` is passed in.

pub mod deployment;
pub mod predict;
pub mod scheduler;
