//! Slots, their connections, and the balancers that place them. Changes when how clients connect does.

use super::entry::Entry;
use super::{Change, Outcome, Pod};
use crate::deployment::ReplicaSet;
use crate::predict::Timing;
use crate::scheduler::{Balancer, NotSimulated};
use std::net::{Ipv4Addr, SocketAddr};
use tg_core::random::Random;
use tg_model::lab_plan::{DirectorKind, LabPlan};
use tg_model::time::Nanos;

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Slot {
    pod: u32,
    /// Its connection is a replacement that was put on an old pod while a new one would have taken it.
    avoidable: bool,
    /// Attempts that failed since the last connection.
    failures: u8,
}

/// Slots that connect one after the other.
struct Group {
    slots: Vec<u32>,
    next: usize,
}

pub(super) struct Clients {
    timing: Timing,
    families: u32,
    nodes: u32,
    /// The client sees a connection to the director before that one has a pod.
    established_first: bool,
    client: Ipv4Addr,
    slots: Vec<Slot>,
    entries: Vec<Entry>,
    /// Connections of each pod.
    on: Vec<Vec<u32>>,
    /// Lost connections of each pod.
    lost: Vec<u64>,
    groups: Vec<Group>,
    /// Places in `groups` that are free.
    free: Vec<u32>,
    /// Groups whose time is not known to the queue yet.
    waiting: Vec<(Nanos, u32)>,
    upgrading: bool,
    outcome: Outcome,
}

impl Clients {
    pub(super) fn new(plan: &LabPlan, timing: &Timing, random: &mut Random) -> Result<Clients, NotSimulated> {
        let (families, nodes) = (plan.family.count(), plan.entry_nodes());
        let userspace = plan.director == DirectorKind::Userspace;
        let client = Ipv4Addr::from(random.bits() as u32);
        let entries = (0..families * nodes).map(|_| {
            let balancer = Balancer::new(plan.director, plan.scheduler, random.bits())?;
            Ok(Entry::new(balancer, !userspace))
        });
        Ok(Clients {
            timing: *timing,
            families,
            nodes,
            established_first: userspace,
            client,
            slots: vec![Slot { pod: NONE, avoidable: false, failures: 0 }; plan.conns as usize],
            entries: entries.collect::<Result<_, _>>()?,
            on: Vec::new(),
            lost: Vec::new(),
            groups: Vec::new(),
            free: Vec::new(),
            waiting: Vec::new(),
            upgrading: false,
            outcome: Outcome::default(),
        })
    }

    pub(super) fn add_pod(&mut self) {
        self.on.push(Vec::new());
        self.lost.push(0);
    }

    pub(super) fn upgrade_started(&mut self) {
        self.upgrading = true;
    }

    /// A node hears of an endpoint.
    pub(super) fn hear(&mut self, node: u32, pod: u32, set: ReplicaSet, change: Change) {
        let from = (node * self.families) as usize;
        for entry in &mut self.entries[from..from + self.families as usize] {
            entry.hear(pod, set, change);
        }
    }

    /// The first connections.
    pub(super) fn connect_all(&mut self, pods: &[Pod], random: &mut Random) {
        for slot in 0..self.slots.len() as u32 {
            self.connect(slot, Nanos::ZERO, pods, random);
        }
    }

    /// A pod's connections are lost; their slots connect again.
    pub(super) fn lose(&mut self, pod: u32, now: Nanos, random: &mut Random) {
        let slots = std::mem::take(&mut self.on[pod as usize]);
        for slot in &slots {
            let slot = &mut self.slots[*slot as usize];
            slot.pod = NONE;
            self.outcome.avoidable += u64::from(std::mem::take(&mut slot.avoidable));
        }
        self.outcome.lost += slots.len() as u64;
        self.lost[pod as usize] += slots.len() as u64;
        for entry in &mut self.entries {
            entry.ended(pod);
        }
        let detect = self.timing.detect.draw(random);
        self.group(now + detect, slots);
    }

    fn group(&mut self, at: Nanos, slots: Vec<u32>) {
        if slots.is_empty() {
            return;
        }
        let group = Group { slots, next: 0 };
        let place = match self.free.pop() {
            Some(place) => {
                self.groups[place as usize] = group;
                place
            }
            None => {
                self.groups.push(group);
                self.groups.len() as u32 - 1
            }
        };
        self.waiting.push((at, place));
    }

    /// A group whose time is to be kept.
    pub(super) fn next_group(&mut self) -> Option<(Nanos, u32)> {
        self.waiting.pop()
    }

    /// Slots of a group connect one after the other, until something else happens.
    pub(super) fn connect_group(&mut self, group: u32, now: Nanos, until: Nanos, pods: &[Pod], random: &mut Random) {
        let mut at = now;
        loop {
            let Group { slots, next } = &mut self.groups[group as usize];
            let Some(slot) = slots.get(*next).copied() else { break };
            if at > until {
                self.waiting.push((at, group));
                return;
            }
            *next += 1;
            self.connect(slot, at, pods, random);
            at = at + self.timing.each;
        }
        self.groups[group as usize].slots = Vec::new();
        self.free.push(group);
    }

    fn connect(&mut self, number: u32, now: Nanos, pods: &[Pod], random: &mut Random) {
        let family = number % self.families;
        // A hash of its ports chooses one for each attempt.
        let node = if self.nodes == 1 { 0 } else { random.below(u64::from(self.nodes)) as u32 };
        let entry = &mut self.entries[(node * self.families + family) as usize];
        let Some(pod) = entry.choose(SocketAddr::from((self.client, 0))) else { return self.failed(number, now) };
        if !pods[pod as usize].answers {
            entry.refused(pod);
            return if self.established_first { self.lost_at_once(number, pod, now) } else { self.failed(number, now) };
        }
        let doomed = self.upgrading && pods[pod as usize].set == ReplicaSet::Old;
        let slot = &mut self.slots[number as usize];
        *slot = Slot { pod, avoidable: doomed && entry.has_new(), failures: 0 };
        self.on[pod as usize].push(number);
        self.outcome.placed += 1;
        self.outcome.to_doomed += u64::from(doomed);
    }

    /// Nobody took it: the next attempt waits.
    fn failed(&mut self, number: u32, now: Nanos) {
        let slot = &mut self.slots[number as usize];
        let (first, longest) = self.timing.backoff;
        let wait = Nanos(first.0 << slot.failures.min(16)).min(longest);
        slot.failures = slot.failures.saturating_add(1);
        self.outcome.failed_attempts += 1;
        self.group(now + wait, vec![number]);
    }

    /// The director had taken it, and then found that the pod does not answer.
    fn lost_at_once(&mut self, number: u32, pod: u32, now: Nanos) {
        self.outcome.placed += 1;
        self.outcome.lost += 1;
        self.lost[pod as usize] += 1;
        self.group(now + self.timing.detect.max, vec![number]);
    }

    pub(super) fn lost_of(&self, pod: u32) -> u64 {
        self.lost[pod as usize]
    }

    /// Connections that a pod has.
    pub(super) fn on(&self, pod: u32) -> u64 {
        self.on[pod as usize].len() as u64
    }

    pub(super) fn outcome(&self) -> Outcome {
        let without = self.slots.iter().filter(|s| s.pod == NONE).count();
        Outcome { without_connection: without as u64, ..self.outcome.clone() }
    }
}
