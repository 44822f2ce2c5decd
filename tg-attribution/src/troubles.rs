//! What went wrong without a connection being lost: failed attempts, slow ones, flows of UDP that moved. Changes
//! when another such trouble is explained.

mod attempts;
mod full;
mod local;
mod moved;
mod slow;
mod stale;
mod strays;
mod times;
mod undone;

use crate::world::World;
use tg_model::verdict::Trouble;

/// All of them, in the order of time.
pub fn of<'a>(world: &'a World<'a>) -> Vec<Trouble> {
    let mut all = attempts::of(world);
    all.extend(slow::of(world));
    all.extend(moved::of(world));
    all.sort_by_key(|t| (t.ended_ns, t.slot));
    all
}
