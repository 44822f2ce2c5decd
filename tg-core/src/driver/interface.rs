//! What goes into a driver besides completions, and what comes out of it.

use crate::engine::{Op, Token};
use crate::schedule::Share;
use std::net::SocketAddr;
use std::sync::Arc;
use tg_model::plan::Plan;
use tg_model::time::Nanos;

/// Where a slot's attempts go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To this address.
    Address(SocketAddr),
    /// To what the name with this number gives each time.
    Name(usize),
}

/// What a driver works on.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The plan.
    pub plan: Arc<Plan>,
    /// This driver's slots.
    pub share: Share,
    /// The plan's targets, in order.
    pub destinations: Vec<Destination>,
    /// The run's start on the engine's clock: the origin of the journal's times.
    pub origin: Nanos,
}

/// Something to be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// By the engine.
    Engine(Op),
    /// Resolve a name; [`Driver::resolved`](super::Driver::resolved) takes the outcome.
    Resolve {
        /// The attempt that waits for it.
        token: Token,
        /// Which of the plan's targets.
        target: usize,
    },
}

/// When the driver has something to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wake {
    /// When.
    pub at: Nanos,
    /// A packet is due then: worth being precise about.
    pub packet: bool,
}
