//! The end of a flow of UDP, which has neither FIN nor RST. Changes when the evidence for it does.

use super::pods::end_of_pod;
use crate::case::{Case, led_to};
use tg_model::verdict::Finding;

/// Its pod ended, and its flow was bound to it.
pub fn pod_ended(case: &Case) -> Option<Finding> {
    let life = case.life?;
    if !case.is_udp() {
        return None;
    }
    let (draft, _) = end_of_pod(case, life.terminating)?;
    let bound = case.told.iter().find_map(|told| {
        let to = led_to(told)?;
        (Some(to) == case.destination)
            .then(|| (told.source, format!("{} bound it to {to}", case.world.nodes.name(told.node, None))))
    });
    let ended = life.ended().filter(|s| s.at.perhaps_by(case.ended()));
    let ended = ended.map(|s| (s, format!("{} had ended", case.pod_name())));
    let draft = draft
        .needs(bound, "no node's journal tells where it was led to")
        .needs(ended, "its pod's end was told after the flow's, or not at all");
    Some(draft.finish())
}
