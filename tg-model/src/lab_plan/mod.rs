//! What a lab is asked to do: a rolling upgrade of a Deployment behind a balancer, under traffic. [`LabSpec`] is
//! what somebody writes down; [`LabPlan`] is one that was checked, and a `LabPlan` that exists can be carried out
//! (or predicted) as far as its numbers go.
//!
//! ```text
//! pods start ─▶ traffic ─▶ settle ─▶ upgrade …………………………▶ complete ─▶ settle ─▶ end
//!                              a step: create ─ready─▶ ready ─min_ready─▶ delete an old one ─prestop─▶ SIGTERM
//! ```

mod check;
mod expectation;
mod fault;
mod parts;
#[cfg(test)]
mod schema;

pub use check::{LabPlanError, NODES_MAX, REPLICAS_MAX};
pub use expectation::{Expectation, Spread};
pub use fault::{Fault, FaultKind};
pub use parts::{Amount, DirectorKind, LabFamily, PodReplacement, SchedulerKind};

use crate::plan::{Transport, ns};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A lab as written down: every field has the default that `tg-cli lab --help` shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct LabSpec {
    /// What balances connections over pods.
    pub director: DirectorKind,
    /// How it chooses.
    pub scheduler: SchedulerKind,
    /// Pods wanted.
    pub replicas: u32,
    /// Pods above `replicas` that there may be during the upgrade, terminating ones not counted.
    pub max_surge: Amount,
    /// Pods below `replicas` that may be available during the upgrade.
    pub max_unavailable: Amount,
    /// When a pod that was asked to end makes room for another.
    pub pod_replacement: PodReplacement,
    /// From a pod's deletion to SIGTERM: the preStop hook's sleep.
    #[serde(rename = "prestop_ns", with = "ns")]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub prestop: Duration,
    /// From a pod's deletion to SIGKILL.
    #[serde(rename = "grace_ns", with = "ns")]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub grace: Duration,
    /// From a pod's creation to its being ready.
    #[serde(rename = "ready_ns", with = "ns")]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub ready: Duration,
    /// From a pod's being ready to its being available, which is when the upgrade goes on: `minReadySeconds`,
    /// and what a cluster takes from a pod's readiness to the deletion that follows from it. By default a step,
    /// `ready + min_ready`, is a quarter of a second longer than `prestop`: an old pod ends before the next one is
    /// asked to, as in the seed's test, and by a margin (which of the two is first decides how many are lost).
    #[serde(rename = "min_ready_ns", with = "ns")]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub min_ready: Duration,
    /// Number of connections that are kept up.
    pub conns: u32,
    /// Packets a second on each.
    pub rate: f64,
    /// TCP or UDP.
    pub transport: Transport,
    /// Traffic before the upgrade starts, and after the last old pod is gone.
    #[serde(rename = "settle_ns", with = "ns")]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub settle: Duration,
    /// Nodes; pods are spread over them, and each balances on its own.
    pub nodes: u32,
    /// Traffic goes to all nodes, by a hash of addresses and ports; else to the first.
    pub ecmp: bool,
    /// From a node's loss to the cluster's taking it for not ready (`--node-monitor-grace-period`). Clusters wait for
    /// 40 or 50 s; by default a tenth of that, as the rest of a lab is shorter, too.
    #[serde(rename = "node_grace_ns", with = "ns")]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub node_grace: Duration,
    /// IP versions of the service; with both, connections take them in turn.
    pub family: LabFamily,
    /// IPVS ends the connections of a destination that was deleted (`expire_nodest_conn`), as kube-proxy has it.
    pub expire_nodest: bool,
    /// Nodes put an address of their own in place of the client's.
    pub masquerade: bool,
    /// Seeds every choice that the lab makes.
    pub seed: u64,
    /// What else goes wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

impl Default for LabSpec {
    fn default() -> LabSpec {
        LabSpec {
            director: DirectorKind::Userspace,
            scheduler: SchedulerKind::Rr,
            replicas: 8,
            max_surge: Amount::Count(1),
            max_unavailable: Amount::Count(0),
            pod_replacement: PodReplacement::TerminationStarted,
            prestop: Duration::from_secs(2),
            grace: Duration::from_secs(30),
            ready: Duration::from_millis(1500),
            min_ready: Duration::from_millis(750),
            conns: 80,
            rate: 5.0,
            transport: Transport::Tcp,
            settle: Duration::from_secs(6),
            nodes: 1,
            ecmp: false,
            node_grace: Duration::from_secs(4),
            family: LabFamily::Ipv4,
            expire_nodest: true,
            masquerade: false,
            seed: 1,
            faults: Vec::new(),
        }
    }
}

/// A checked lab. `Deref`s to its [`LabSpec`], which can no longer be changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "LabSpec", into = "LabSpec")]
#[cfg_attr(test, schemars(with = "LabSpec"))]
pub struct LabPlan(LabSpec);

impl TryFrom<LabSpec> for LabPlan {
    type Error = LabPlanError;
    fn try_from(spec: LabSpec) -> Result<LabPlan, LabPlanError> {
        check::check(&spec)?;
        Ok(LabPlan(spec))
    }
}

impl From<LabPlan> for LabSpec {
    fn from(plan: LabPlan) -> LabSpec {
        plan.0
    }
}

impl std::ops::Deref for LabPlan {
    type Target = LabSpec;
    fn deref(&self) -> &LabSpec {
        &self.0
    }
}

impl LabPlan {
    /// Pods above `replicas` that there may be: a percentage is rounded up.
    pub fn surge(&self) -> u32 {
        self.max_surge.of_rounded_up(self.replicas)
    }

    /// Pods below `replicas` that may be available: a percentage is rounded down, to at least 1 where nothing
    /// could move else (k8s.io/kubernetes, `deployment/util.ResolveFenceposts`).
    pub fn unavailable(&self) -> u32 {
        let unavailable = self.max_unavailable.of_rounded_down(self.replicas).min(self.replicas);
        if self.surge() == 0 { unavailable.max(1) } else { unavailable }
    }

    /// When a fault comes, from the start of traffic.
    pub fn fault_at(&self, fault: &Fault) -> Duration {
        fault.at.unwrap_or(self.settle)
    }

    /// Nodes that traffic goes to.
    pub fn entry_nodes(&self) -> u32 {
        if self.ecmp { self.nodes } else { 1 }
    }
}
