//! The binary's runs and servers as processes on loopback.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod ends;
mod process;
mod reports;
