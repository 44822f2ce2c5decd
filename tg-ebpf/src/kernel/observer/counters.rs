//! What the kernel counts and is read now and then: segments, tables, losses. Changes when a counter is added.

use super::Observer;
use crate::name;
use tg_model::node_event::{LossCause, NodeEvent, NodeLine};

impl Observer {
    /// Tells what changed since the last time.
    pub(super) fn read_counters(&mut self, now: u64, lines: &mut Vec<NodeLine>) {
        let changed = self.flows.changed(now + self.settings.origin_ns, &self.programs.interfaces);
        for mut segments in changed {
            segments.last_ns = segments.last_ns.saturating_sub(self.settings.origin_ns);
            self.tell(now, name::SEGMENTS, NodeEvent::Segments(segments), lines);
        }
        let refused = &mut self.refused;
        for table in self.tables.look(now, |inode, e| refused.asked(inode, Err(e.to_string()), now)) {
            self.heard_tables += 1;
            self.tell(now, name::CONNTRACK_TABLE, NodeEvent::ConntrackTable(table), lines);
        }
        lines.extend(self.losses.read(&self.programs.bpf, now).into_iter().map(NodeLine::Gap));
        for (program, lost, cause) in [
            (name::RECORDS, std::mem::take(&mut self.undecodable), LossCause::Undecodable),
            (name::BINDING, std::mem::take(&mut self.filter.refused), LossCause::TableFull),
        ] {
            if lost > 0 {
                lines.push(self.gap(program, Some(lost), cause, now));
            }
        }
        self.last_tick_ns = now;
    }
}
