//! Stand-ins for ctraffic's server and client, for tests of interoperability. Written from the
//! reference of its wire alone: nothing here may use a crate of tg, or an error in it would be on both
//! sides and stay unseen.
//!
//! | module | what it is |
//! |---|---|
//! | [`server`] | start, stop, restart and count a server |
//! | [`behaviour`] | what a server does to a connection, well or badly |
//! | [`client`] | a closed-loop client: slots, connections, what came of them |
//! | [`link`] | its sockets, and the check of what comes back |
//! | [`random`] | seeded choices: how bytes are split and joined |

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod behaviour;
pub mod client;
pub mod link;
pub mod random;
pub mod server;

/// The first bytes of a connection (UDP: of a datagram), over which the server writes its name.
pub const NAME_LEN: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Udp,
}
