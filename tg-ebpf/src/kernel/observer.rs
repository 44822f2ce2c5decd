//! The observer. Changes when the order in which things are read does.

use super::directors::Directors;
use super::error::ObserveError;
use super::fields::{Fields, kernel_types};
use super::filter::Filter;
use super::flows::Flows;
use super::losses::{Figures, Losses};
use super::maps;
use super::modules::Modules;
use super::namespaces::{Namespaces, inode};
use super::programs::{self, Programs, chain};
use super::tables::Tables;
use super::trackers::{FIRST_TOKEN, Heard, Snapshot, Trackers};
use super::uevents::Uevents;
use crate::decode::{self, KernelNames};
use crate::name;
use crate::nat::{Translations, Vips};
use crate::place::Interface;
use aya::maps::{MapData, RingBuf};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use nix::time::{ClockId, clock_gettime};
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tg_model::node_event::{
    Conntrack, Gap, LossCause, Netns, NodeEvent, NodeFooter, NodeLine, Observed, ProgramLoss, ProgramStatus,
    SnapshotEntry, SnapshotTaken, Watched,
};

mod modules;

use modules::{by_netlink, of_tables};

/// Translations that are kept: a node's conntrack table is rarely larger.
const TRANSLATIONS: usize = 1 << 18;
/// Records that one [`Observer::poll`] takes: what is beside them must not wait for a flood's end.
const RECORDS_AT_ONCE: usize = 8192;
const RING: Token = Token(0);
const WAKE: Token = Token(1);
const UEVENTS: Token = Token(2);

/// What to observe.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses of services; port 0 is every port.
    pub vips: Vec<SocketAddr>,
    /// Names of the namespaces whose sockets and packets are told of; empty: every one.
    pub namespaces: Vec<String>,
    /// Interfaces to count segments on.
    pub interfaces: Vec<Interface>,
    /// Let the kernel measure the programs' run time, which costs some more of it.
    pub run_time: bool,
    /// Before 6.6: count what leaves an interface by a filter that outlives an observer that is killed.
    pub legacy_tc: bool,
    /// CLOCK_MONOTONIC at the journal's start.
    pub origin_ns: u64,
}

/// See the module. Dropping it detaches everything.
pub struct Observer {
    settings: Settings,
    programs: Programs,
    modules: Modules,
    uevents: Uevents,
    ring: RingBuf<MapData>,
    names: KernelNames,
    filter: Filter,
    translations: Translations,
    namespaces: Namespaces,
    trackers: Trackers,
    tables: Tables,
    directors: Directors,
    losses: Losses,
    flows: Flows,
    poll: Poll,
    waker: Arc<Waker>,
    undecodable: u64,
    /// Why netlink cannot be listened to.
    netlink: Option<String>,
    /// Events by program, of those that have no counter in the kernel.
    heard: u64,
    heard_tables: u64,
    last_tick_ns: u64,
    /// The observer's own namespace.
    own: u32,
    /// The kernel measures as long as it is open.
    _run_time: Option<OwnedFd>,
}

