//! Whom a fault hits that hits one pod, in the lab and in its prediction. Changes when that rule does. Pure.

use crate::deployment::ReplicaSet;
use tg_core::random::Random;

/// One of the pods that are ready (a pod that was asked to end is not): any of the old ones, as long as there are some.
pub(crate) fn victim<P>(ready: impl IntoIterator<Item = (P, ReplicaSet)>, random: &mut Random) -> Option<P> {
    let (old, new): (Vec<_>, Vec<_>) = ready.into_iter().partition(|(_, set)| *set == ReplicaSet::Old);
    let mut candidates = if old.is_empty() { new } else { old };
    if candidates.is_empty() {
        return None;
    }
    // In range: below their number.
    let nth = random.below(candidates.len() as u64) as usize;
    Some(candidates.swap_remove(nth).0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ReplicaSet::{New, Old};
    use std::collections::BTreeSet;

    #[test]
    fn any_old_pod_and_a_new_one_only_where_there_is_no_old_one() {
        let mut random = Random::new(1);
        let mut of = |pods: &[(u32, ReplicaSet)]| -> BTreeSet<Option<u32>> {
            (0..100).map(|_| victim(pods.iter().copied(), &mut random)).collect()
        };
        assert_eq!(of(&[(1, New), (2, Old), (3, New), (4, Old)]), [Some(2), Some(4)].into());
        assert_eq!(of(&[(1, New), (3, New)]), [Some(1), Some(3)].into());
        assert_eq!(of(&[]), [None].into());
    }
}
