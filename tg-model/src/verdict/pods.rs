//! Pods as verdicts speak of them. Changes when what is said of a pod does.

use serde::Serialize;

/// A pod, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PodRef {
    /// Its name, or what its server called itself.
    pub name: String,
    /// Its UID.
    pub uid: Option<String>,
    /// The node that it is on.
    pub node: Option<String>,
    /// The ReplicaSet that it belongs to.
    pub replica_set: Option<String>,
    /// It was to go: it is of an upgrade's old ReplicaSet, or it was asked to end. Null where that is not known.
    pub doomed: Option<bool>,
}

/// A pod's share of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PodShare {
    /// The pod.
    #[serde(flatten)]
    pub pod: PodRef,
    /// When it was ready first.
    pub ready_ns: Option<i64>,
    /// When it was asked to end.
    pub terminating_ns: Option<i64>,
    /// When its containers ended; null where they were started anew.
    pub stopped_ns: Option<i64>,
    /// Connections that were on it.
    pub connections: u64,
    /// Those of them that were lost.
    pub lost: u64,
    /// Those that were alive at the end.
    pub lasting: u64,
    /// Lost ones that had been put there though the pod was to go.
    pub rescheduled_to: u64,
}