impl Observer {
    /// Loads and attaches. Gives the first lines, too: each program's status, the filter, the snapshot.
    pub fn start(settings: Settings) -> Result<(Observer, Vec<NodeLine>), ObserveError> {
        let types = kernel_types()?;
        let fields = Fields::of(&types);
        let run_time = settings.run_time.then(|| aya::sys::enable_stats(aya::sys::Stats::RunTime)).transpose();
        let run_time = run_time.map_err(|e| ObserveError::RunTime(chain(&e)))?;
        let btf = programs::kernel_btf()?;
        let mut programs = Programs::attach(&fields, &btf, &settings.interfaces, settings.legacy_tc)?;
        let modules = Modules::load(&mut programs.bpf, &btf)?;
        let poll = Poll::new().map_err(ObserveError::Wait)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE).map_err(ObserveError::Wait)?);
        let ring: RingBuf<MapData> = maps::take(&mut programs.bpf, "EVENTS")?;
        let registered = poll.registry().register(&mut SourceFd(&ring.as_raw_fd()), RING, Interest::READABLE);
        registered.map_err(ObserveError::Wait)?;
        // Before modules are looked for: one that comes in between is told of.
        let uevents = Uevents::listen(poll.registry(), UEVENTS);
        let now = since(settings.origin_ns);
        let filter = Filter::new(&mut programs.bpf, Vips::new(settings.vips.iter().copied()))?;
        let losses = Losses::new(&mut programs.bpf, now)?;
        let flows = Flows::new(&mut programs.bpf)?;
        let mut observer = Observer {
            settings,
            programs,
            modules,
            uevents,
            ring,
            names: fields.names,
            filter,
            translations: Translations::new(TRANSLATIONS),
            namespaces: Namespaces::default(),
            trackers: Trackers::default(),
            tables: Tables::default(),
            directors: Directors::default(),
            losses,
            flows,
            poll,
            waker,
            undecodable: 0,
            netlink: None,
            heard: 0,
            heard_tables: 0,
            last_tick_ns: now,
            own: 0,
            _run_time: run_time,
        };
        let lines = observer.begin(&types, now)?;
        Ok((observer, lines))
    }

    fn begin(&mut self, types: &btf_rs::Btf, now: u64) -> Result<Vec<NodeLine>, ObserveError> {
        let mut lines = Vec::new();
        let asked: Vec<SocketAddr> = self.filter.vips.iter().collect();
        lines.extend(
            asked.into_iter().map(|address| NodeLine::Watched(Watched { at_ns: now, address, backend_of: None })),
        );
        self.look_for_modules(Some(types));
        // An unknown one makes the first scan look for owners, too.
        self.namespaces.name(&mut Netns { inode: 1, ..Netns::default() });
        let own = inode(Path::new("/proc/self/ns/net")).unwrap_or(0);
        self.own = own;
        let snapshot = self.trackers.listen(own, None, self.poll.registry());
        let tables = self.tables.listen(own, None, now);
        self.programs.status.push(of_tables(tables.err()));
        self.look_for_namespaces(now, &mut lines)?;
        match snapshot {
            Ok(snapshot) => self.take_snapshot(own, snapshot, now, &mut lines),
            Err(e) => {
                self.netlink = Some(e.to_string());
                self.programs.status.iter_mut().for_each(|s| by_netlink(s, self.netlink.as_deref()));
            }
        }
        self.look_at_directors(now, &mut lines);
        let status = self.programs.status.iter().cloned().map(NodeLine::Program);
        lines.splice(0..0, status);
        Ok(lines)
    }

    /// How each program is attached.
    pub fn status(&self) -> &[ProgramStatus] {
        &self.programs.status
    }

    /// What each program recorded and lost, as of the last tick.
    pub fn figures(&self) -> BTreeMap<&'static str, Figures> {
        let mut figures = self.losses.figures.clone();
        figures.entry(name::CONNTRACK).or_default().events += self.heard;
        figures.entry(name::CONNTRACK_TABLE).or_default().events += self.heard_tables;
        figures
    }

    /// Lets another thread end a [`Observer::wait`].
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Waits until there may be something to [`Observer::poll`], so long at most.
    pub fn wait(&mut self, at_most: Duration) -> Result<(), ObserveError> {
        let mut events = Events::with_capacity(64);
        match self.poll.poll(&mut events, Some(at_most)) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(e) => Err(ObserveError::Wait(e)),
        }
    }

    /// Takes what there is, of records so many at most. True where there may be more.
    pub fn poll(&mut self, lines: &mut Vec<NodeLine>) -> bool {
        if self.uevents.of_modules() {
            self.look_at_modules(since(self.settings.origin_ns), lines);
        }
        let more = self.take_records(lines);
        self.take_heard(lines);
        more
    }

    fn take_records(&mut self, lines: &mut Vec<NodeLine>) -> bool {
        for _ in 0..RECORDS_AT_ONCE {
            let decoded = match self.ring.next() {
                Some(record) => decode::decode(&record, &self.names),
                None => return false,
            };
            match decoded {
                Ok(decoded) => {
                    let at_ns = decoded.at_ns.saturating_sub(self.settings.origin_ns);
                    self.tell(at_ns, decoded.program, decoded.event, lines);
                }
                Err(_) => self.undecodable += 1,
            }
        }
        true
    }

    fn take_heard(&mut self, lines: &mut Vec<NodeLine>) {
        let mut heard = Vec::new();
        self.trackers.take_all(|inode, what| heard.push((inode, what)));
        let now = since(self.settings.origin_ns);
        for (inode, what) in heard {
            match what {
                Heard::Entry(mut entry) if self.concerns(&entry) => {
                    entry.netns.inode = inode;
                    self.heard += 1;
                    self.tell(now, name::CONNTRACK, NodeEvent::Conntrack(entry), lines);
                }
                Heard::Entry(_) => {}
                Heard::Undecodable(lost) => {
                    lines.push(self.gap(name::CONNTRACK, Some(lost), LossCause::Undecodable, now));
                }
                Heard::Lost => lines.push(self.gap(name::CONNTRACK, None, LossCause::SocketFull, now)),
            }
        }
    }

    /// Completes an event and tells it, after what follows from it.
    fn tell(&mut self, at_ns: u64, program: &str, mut event: NodeEvent, lines: &mut Vec<NodeLine>) {
        lines.extend(self.filter.learn(&event, at_ns).map(NodeLine::Watched));
        if let Some(netns) = netns_of(&mut event) {
            self.namespaces.name(netns);
        }
        self.translations.complete(&mut event, &self.filter.vips);
        lines.push(NodeLine::Event(Box::new(Observed { at_ns, program: program.into(), event })));
    }

    fn concerns(&self, entry: &Conntrack) -> bool {
        self.filter.service_of(entry.original.dst).is_some()
    }

    fn gap(&self, program: &str, lost: Option<u64>, cause: LossCause, now: u64) -> NodeLine {
        NodeLine::Gap(Gap { program: program.into(), cpu: None, from_ns: self.last_tick_ns, to_ns: now, lost, cause })
    }

    /// What is read now and then: counters, losses, namespaces that came.
    pub fn tick(&mut self, lines: &mut Vec<NodeLine>) -> Result<(), ObserveError> {
        let now = since(self.settings.origin_ns);
        self.look_for_namespaces(now, lines)?;
        self.look_at_modules(now, lines);
        let changed = self.flows.changed(now + self.settings.origin_ns, &self.programs.interfaces);
        for mut segments in changed {
            segments.last_ns = segments.last_ns.saturating_sub(self.settings.origin_ns);
            self.tell(now, name::SEGMENTS, NodeEvent::Segments(segments), lines);
        }
        for table in self.tables.look(now) {
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
        Ok(())
    }

    fn look_for_namespaces(&mut self, now: u64, lines: &mut Vec<NodeLine>) -> Result<(), ObserveError> {
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

    /// Takes what is left, detaches, and gives the last lines.
    pub fn stop(mut self) -> Result<Vec<NodeLine>, ObserveError> {
        let mut lines = Vec::new();
        while self.poll(&mut lines) {}
        self.tick(&mut lines)?;
        let figures = self.figures();
        let origin_ns = self.settings.origin_ns;
        drop(self);
        let programs = figures.into_iter();
        let programs =
            programs.map(|(program, f)| ProgramLoss { program: program.into(), events: f.events, lost: f.lost });
        lines.push(NodeLine::Footer(NodeFooter { ended_ns: since(origin_ns), programs: programs.collect() }));
        Ok(lines)
    }
}

/// CLOCK_MONOTONIC since the journal's start.
fn since(origin_ns: u64) -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX).saturating_sub(origin_ns)
}

fn netns_of(event: &mut NodeEvent) -> Option<&mut Netns> {
    Some(match event {
        NodeEvent::ResetSent(e) | NodeEvent::ResetReceived(e) => &mut e.netns,
        NodeEvent::TcpState(e) => &mut e.netns,
        NodeEvent::Conntrack(e) => &mut e.netns,
        NodeEvent::IpvsDecision(e) => &mut e.netns,
        NodeEvent::IpvsConn(e) => &mut e.netns,
        NodeEvent::IpvsDest(e) => &mut e.netns,
        NodeEvent::Segments(e) => &mut e.flow.netns,
        NodeEvent::Drop(e) => &mut e.netns,
        NodeEvent::ConntrackTable(e) => &mut e.netns,
        // A proxy tells of itself, in the namespace that it runs in.
        NodeEvent::ProxyDecision(_) | NodeEvent::ProxyConn(_) => return None,
    })
}

const _: () = assert!(FIRST_TOKEN > UEVENTS.0);
