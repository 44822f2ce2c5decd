//! What is told of how programs are attached, and of what netlink stands in for. Changes when a way of reading by
//! netlink, or what it costs, does.

use super::Observer;
use crate::name;
use tg_model::node_event::{ProgramStatus, TimeSource};

const BY_NETLINK: &str = "nfnetlink events";

/// What becomes of conntrack's program where it is not attached: netlink tells, too.
pub(super) fn by_netlink(status: &mut ProgramStatus, error: Option<&str>) {
    if status.program != name::CONNTRACK || status.times == TimeSource::Kernel && status.way.is_some() {
        return;
    }
    // What an earlier look found.
    status.refused.retain(|r| !r.starts_with(BY_NETLINK));
    match error {
        None => {
            status.way = Some(BY_NETLINK.into());
            status.cost = Some("times are those of reading".into());
            status.times = TimeSource::Reader;
        }
        Some(e) => {
            status.refused.push(format!("{BY_NETLINK}: {e}"));
            (status.way, status.cost) = (None, Some("the end of NAT bindings is not seen".into()));
        }
    }
}

/// How conntrack's tables are looked at: whether any is, and which are not.
fn of_tables(any: bool, refused: Vec<String>) -> ProgramStatus {
    let cost = match (any, refused.is_empty()) {
        (true, true) => None,
        (true, false) => Some("a table without room is not seen there".into()),
        (false, _) => Some("a table without room is not seen".into()),
    };
    let way = any.then(|| "nfnetlink, asked with each look at the counters".into());
    ProgramStatus { program: name::CONNTRACK_TABLE.into(), way, refused, cost, times: TimeSource::Reader }
}

impl Observer {
    /// What follows for conntrack's programs from which namespaces could be asked. Gives what changed by that.
    pub(super) fn look_at_refusals(&mut self) -> Vec<ProgramStatus> {
        let reasons = self.refused.reasons().into_iter().map(|(why, inode, others)| {
            let netns = self.namespaces.known(inode);
            let more = if others > 0 { format!(" and {others} more") } else { String::new() };
            format!("nfnetlink in {netns}{more}: {why}")
        });
        let tables = of_tables(self.tables.any(), reasons.collect());
        let mut events: Vec<_> =
            self.programs.status.iter().filter(|s| s.program == name::CONNTRACK).cloned().collect();
        events.iter_mut().for_each(|s| by_netlink(s, self.netlink.as_deref()));
        events.push(tables);
        self.changed(events)
    }

    /// Keeps what is told of programs, and gives what is new of it.
    pub(super) fn changed(&mut self, mut told: Vec<ProgramStatus>) -> Vec<ProgramStatus> {
        let all = &mut self.programs.status;
        told.retain(|s| !all.contains(s));
        for status in &told {
            match all.iter_mut().find(|s| s.program == status.program) {
                Some(known) => *known = status.clone(),
                None => all.push(status.clone()),
            }
        }
        told
    }
}
