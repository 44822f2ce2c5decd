//! A node's balancer: its destinations and how it chooses.

use super::random::Random;
use std::net::SocketAddr;
use tg_model::node_event::Candidate;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Director {
    Ipvs,
    Rules,
    Proxy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduler {
    Rr,
    Lc,
    Random,
}

impl Scheduler {
    pub fn name(self) -> &'static str {
        match self {
            Scheduler::Rr => "rr",
            Scheduler::Lc => "lc",
            Scheduler::Random => "random",
        }
    }
}

/// In the kernel's order: a new destination comes first.
#[derive(Clone, Debug)]
pub struct Balancer {
    scheduler: Scheduler,
    pub list: Vec<Candidate>,
    last: Option<usize>,
}

impl Balancer {
    pub fn new(scheduler: Scheduler) -> Balancer {
        Balancer { scheduler, list: Vec::new(), last: None }
    }

    pub fn at(&mut self, address: SocketAddr) -> Option<&mut Candidate> {
        self.list.iter_mut().find(|c| c.address == address)
    }

    pub fn add(&mut self, address: SocketAddr) {
        self.list.insert(0, Candidate { address, weight: 1, active: 0, inactive: 0 });
        self.last = self.last.map(|l| l + 1);
    }

    pub fn delete(&mut self, address: SocketAddr) -> Option<Candidate> {
        let at = self.list.iter().position(|c| c.address == address)?;
        if let Some(last) = self.last
            && at <= last
        {
            self.last = last.checked_sub(1);
        }
        Some(self.list.remove(at))
    }

    /// Chooses, and counts what it chose as active.
    pub fn choose(&mut self, _client: SocketAddr, random: &mut Random) -> Option<SocketAddr> {
        let takers: Vec<usize> = (0..self.list.len()).filter(|i| self.list[*i].weight > 0).collect();
        let first = *takers.first()?;
        let at = match self.scheduler {
            Scheduler::Rr => {
                let after = self.last.map_or(0, |l| l + 1);
                takers.iter().copied().find(|i| *i >= after).unwrap_or(first)
            }
            Scheduler::Lc => {
                takers.iter().copied().min_by_key(|i| self.list[*i].active * 256 + self.list[*i].inactive)?
            }
            Scheduler::Random => takers[random.below(takers.len() as u64) as usize],
        };
        self.last = Some(at);
        self.list[at].active += 1;
        Some(self.list[at].address)
    }
}
