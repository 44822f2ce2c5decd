//! One simulated run: its events and what they do to pods and endpoints. Changes when the lab's course does.

mod clients;
mod entry;
mod outcome;

pub use outcome::Outcome;

use super::Timing;
use crate::deployment::{Command, Deployment, PodId, PodUpdate, ReplicaSet};
use crate::scheduler::NotSimulated;
use crate::victim::victim;
use clients::Clients;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use tg_core::random::Random;
use tg_model::lab_plan::{Fault, FaultKind, LabPlan};
use tg_model::time::Nanos;

/// What happens. The order is that of events at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Endpoint {
        node: u32,
        pod: u32,
        change: Change,
    },
    Ready(u32),
    /// The process of a pod that was asked to end does so.
    Exit(u32),
    Gone(u32),
    Upgrade,
    /// A pod may be available now.
    Wake,
    Fault(u32),
    /// Clients connect.
    Connect(u32),
    End,
}

/// What a node hears of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// It takes connections.
    Takes,
    /// It was asked to end, and takes no new ones.
    Drains,
    /// It does not answer.
    Unready,
    /// It is there no longer.
    Removed,
}

/// A pod.
#[derive(Clone, Debug)]
struct Pod {
    set: ReplicaSet,
    /// Its process answers.
    answers: bool,
    terminating: bool,
}

pub(super) struct World<'a> {
    plan: &'a LabPlan,
    timing: &'a Timing,
    random: Random,
    now: Nanos,
    queue: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    scheduled: u64,
    deployment: Deployment,
    pods: Vec<Pod>,
    /// Old pods in the order in which they were asked to end.
    ended: Vec<u32>,
    clients: Clients,
    upgrade_at: Option<Nanos>,
    /// The upgrade is complete, as a cluster has it. Old pods may be terminating still.
    complete: bool,
    /// The upgrade is complete, and the last old pod is gone.
    upgraded_at: Option<Nanos>,
    /// Added by a fault.
    endpoint_lag: Nanos,
}

