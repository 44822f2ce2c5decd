//! What the driver does in named cases, each with its own small story. Nothing here reads a clock: the
//! driver is worked by hand, or on simulated time.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod attempts;
mod closed_loop;
mod datagrams;
mod draining;
mod endings;
mod hand;
mod identity;
mod outages;
mod sending;
mod simulated;
