//! What IPVS has in each namespace, told as a snapshot. Changes when what is told of it does.

use super::Observer;
use crate::kernel::directors::Director;
use tg_model::node_event::{Netns, NodeLine, SnapshotEntry, SnapshotTaken};

impl Observer {
    /// Where ip_vs is there: what it has in each namespace that was not looked at yet.
    pub(super) fn look_at_directors(&mut self, now: u64, lines: &mut Vec<NodeLine>) {
        if !self.modules.has_ipvs() {
            return;
        }
        for (inode, file) in self.places() {
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
