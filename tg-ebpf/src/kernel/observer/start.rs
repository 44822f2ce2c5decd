//! How the observer begins: what is loaded and listened to before what, and its first lines. Changes when that order
//! does.

use super::{Observer, RING, Settings, UEVENTS, WAKE, since};
use crate::kernel::directors::Directors;
use crate::kernel::error::ObserveError;
use crate::kernel::fields::{Fields, kernel_types};
use crate::kernel::filter::Filter;
use crate::kernel::flows::Flows;
use crate::kernel::losses::Losses;
use crate::kernel::maps;
use crate::kernel::modules::Modules;
use crate::kernel::namespaces::{Namespaces, inode};
use crate::kernel::programs::{self, Programs, chain};
use crate::kernel::tables::Tables;
use crate::kernel::trackers::Trackers;
use crate::kernel::uevents::Uevents;
use crate::nat::{Translations, Vips};
use crate::refused::Refused;
use aya::maps::{MapData, RingBuf};
use mio::unix::SourceFd;
use mio::{Interest, Poll, Waker};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use tg_model::node_event::{Netns, NodeLine, Watched};

/// Translations that are kept: a node's conntrack table is rarely larger.
const TRANSLATIONS: usize = 1 << 18;

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
            refused: Refused::default(),
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
        self.own = inode(Path::new("/proc/self/ns/net")).unwrap_or(0);
        self.look_for_namespaces(now, &mut lines)?;
        self.look_at_refusals();
        self.look_at_directors(now, &mut lines);
        let status = self.programs.status.iter().cloned().map(NodeLine::Program);
        lines.splice(0..0, status);
        Ok(lines)
    }
}
