//! What else goes wrong in a lab. Changes when a fault is added.

use crate::named::named;
use crate::plan::optional_ns;
use serde::{Deserialize, Serialize};
use std::time::Duration;

named! {
    /// What goes wrong.
    FaultKind {
        /// A pod's process is killed; it is started again, as kubelet does.
        PodKill = "pod-kill",
        /// A pod's process stands still (SIGSTOP).
        PodFreeze = "pod-freeze",
        /// A pod's link swallows every packet.
        PodBlackhole = "pod-blackhole",
        /// A node and its pods are cut off.
        NodeLoss = "node-loss",
        /// Every connection of a pod is reset; the pod lives on.
        ResetStorm = "reset-storm",
        /// Directors hear of endpoints so much later, from then on.
        EndpointLag = "endpoint-lag",
        /// The nodes' connection tracking is emptied.
        ConntrackFlush = "conntrack-flush",
        /// The router's set of nodes changes: connections go on by way of others.
        EcmpChange = "ecmp-change",
    }
}

/// A fault, with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// How long, where it can end; for `endpoint-lag`, the lag. `None`: to the end.
    #[serde(rename = "lasting_ns", with = "optional_ns", default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<u64>"))]
    pub lasting: Option<Duration>,
    /// When, from the start of traffic; `None`: with the upgrade.
    #[serde(rename = "at_ns", with = "optional_ns", default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<u64>"))]
    pub at: Option<Duration>,
}

impl FaultKind {
    /// It takes, or needs, a time that it lasts.
    pub fn may_last(self) -> bool {
        !matches!(self, FaultKind::PodKill | FaultKind::ResetStorm | FaultKind::ConntrackFlush)
    }

    /// It needs network namespaces: the userspace director has none.
    pub fn needs_namespaces(self) -> bool {
        matches!(self, FaultKind::NodeLoss | FaultKind::ConntrackFlush | FaultKind::EcmpChange)
    }
}
