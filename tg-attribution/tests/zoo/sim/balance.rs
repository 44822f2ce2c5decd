//! A node's balancer: its destinations and how it chooses.

use super::random::Random;
use std::net::{IpAddr, SocketAddr};
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
    Wrr,
    Wlc,
    Sh,
    Mh,
    /// It says that it is `wrr`, and chooses at random.
    Liar,
}

impl Scheduler {
    pub fn name(self) -> &'static str {
        match self {
            Scheduler::Rr => "rr",
            Scheduler::Lc => "lc",
            Scheduler::Random => "random",
            Scheduler::Wrr | Scheduler::Liar => "wrr",
            Scheduler::Wlc => "wlc",
            Scheduler::Sh => "sh",
            Scheduler::Mh => "mh",
        }
    }

    /// Destinations differ in weight, and change theirs.
    pub fn has_weights(self) -> bool {
        matches!(self, Scheduler::Wrr | Scheduler::Wlc | Scheduler::Liar)
    }
}

/// In the kernel's order: a new destination comes first.
#[derive(Clone, Debug)]
pub struct Balancer {
    scheduler: Scheduler,
    pub list: Vec<Candidate>,
    last: Option<usize>,
    /// `wrr`: what weighs so much has its turn.
    wanted: i32,
}

impl Balancer {
    pub fn new(scheduler: Scheduler) -> Balancer {
        Balancer { scheduler, list: Vec::new(), last: None, wanted: 0 }
    }

    pub fn at(&mut self, address: SocketAddr) -> Option<&mut Candidate> {
        self.list.iter_mut().find(|c| c.address == address)
    }

    pub fn add(&mut self, address: SocketAddr, weight: i32) {
        self.list.insert(0, Candidate { address, weight, active: 0, inactive: 0 });
        self.last = self.last.map(|l| l + 1);
        self.changed();
    }

    pub fn delete(&mut self, address: SocketAddr) -> Option<Candidate> {
        let at = self.list.iter().position(|c| c.address == address)?;
        if let Some(last) = self.last
            && at <= last
        {
            self.last = last.checked_sub(1);
        }
        let deleted = self.list.remove(at);
        self.changed();
        Some(deleted)
    }

    pub fn weigh(&mut self, address: SocketAddr, weight: i32) {
        if let Some(c) = self.at(address) {
            c.weight = weight;
        }
        self.changed();
    }

    /// `ip_vs_wrr_dest_changed`.
    fn changed(&mut self) {
        if self.scheduler == Scheduler::Wrr {
            let (step, highest) = self.weights();
            self.last = None;
            if self.wanted > highest || self.wanted == 0 {
                self.wanted = highest;
            } else if step > 1 {
                self.wanted = self.wanted / step * step + 1;
            }
        }
    }

    fn weights(&self) -> (i32, i32) {
        let gcd = |mut a: i32, mut b: i32| {
            while b != 0 {
                (a, b) = (b, a % b);
            }
            a
        };
        let weights = || self.list.iter().map(|c| c.weight).filter(|w| *w > 0);
        let step = weights().reduce(gcd).unwrap_or(1);
        (step, weights().max().unwrap_or(0) - (step - 1))
    }

    /// `ip_vs_wrr_schedule`.
    fn turn(&mut self) -> usize {
        let (step, highest) = self.weights();
        let mut at = self.last.map_or(0, |l| l + 1);
        loop {
            if at == self.list.len() {
                at = 0;
                self.wanted -= step;
                if self.wanted <= 0 {
                    self.wanted = highest;
                }
            }
            if self.list[at].weight >= self.wanted {
                return at;
            }
            at += 1;
        }
    }

    /// Chooses, and counts what it chose as active.
    pub fn choose(&mut self, client: SocketAddr, random: &mut Random) -> Option<SocketAddr> {
        let takers: Vec<usize> = (0..self.list.len()).filter(|i| self.list[*i].weight > 0).collect();
        let first = *takers.first()?;
        let IpAddr::V4(ip) = client.ip() else { return None };
        let hash = |by: u32| takers[(u32::from(ip).wrapping_mul(by) >> 7) as usize % takers.len()];
        let load = |c: &Candidate| c.active * 256 + c.inactive;
        let at = match self.scheduler {
            Scheduler::Rr => {
                let after = self.last.map_or(0, |l| l + 1);
                takers.iter().copied().find(|i| *i >= after).unwrap_or(first)
            }
            Scheduler::Lc => takers.iter().copied().min_by_key(|i| load(&self.list[*i]))?,
            Scheduler::Wlc => takers.iter().copied().min_by(|a, b| {
                let (a, b) = (&self.list[*a], &self.list[*b]);
                (load(a) * b.weight as u32).cmp(&(load(b) * a.weight as u32))
            })?,
            Scheduler::Wrr => self.turn(),
            Scheduler::Sh => hash(2_654_435_761),
            Scheduler::Mh => hash(40_503),
            Scheduler::Random | Scheduler::Liar => takers[random.below(takers.len() as u64) as usize],
        };
        self.last = Some(at);
        self.list[at].active += 1;
        Some(self.list[at].address)
    }
}
