//! What follows when a namespace comes or goes: listening to it, and a look at what its conntrack has. Changes when
//! that does.

use super::Observer;
use crate::kernel::error::ObserveError;
use crate::kernel::trackers::Snapshot;
use std::collections::HashSet;
use tg_model::node_event::{Netns, NodeLine, SnapshotEntry, SnapshotTaken};

impl Observer {
    pub(super) fn look_for_namespaces(&mut self, now: u64, lines: &mut Vec<NodeLine>) -> Result<(), ObserveError> {
        let changed = self.namespaces.scan(now);
        for namespace in &changed {
            if namespace.gone {
                self.trackers.leave(namespace.netns.inode);
                self.tables.leave(namespace.netns.inode);
                self.directors.leave(namespace.netns.inode);
            }
        }
        lines.extend(changed.into_iter().map(NodeLine::Namespace));
        let asked = &self.settings.namespaces;
        let files = self.namespaces.files().map(|(inode, file, name)| (inode, file.to_owned(), name.to_owned()));
        let files: Vec<_> = files.collect();
        if !asked.is_empty() {
            let inodes: HashSet<u32> =
                files.iter().filter(|(_, _, name)| asked.contains(name)).map(|(inode, ..)| *inode).collect();
            self.filter.set_namespaces(true, inodes)?;
        }
        for (inode, file, _) in files {
            if !self.trackers.wants(inode) {
                continue;
            }
            // One that goes at this very moment is told of by the next scan.
            if let Ok(snapshot) = self.trackers.listen(inode, Some(&file), self.poll.registry()) {
                self.take_snapshot(inode, snapshot, now, lines);
                // Where the observer's own namespace lets itself be asked, this one does.
                let _ = self.tables.listen(inode, Some(&file), now);
            }
        }
        Ok(())
    }

    pub(super) fn take_snapshot(&mut self, inode: u32, snapshot: Snapshot, at_ns: u64, lines: &mut Vec<NodeLine>) {
        let mut netns = Netns { inode, ..Netns::default() };
        self.namespaces.name(&mut netns);
        let mut count = 0;
        for mut entry in snapshot.entries {
            if !self.concerns(&entry) {
                continue;
            }
            count += 1;
            entry.netns = netns.clone();
            lines.extend(self.filter.learn_entry(&entry, at_ns).map(NodeLine::Watched));
            self.translations.learn(&entry);
            let entry = SnapshotEntry::Conntrack(entry);
            lines.push(NodeLine::Snapshot(SnapshotTaken { at_ns, entry }));
        }
        let entry = SnapshotEntry::ConntrackEnd { netns, entries: count, error: snapshot.error };
        lines.push(NodeLine::Snapshot(SnapshotTaken { at_ns, entry }));
    }
}
