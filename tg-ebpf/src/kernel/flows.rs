//! Segments counted per flow, read once a second. Changes when how that table is read does.

use super::error::ObserveError;
use super::maps;
use crate::decode;
use aya::Ebpf;
use aya::maps::{HashMap as KernelMap, MapData};
use std::collections::HashMap;
use tg_ebpf_common::{Counts, Flow};
use tg_model::node_event::{Netns, Segments};
use zerocopy::FromBytes;

type Key = [u8; size_of::<Flow>()];
type Value = [u8; size_of::<Counts>()];

/// A flow without a SYN, FIN or RST for so long makes room.
const IDLE_NS: u64 = 60_000_000_000;

pub struct Flows {
    table: KernelMap<MapData, Key, Value>,
    told: HashMap<Key, Value>,
}

impl Flows {
    pub fn new(bpf: &mut Ebpf) -> Result<Flows, ObserveError> {
        Ok(Flows { table: maps::take(bpf, "FLOWS")?, told: HashMap::new() })
    }

    /// Flows whose counts changed since the last time; their times are CLOCK_MONOTONIC's, as `now_ns` is.
    pub fn changed(&mut self, now_ns: u64, interfaces: &HashMap<u32, (String, Netns)>) -> Vec<Segments> {
        let mut changed = Vec::new();
        let mut idle = Vec::new();
        for (key, value) in self.table.iter().filter_map(Result::ok) {
            let (Ok(flow), Ok(counts)) = (Flow::read_from_bytes(&key), Counts::read_from_bytes(&value)) else {
                continue;
            };
            if self.told.insert(key, value) != Some(value) {
                changed.push(decode::segments(&flow, &counts, |index| interfaces.get(&index).cloned()));
            } else if now_ns.saturating_sub(counts.last_ns) > IDLE_NS {
                idle.push(key);
            }
        }
        for key in idle {
            // It may be gone already.
            let _ = self.table.remove(&key);
            self.told.remove(&key);
        }
        changed
    }
}
