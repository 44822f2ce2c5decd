//! What follows when a module comes or goes. Changes when that does.

use super::Observer;
use super::status::by_netlink;
use crate::name;
use tg_model::node_event::{NodeLine, ProgramStatus};

impl Observer {
    /// Attaches to modules that came. Gives the status of the programs that are concerned. Conntrack's events come
    /// by netlink where no program tells of them.
    pub(super) fn look_for_modules(&mut self, types: Option<&btf_rs::Btf>) -> Vec<ProgramStatus> {
        let attached = self.modules.has(name::IPVS_DEST);
        let mut changed = self.modules.look(&mut self.programs.bpf, types);
        if !attached && self.modules.has(name::IPVS_DEST) {
            // What came since they were looked at is told of by nothing else.
            self.directors.forget();
        }
        self.trackers.set_events(!self.modules.has(name::CONNTRACK));
        changed.iter_mut().for_each(|s| by_netlink(s, self.netlink.as_deref()));
        self.changed(changed)
    }

    pub(super) fn look_at_modules(&mut self, now: u64, lines: &mut Vec<NodeLine>) {
        lines.extend(self.look_for_modules(None).into_iter().map(NodeLine::Program));
        self.look_at_directors(now, lines);
    }
}
