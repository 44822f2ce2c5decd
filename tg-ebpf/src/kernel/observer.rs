//! The observer. Changes when the order in which things are read does.

use super::directors::Directors;
use super::error::ObserveError;
use super::filter::Filter;
use super::flows::Flows;
use super::losses::{Figures, Losses};
use super::modules::Modules;
use super::namespaces::Namespaces;
use super::programs::Programs;
use super::tables::Tables;
use super::trackers::{FIRST_TOKEN, Trackers};
use super::uevents::Uevents;
use crate::decode::KernelNames;
use crate::name;
use crate::nat::Translations;
use crate::place::Interface;
use crate::refused::Refused;
use aya::maps::{MapData, RingBuf};
use mio::{Events, Poll, Token, Waker};
use nix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tg_model::node_event::{NodeFooter, NodeLine, ProgramLoss, ProgramStatus};

mod counters;
mod directors;
mod events;
mod modules;
mod namespaces;
mod start;
mod status;

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
    /// Namespaces whose conntrack could not be asked.
    refused: Refused,
    directors: Directors,
    losses: Losses,
    flows: Flows,
    poll: Poll,
    waker: Arc<Waker>,
    undecodable: u64,
    /// Why conntrack cannot be listened to in the observer's own namespace.
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

    /// Takes what there is, so much at most. True where there may be more.
    pub fn poll(&mut self, lines: &mut Vec<NodeLine>) -> bool {
        if self.uevents.of_modules() {
            self.look_at_modules(since(self.settings.origin_ns), lines);
        }
        self.take(lines)
    }

    fn take(&mut self, lines: &mut Vec<NodeLine>) -> bool {
        let more = self.take_records(lines);
        self.take_heard(lines) || more
    }

    /// What is read now and then: counters, losses, namespaces that came.
    pub fn tick(&mut self, lines: &mut Vec<NodeLine>) -> Result<(), ObserveError> {
        let now = since(self.settings.origin_ns);
        self.look_for_namespaces(now, lines)?;
        lines.extend(self.look_at_refusals().into_iter().map(NodeLine::Program));
        self.look_at_modules(now, lines);
        self.read_counters(now, lines);
        Ok(())
    }

    /// Detaches, and gives the last lines. How long that takes is bounded by what can be left in buffers.
    pub fn stop(mut self) -> Vec<NodeLine> {
        // Before the rest: what goes on coming would have no end.
        self.programs.detach();
        self.modules.detach();
        self.trackers.mute();
        let mut lines = Vec::new();
        while self.take(&mut lines) {}
        let now = since(self.settings.origin_ns);
        self.scan_namespaces(now, &mut lines);
        self.read_counters(now, &mut lines);
        let figures = self.figures();
        let origin_ns = self.settings.origin_ns;
        drop(self);
        let programs = figures.into_iter();
        let programs =
            programs.map(|(program, f)| ProgramLoss { program: program.into(), events: f.events, lost: f.lost });
        lines.push(NodeLine::Footer(NodeFooter { ended_ns: since(origin_ns), programs: programs.collect() }));
        lines
    }
}

/// CLOCK_MONOTONIC since the journal's start.
fn since(origin_ns: u64) -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX).saturating_sub(origin_ns)
}

const _: () = assert!(FIRST_TOKEN > UEVENTS.0);
