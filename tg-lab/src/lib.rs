//! tg's lab: a Deployment's rolling upgrade on one machine, so that what an upgrade costs can be tried and seen.

pub mod director;
pub mod network;
