//! Which pods were to go, and since when that was to be known. Changes when what dooms a pod does.

use crate::cluster::{Cluster, Life};

/// The pod was to go already: an upgrade goes to another ReplicaSet, or it was asked to end.
pub fn doomed_at(cluster: &Cluster, life: &Life, ns: i64) -> bool {
    life.terminating.is_some_and(|s| s.at.ns <= ns)
        || cluster.rollouts.dooming(life, ns).is_some()
        || replaced_without_word(cluster, life, ns)
}

/// Nobody told of an upgrade that dooms it: then a pod that was asked to end later, while pods of a newer ReplicaSet
/// were there.
fn replaced_without_word(cluster: &Cluster, life: &Life, ns: i64) -> bool {
    cluster.rollouts.dooming(life, i64::MAX).is_none()
        && life.terminating.is_some()
        && cluster.pods.replaced_by_then(life, ns)
}

/// The pod was to go at some time of what was watched.
pub fn doomed(cluster: &Cluster, life: &Life) -> bool {
    doomed_at(cluster, life, i64::MAX)
}