impl<'a> World<'a> {
    pub(super) fn new(plan: &'a LabPlan, timing: &'a Timing, seed: u64) -> Result<World<'a>, NotSimulated> {
        let mut random = Random::new(seed);
        let deployment = Deployment::with_seed(plan, random.bits());
        let clients = Clients::new(plan, timing, &mut random)?;
        Ok(World {
            plan,
            timing,
            random,
            now: Nanos::ZERO,
            queue: BinaryHeap::new(),
            scheduled: 0,
            deployment,
            pods: Vec::new(),
            ended: Vec::new(),
            clients,
            upgrade_at: None,
            complete: false,
            upgraded_at: None,
            endpoint_lag: Nanos::ZERO,
        })
    }

    pub(super) fn run(mut self) -> Result<Outcome, NotSimulated> {
        self.start();
        while let Some(Reverse((at, _, event))) = self.queue.pop() {
            self.now = at;
            if event == Event::End {
                break;
            }
            self.happen(event);
        }
        Ok(self.outcome())
    }

    /// The old pods are ready, every slot has a connection, and the clock is that of the traffic.
    fn start(&mut self) {
        while let Some(command) = self.deployment.poll(self.now) {
            if let Command::Create { pod, replica_set, .. } = command {
                self.pods.push(Pod { set: replica_set, answers: true, terminating: false });
                self.clients.add_pod();
                // Ready since long ago, as far as the upgrade is concerned.
                self.deployment.handle(self.now, pod, PodUpdate::Ready);
                for node in 0..self.plan.entry_nodes() {
                    self.clients.hear(node, pod.0, replica_set, Change::Takes);
                }
            }
        }
        self.clients.connect_all(&self.pods, &mut self.random);
        self.at(self.plan.settle.into(), Event::Upgrade);
        for (n, fault) in self.plan.faults.iter().enumerate() {
            self.at(self.plan.fault_at(fault).into(), Event::Fault(n as u32));
        }
    }

    fn at(&mut self, at: Nanos, event: Event) {
        self.scheduled += 1;
        self.queue.push(Reverse((at, self.scheduled, event)));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Upgrade => {
                self.upgrade_at = Some(self.now);
                self.clients.upgrade_started();
                self.deployment.upgrade();
                self.control();
            }
            Event::Wake => self.control(),
            Event::Ready(pod) => self.ready(pod),
            Event::Exit(pod) => self.exit(pod),
            Event::Gone(pod) => {
                self.deployment.handle(self.now, PodId(pod), PodUpdate::Gone);
                self.control();
            }
            Event::Endpoint { node, pod, change } => {
                self.clients.hear(node, pod, self.pods[pod as usize].set, change);
            }
            Event::Connect(group) => {
                let until = self.queue.peek().map_or(Nanos::MAX, |Reverse((at, ..))| *at);
                self.clients.connect_group(group, self.now, until, &self.pods, &mut self.random);
                self.connects();
            }
            Event::Fault(n) => self.fault(&self.plan.faults[n as usize]),
            Event::End => {}
        }
    }

    /// Does what the controller wants, and looks whether the upgrade is over.
    fn control(&mut self) {
        while let Some(command) = self.deployment.poll(self.now) {
            match command {
                Command::Create { pod, replica_set, .. } => {
                    self.pods.push(Pod { set: replica_set, answers: false, terminating: false });
                    self.clients.add_pod();
                    self.start_process(pod.0);
                }
                Command::Delete { pod } => self.delete(pod.0),
            }
        }
        if let Some(at) = self.deployment.wake_at(self.now) {
            self.at(at, Event::Wake);
        }
        self.complete |= self.deployment.complete(self.now);
        // As the lab has it: what the last old pods have is lost before the end, however long their hooks take.
        if self.complete && self.upgraded_at.is_none() && self.deployment.terminating() == 0 {
            self.upgraded_at = Some(self.now);
            self.at(self.now + self.plan.settle.into(), Event::End);
        }
    }

    fn start_process(&mut self, pod: u32) {
        let took = self.timing.start.draw(&mut self.random);
        self.at(self.now + self.plan.ready.into() + took, Event::Ready(pod));
    }

    fn ready(&mut self, pod: u32) {
        let p = &mut self.pods[pod as usize];
        if p.terminating {
            return;
        }
        p.answers = true;
        self.tell(pod, Change::Takes);
        self.deployment.handle(self.now, PodId(pod), PodUpdate::Ready);
        self.control();
    }

    fn delete(&mut self, pod: u32) {
        let p = &mut self.pods[pod as usize];
        p.terminating = true;
        if p.set == ReplicaSet::Old {
            self.ended.push(pod);
        }
        self.tell(pod, Change::Drains);
        let hook = Nanos::from(self.plan.prestop.min(self.plan.grace));
        let begun = self.timing.hook.draw(&mut self.random);
        let exit = self.timing.exit.draw(&mut self.random);
        self.at(self.now + begun + hook + exit, Event::Exit(pod));
    }

    fn exit(&mut self, pod: u32) {
        self.pods[pod as usize].answers = false;
        self.lose(pod);
        let gone = self.timing.gone.draw(&mut self.random);
        self.at(self.now + gone, Event::Gone(pod));
        self.tell(pod, Change::Removed);
    }

    fn lose(&mut self, pod: u32) {
        self.clients.lose(pod, self.now, &mut self.random);
        self.connects();
    }

    /// Each node that traffic goes to hears of it in its own time.
    fn tell(&mut self, pod: u32, change: Change) {
        for node in 0..self.plan.entry_nodes() {
            let took = self.timing.endpoint.draw(&mut self.random);
            self.at(self.now + self.endpoint_lag + took, Event::Endpoint { node, pod, change });
        }
    }

    /// Clients that will connect do so at their time.
    fn connects(&mut self) {
        while let Some((at, group)) = self.clients.next_group() {
            self.at(at, Event::Connect(group));
        }
    }

    fn fault(&mut self, fault: &Fault) {
        match fault.kind {
            FaultKind::EndpointLag => self.endpoint_lag = fault.lasting.unwrap_or_default().into(),
            FaultKind::ResetStorm => {
                let hit = self.victim();
                hit.into_iter().for_each(|pod| self.lose(pod));
            }
            FaultKind::PodKill => {
                let hit = self.victim();
                hit.into_iter().for_each(|pod| self.kill(pod));
            }
            // See [`super::simulated`].
            _ => {}
        }
    }

    fn victim(&mut self) -> Option<u32> {
        let pods = (0..).zip(&self.pods);
        let ready = pods.filter(|(_, p)| p.answers && !p.terminating).map(|(n, p)| (n, p.set));
        victim(ready, &mut self.random)
    }

    fn kill(&mut self, pod: u32) {
        self.pods[pod as usize].answers = false;
        self.lose(pod);
        self.tell(pod, Change::Unready);
        self.deployment.handle(self.now, PodId(pod), PodUpdate::Unready);
        self.start_process(pod);
        self.control();
    }
}
