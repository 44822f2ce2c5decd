//! What follows when a namespace comes or goes: its conntrack is asked what it has, and listened to. Changes when that
//! does.

use super::Observer;
use crate::kernel::error::ObserveError;
use crate::kernel::namespaces;
use crate::kernel::trackers::Snapshot;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use tg_model::node_event::{Netns, NodeLine, SnapshotEntry, SnapshotTaken};

impl Observer {
    /// Tells which came and went, and joins those that came.
    pub(super) fn look_for_namespaces(&mut self, now: u64, lines: &mut Vec<NodeLine>) -> Result<(), ObserveError> {
        self.scan_namespaces(now, lines);
        let asked = &self.settings.namespaces;
        if !asked.is_empty() {
            let inodes = self.namespaces.files().filter(|(.., name)| asked.iter().any(|a| a == name));
            let inodes: HashSet<u32> = inodes.map(|(inode, ..)| inode).collect();
            self.filter.set_namespaces(true, inodes)?;
        }
        self.ask_namespaces(now, lines);
        Ok(())
    }

    pub(super) fn scan_namespaces(&mut self, now: u64, lines: &mut Vec<NodeLine>) {
        let changed = self.namespaces.scan(now);
        for namespace in &changed {
            if namespace.gone {
                self.trackers.leave(namespace.netns.inode);
                self.tables.leave(namespace.netns.inode);
                self.directors.leave(namespace.netns.inode);
                self.refused.leave(namespace.netns.inode);
            }
        }
        lines.extend(changed.into_iter().map(NodeLine::Namespace));
    }

    /// The namespaces that can be entered; the observer's own, where it is, has no file.
    pub(super) fn places(&self) -> Vec<(u32, Option<PathBuf>)> {
        let named = self.namespaces.files().map(|(inode, file, _)| (inode, Some(file.to_owned())));
        std::iter::once((self.own, None)).chain(named).collect()
    }

    /// Asks each that has not answered yet, those that refused only now and then.
    fn ask_namespaces(&mut self, now: u64, lines: &mut Vec<NodeLine>) {
        for (inode, file) in self.places() {
            let wanted = self.trackers.wants(inode) || self.tables.wants(inode);
            if !wanted || !self.refused.is_due(inode, now) {
                continue;
            }
            let answer = self.ask(inode, file.as_deref(), now, lines).map_err(|e| e.to_string());
            // One that goes at this very moment is told of by the next scan.
            let goes = answer.is_err() && file.is_some_and(|f| namespaces::inode(&f) != Some(inode));
            if !goes {
                self.refused.asked(inode, answer, now);
            }
        }
    }

    fn ask(&mut self, inode: u32, file: Option<&Path>, now: u64, lines: &mut Vec<NodeLine>) -> io::Result<()> {
        if self.trackers.wants(inode) {
            let listened = self.trackers.listen(inode, file, self.poll.registry());
            if inode == self.own {
                self.netlink = listened.as_ref().err().map(ToString::to_string);
            }
            self.take_snapshot(inode, listened?, now, lines);
        }
        if self.tables.wants(inode) {
            self.tables.listen(inode, file, now)?;
        }
        Ok(())
    }

    fn take_snapshot(&mut self, inode: u32, snapshot: Snapshot, at_ns: u64, lines: &mut Vec<NodeLine>) {
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
