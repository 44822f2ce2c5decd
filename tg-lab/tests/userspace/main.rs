//! The userspace director with real sockets: what a client and a pod see of each other through it, and what it tells
//! of that in its journal. Nothing waits for a time: what is waited for is an end, a byte, a line.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "real sockets")]

mod ends;
mod flows;
mod places;
mod stage;
