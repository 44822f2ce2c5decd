//! The vocabulary of tg: what crosses a crate border or a file is defined here, once.
//!
//! The crate is pure: it opens nothing and reads no clock. Times named `*_ns` are nanoseconds; those of
//! a journal's lines count from the run's start (the header says when that was, on both clocks).
//!
//! | module | what it defines |
//! |---|---|
//! | [`plan`] | what a run is asked to do; a [`plan::Plan`] that exists is valid |
//! | [`lab_plan`] | what a lab is asked to do; a [`lab_plan::LabPlan`] that exists is valid |
//! | [`outcome`] | why a connection ended, why an attempt failed, why a packet was dropped |
//! | [`counts`] | the packet counters of a slot, a connection and a run |
//! | [`wire`] | the bytes that client and server agree on: host name, request, identity |
//! | [`journal`] | the lines of a journal and their codec |
//! | [`node_event`] | what an observer saw on a node: its events and its journal |
//! | [`cluster_event`] | what the cluster did to a service: its events and its journal |
//! | [`histogram`] | fixed-range histograms and their text form |
//! | [`summary`] | what a journal's lines add up to |
//! | [`verdict`] | what is said of a run's lost connections, and why |
//! | [`ctraffic`] | ctraffic's JSON and its analyser |

pub mod cluster_event;
pub mod counts;
pub mod ctraffic;
pub mod histogram;
pub mod id;
pub mod journal;
pub mod lab_plan;
mod named;
pub mod node_event;
pub mod outcome;
pub mod plan;
#[cfg(test)]
mod schema;
pub mod summary;
pub mod tcp_info;
pub mod time;
pub mod verdict;
pub mod wire;
