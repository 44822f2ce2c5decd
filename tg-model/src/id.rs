//! Names of slots and connections. Changes when what identifies them does.

use serde::{Deserialize, Serialize};

/// One of the plan's N places, 0 to N − 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct SlotId(pub u32);

/// One established connection of a run: the slot, and its number there counted from 0.
///
/// The order is by slot, then by age, so a connection's predecessor is the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ConnId {
    /// The slot it belongs to.
    pub slot: SlotId,
    /// 0 for the slot's first connection, 1 for the one that replaced it, and so on.
    pub nth: u64,
}

impl ConnId {
    /// The lost connection that this one replaced.
    pub fn predecessor(self) -> Option<ConnId> {
        Some(ConnId { slot: self.slot, nth: self.nth.checked_sub(1)? })
    }
}

impl std::fmt::Display for ConnId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.slot.0, self.nth)
    }
}
