//! tg's core: keeps N connections to a service at a precise packet rate and records what happens to
//! them. [`run`] is the way in; everything below it can be driven on simulated time.
//!
//! ```text
//! Plan ─▶ schedule ─▶ driver ◀─▶ connection (sans-IO)     driver ─op─▶ engine (io_uring│epoll│simulated)
//!                        │                                       ◀─completion + time─
//!                        ▼ lines ─▶ journal ─▶ summary
//! ```

pub mod connection;
pub mod driver;
pub mod engine;
pub mod payload;
pub mod pump;
pub mod random;
pub mod record;
pub mod schedule;
pub mod simulate;

// From here on: sockets, files, threads and clocks, which clippy.toml bans above.
#[cfg(feature = "io")]
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod doctor;
#[cfg(feature = "io")]
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod run;
#[cfg(feature = "io")]
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod server;
#[cfg(feature = "io")]
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod sys;

pub use tg_model as model;
