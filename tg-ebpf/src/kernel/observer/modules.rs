//! What follows when a module comes or goes: attaching, and a look at what IPVS has. Changes when that does.

use super::Observer;
use crate::kernel::directors::Director;
use crate::name;
use tg_model::node_event::{Netns, NodeLine, ProgramStatus, SnapshotEntry, SnapshotTaken, TimeSource};

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
        changed.retain(|s| !self.programs.status.contains(s));
        for status in &changed {
            let all = &mut self.programs.status;
            match all.iter_mut().find(|s| s.program == status.program) {
                Some(known) => *known = status.clone(),
                None => all.push(status.clone()),
            }
        }
        changed
    }

    pub(super) fn look_at_modules(&mut self, now: u64, lines: &mut Vec<NodeLine>) {
        lines.extend(self.look_for_modules(None).into_iter().map(NodeLine::Program));
        self.look_at_directors(now, lines);
    }

    /// Where ip_vs is there: what it has in each namespace that was not looked at yet.
    pub(super) fn look_at_directors(&mut self, now: u64, lines: &mut Vec<NodeLine>) {
        if !self.modules.has_ipvs() {
            return;
        }
        let mut places = vec![(self.own, None)];
        places.extend(self.namespaces.files().map(|(inode, file, _)| (inode, Some(file.to_owned()))));
        for (inode, file) in places {
            if self.directors.wants(inode) {
                let filter = &self.filter;
                let found = self.directors.look(inode, file.as_deref(), |a| filter.service_of(a).is_some());
                self.take_director(inode, found, now, lines);
            }
        }
    }

    fn take_director(&mut self, inode: u32, found: Director, at_ns: u64, lines: &mut Vec<NodeLine>) {
        let mut netns = Netns { inode, ..Netns::default() };
        self.namespaces.name(&mut netns);
        let [mut services, mut destinations, mut connections] = [0; 3];
        let mut entries = Vec::new();
        for (service, its) in found.services {
            services += 1;
            entries.push(SnapshotEntry::IpvsService { netns: netns.clone(), service: service.clone() });
            for destination in its {
                destinations += 1;
                let of = service.address.and_then(|s| self.filter.learn_backend(s, destination.address, at_ns));
                lines.extend(of.map(NodeLine::Watched));
                let (netns, service) = (netns.clone(), service.clone());
                entries.push(SnapshotEntry::IpvsDest { netns, service, destination });
            }
        }
        for mut conn in found.connections {
            connections += 1;
            conn.netns = netns.clone();
            lines.extend(self.filter.learn_backend(conn.service, conn.destination, at_ns).map(NodeLine::Watched));
            self.translations.learn_ipvs(&conn);
            entries.push(SnapshotEntry::IpvsConn(conn));
        }
        entries.push(SnapshotEntry::IpvsEnd { netns, services, destinations, connections, error: found.error });
        lines.extend(entries.into_iter().map(|entry| NodeLine::Snapshot(SnapshotTaken { at_ns, entry })));
    }
}

/// What becomes of conntrack's program where it is not attached: netlink tells, too.
pub(super) fn by_netlink(status: &mut ProgramStatus, error: Option<&str>) {
    if status.program != name::CONNTRACK || status.times == TimeSource::Kernel && status.way.is_some() {
        return;
    }
    match error {
        None => {
            status.way = Some("nfnetlink events".into());
            status.cost = Some("times are those of reading".into());
            status.times = TimeSource::Reader;
        }
        Some(e) => {
            status.refused.push(format!("nfnetlink events: {e}"));
            (status.way, status.cost) = (None, Some("the end of NAT bindings is not seen".into()));
        }
    }
}

/// How conntrack's tables are looked at.
pub(super) fn of_tables(error: Option<std::io::Error>) -> ProgramStatus {
    let (refused, cost) = match error {
        None => (Vec::new(), None),
        Some(e) => (vec![format!("nfnetlink: {e}")], Some("a table without room is not seen".into())),
    };
    let way = refused.is_empty().then(|| "nfnetlink, asked with each look at the counters".into());
    ProgramStatus { program: name::CONNTRACK_TABLE.into(), way, refused, cost, times: TimeSource::Reader }
}
