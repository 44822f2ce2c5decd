//! A balancer's destinations and how it chooses one for a new connection: IPVS' schedulers by the kernel's source
//! (`net/netfilter/ipvs/ip_vs_*.c`), and nftables' `numgen`. Pure; a userspace proxy balances by it, and the
//! prediction does.
//!
//! A [`Balancer`] is one service on one node: with several nodes each has its own, and counts only what it sent
//! itself. Its list is in the order that the kernel has: a new destination comes *first* (`list_add_rcu` in
//! `__ip_vs_update_dest`), so that `rr` reaches it after the oldest, and `lc` prefers it among equals.

mod choice;
mod hash;
mod least;
#[cfg(test)]
mod tests;
mod turns;

use choice::Choice;
use std::net::SocketAddr;
use tg_model::lab_plan::{DirectorKind, SchedulerKind};

/// A destination, and what the balancer counts of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Where it is.
    pub address: SocketAddr,
    /// Its weight; with 0 it takes no new connection, and keeps those that it has.
    pub weight: u32,
    /// Connections that are established.
    pub active: u32,
    /// Connections that ended, and are remembered still.
    pub inactive: u32,
}

/// A scheduler that is known by name only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scheduler {0} is not simulated: only the kernel has it")]
pub struct NotSimulated(pub SchedulerKind);

/// One service's destinations on one node, and its scheduler's state.
#[derive(Clone, Debug)]
pub struct Balancer {
    /// In list order.
    backends: Vec<Backend>,
    choice: Choice,
}

impl Balancer {
    /// An empty one. `seed`: of what chooses at random.
    ///
    /// # Errors
    /// The scheduler is known by name only.
    pub fn new(director: DirectorKind, scheduler: SchedulerKind, seed: u64) -> Result<Balancer, NotSimulated> {
        let choice = Choice::new(director, scheduler, seed).ok_or(NotSimulated(scheduler))?;
        Ok(Balancer { backends: Vec::new(), choice })
    }

    /// The destinations in the scheduler's order.
    pub fn backends(&self) -> &[Backend] {
        &self.backends
    }

    /// The destination's place in [`Self::backends`].
    pub fn position(&self, address: SocketAddr) -> Option<usize> {
        self.backends.iter().position(|b| b.address == address)
    }

    /// Adds a destination; one that is there only gets the weight. Gives the weight that it had.
    pub fn add(&mut self, address: SocketAddr, weight: u32) -> Option<u32> {
        let before = self.set_weight(address, weight);
        if before.is_none() {
            self.backends.insert(0, Backend { address, weight, active: 0, inactive: 0 });
            self.choice.added(&self.backends);
        }
        before
    }

    /// Gives a destination another weight: 0 is how a terminating pod is drained. Gives the weight that it had;
    /// `None`: it is not there.
    pub fn set_weight(&mut self, address: SocketAddr, weight: u32) -> Option<u32> {
        let at = self.position(address)?;
        let before = std::mem::replace(&mut self.backends[at].weight, weight);
        if before != weight {
            self.choice.weighed(at, &self.backends);
        }
        Some(before)
    }

    /// Takes a destination out, as it was. `None`: it was not there.
    pub fn remove(&mut self, address: SocketAddr) -> Option<Backend> {
        let at = self.position(address)?;
        let removed = self.backends.remove(at);
        self.choice.removed(at, &self.backends);
        Some(removed)
    }

    /// Chooses a destination for a new connection of `client`, and counts the connection as active there. Gives
    /// its place in [`Self::backends`]; `None`: none takes one.
    pub fn choose(&mut self, client: SocketAddr) -> Option<usize> {
        let at = self.choice.choose(&self.backends, client)?;
        self.backends[at].active = self.backends[at].active.saturating_add(1);
        self.choice.counted(at, &self.backends);
        Some(at)
    }

    /// An active connection to `address` is there no longer.
    pub fn close(&mut self, address: SocketAddr) {
        self.count(address, |b| b.active = b.active.saturating_sub(1));
    }

    /// An active connection to `address` ended, and is remembered for a while (IPVS: in FIN_WAIT or TIME_WAIT).
    pub fn deactivate(&mut self, address: SocketAddr) {
        self.count(address, |b| {
            b.inactive = b.inactive.saturating_add(u32::from(b.active > 0));
            b.active = b.active.saturating_sub(1);
        });
    }

    /// All active connections to `address` ended, as [`Self::deactivate`] has it of one.
    pub fn deactivate_all(&mut self, address: SocketAddr) {
        self.count(address, |b| {
            b.inactive = b.inactive.saturating_add(b.active);
            b.active = 0;
        });
    }

    /// An ended connection to `address` is forgotten.
    pub fn expire(&mut self, address: SocketAddr) {
        self.count(address, |b| b.inactive = b.inactive.saturating_sub(1));
    }

    fn count(&mut self, address: SocketAddr, change: impl FnOnce(&mut Backend)) {
        if let Some(at) = self.position(address) {
            change(&mut self.backends[at]);
            self.choice.counted(at, &self.backends);
        }
    }
}
