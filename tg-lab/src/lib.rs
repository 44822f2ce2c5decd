//! tg's lab: the upgrade of a Deployment on one machine, under traffic. Pods are processes, a director balances
//! connections over them, tg-core makes the traffic.

pub mod deployment;
pub mod director;
pub mod lab;
pub mod network;
pub mod scheduler;
