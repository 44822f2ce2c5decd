//! What went wrong without a connection being lost: failed attempts, slow ones, flows of UDP that moved. Changes
//! when another such trouble is explained.

mod attempts;
mod moved;
mod slow;

use crate::world::World;
use tg_model::verdict::Trouble;

/// All of them, in the order of time.
pub fn of(world: &World) -> Vec<Trouble> {
    let mut all = attempts::of(world);
    all.extend(slow::of(world));
    all.extend(moved::of(world));
    all.sort_by_key(|t| (t.ended_ns, t.slot));
    all
}
