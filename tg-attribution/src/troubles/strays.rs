//! Events that no established connection has, for attempts that failed: a run does not tell their ports, so an event
//! is matched by the service and the time, and explains one attempt. Changes when that does.

use crate::case::pod_at;
use crate::moment::{Moment, signed};
use crate::nodes::Told;
use crate::run::canonical;
use crate::world::World;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use tg_model::node_event::{NodeEvent, ProxyEnd};

/// What an event tells of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A balancer had nowhere to lead it to.
    Nowhere,
    /// It was refused where it was led to.
    Refused,
    /// A packet of it was dropped.
    Dropped,
}

/// An event of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Stray<'a> {
    pub told: &'a Told<'a>,
    /// The client's end, where it is told.
    pub client: Option<SocketAddr>,
    /// Which service it was to; `None`: any.
    service: Option<SocketAddr>,
}

/// An attempt, as far as its events are concerned.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub remote: SocketAddr,
    /// Its own end, where the plan gave it one; port 0: the kernel's choice.
    pub local: Option<SocketAddr>,
    pub from: i64,
    pub to: i64,
}

/// An event that was found for an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    pub told: &'a Told<'a>,
    /// Another attempt may be the one that it is of.
    pub doubtful: bool,
}

/// When there were attempts to one address, each in order.
struct Times {
    begins: Vec<i64>,
    ends: Vec<i64>,
    crowds: Vec<Crowd>,
}

/// Attempts that overlap.
struct Crowd {
    from: i64,
    to: i64,
    attempts: usize,
}

/// See the module.
pub struct Strays<'a> {
    by_kind: HashMap<Kind, BTreeMap<(i64, usize), Stray<'a>>>,
    /// By the address that was tried.
    times: HashMap<SocketAddr, Times>,
    /// Clients' ends that were told of, of each crowd.
    ends: HashMap<(Kind, SocketAddr, i64), usize>,
    clients: HashSet<IpAddr>,
}

impl<'a> Strays<'a> {
    pub fn new(world: &'a World<'a>, windows: impl Iterator<Item = Window>) -> Strays<'a> {
        let mut by_kind: HashMap<Kind, BTreeMap<(i64, usize), Stray>> = HashMap::new();
        for at in &world.joined.orphans {
            let told = &world.nodes.told[*at];
            if let Some((kind, stray)) = stray(world, told) {
                by_kind.entry(kind).or_default().insert((told.source.at.ns, *at), stray);
            }
        }
        let clients = world.run.conns.iter().map(|c| c.local.ip()).collect();
        let times = times(windows);
        let mut strays = Strays { by_kind, times, ends: HashMap::new(), clients };
        strays.ends = strays.count_ends();
        strays
    }

    /// Takes the first event of an attempt that fits.
    pub fn take(&mut self, kind: Kind, window: Window, fits: impl Fn(&Told) -> bool) -> Option<Found<'a>> {
        let clients = &self.clients;
        let of_kind = self.by_kind.get_mut(&kind)?;
        let span = (window.from, 0)..=(window.to, usize::MAX);
        let (key, stray) = of_kind.range(span).find(|(_, s)| is_ours(s, window, clients) && fits(s.told))?;
        let (key, stray) = (*key, *stray);
        of_kind.remove(&key);
        let named = window.local.is_some_and(|local| local.port() != 0 && stray.client == Some(local));
        let at = stray.told.source.at;
        Some(Found { told: stray.told, doubtful: !named && !self.is_alone(kind, window.remote, at) })
    }

    /// No other attempt can be meant: only one was under way, or each of them has an event of its own.
    fn is_alone(&self, kind: Kind, remote: SocketAddr, at: Moment) -> bool {
        let Some(times) = self.times.get(&remote) else { return false };
        if times.under_way(at) <= 1 {
            return true;
        }
        let after = times.crowds.partition_point(|c| c.from <= at.earliest());
        let Some(crowd) = after.checked_sub(1).and_then(|nth| times.crowds.get(nth)) else { return false };
        let ends = self.ends.get(&(kind, remote, crowd.from)).copied().unwrap_or(0);
        at.latest() <= crowd.to && ends >= crowd.attempts
    }

    fn count_ends(&self) -> HashMap<(Kind, SocketAddr, i64), usize> {
        let mut ends = HashMap::new();
        for (kind, strays) in &self.by_kind {
            for (remote, times) in &self.times {
                for crowd in &times.crowds {
                    let window = Window { remote: *remote, local: None, from: crowd.from, to: crowd.to };
                    let within = strays.range((crowd.from, 0)..=(crowd.to, usize::MAX));
                    let ours = within.filter(|(_, s)| is_ours(s, window, &self.clients));
                    let clients: HashSet<SocketAddr> = ours.filter_map(|(_, s)| s.client).collect();
                    ends.insert((*kind, *remote, crowd.from), clients.len());
                }
            }
        }
        ends
    }
}

/// Whether an event may be of an attempt, by what both tell of their ends.
fn is_ours(stray: &Stray, window: Window, clients: &HashSet<IpAddr>) -> bool {
    let to = stray.service.is_none_or(|s| s == window.remote);
    let from = match (stray.client, window.local) {
        (None, _) => true,
        (Some(client), Some(local)) if local.port() != 0 => client == local,
        (Some(client), Some(local)) => client.ip() == local.ip(),
        (Some(client), None) => clients.is_empty() || clients.contains(&client.ip()),
    };
    to && from
}

fn stray<'a>(world: &World, told: &'a Told<'a>) -> Option<(Kind, Stray<'a>)> {
    let (kind, client, service) = match told.event()? {
        NodeEvent::IpvsDecision(d) if d.chosen.is_none() => (Kind::Nowhere, d.client, d.service.address),
        NodeEvent::ResetSent(r) if !r.socket => match r.client {
            Some(client) => (Kind::Refused, Some(client.src), Some(client.dst)),
            // By the pod that sent it: who it sees may be a balancer.
            None => {
                pod_at(world, canonical(r.tuple.src), told.source.at.ns)?;
                (Kind::Refused, None, None)
            }
        },
        NodeEvent::ProxyConn(c) if c.end == Some(ProxyEnd::BackendRefused) => {
            (Kind::Refused, Some(c.client.src), Some(c.client.dst))
        }
        NodeEvent::Drop(d) => {
            let client = d.client.unwrap_or(d.tuple);
            (Kind::Dropped, Some(client.src), Some(client.dst))
        }
        _ => return None,
    };
    Some((kind, Stray { told, client: client.map(canonical), service: service.map(canonical) }))
}

fn times(windows: impl Iterator<Item = Window>) -> HashMap<SocketAddr, Times> {
    let mut spans: HashMap<SocketAddr, Vec<(i64, i64)>> = HashMap::new();
    for window in windows {
        spans.entry(window.remote).or_default().push((window.from, window.to));
    }
    spans.into_iter().map(|(remote, spans)| (remote, Times::new(spans))).collect()
}

impl Times {
    fn new(mut spans: Vec<(i64, i64)>) -> Times {
        spans.sort_unstable();
        let mut ends: Vec<i64> = spans.iter().map(|(_, to)| *to).collect();
        ends.sort_unstable();
        let mut crowds: Vec<Crowd> = Vec::new();
        for (from, to) in &spans {
            match crowds.last_mut() {
                Some(crowd) if *from <= crowd.to => {
                    crowd.to = crowd.to.max(*to);
                    crowd.attempts += 1;
                }
                _ => crowds.push(Crowd { from: *from, to: *to, attempts: 1 }),
            }
        }
        Times { begins: spans.into_iter().map(|(from, _)| from).collect(), ends, crowds }
    }

    /// How many may have been under way then.
    fn under_way(&self, at: Moment) -> usize {
        let begun = self.begins.partition_point(|from| *from <= at.latest());
        begun.saturating_sub(self.ends.partition_point(|to| *to < at.earliest()))
    }
}

impl Window {
    /// Of an attempt that knew where to. `local`: what the plan gave its slot.
    pub fn new(attempt: &tg_model::journal::AttemptFailed, local: Option<SocketAddr>) -> Option<Window> {
        let remote = attempt.remote.map(canonical)?;
        let from = signed(attempt.started_ns);
        // Of a damaged journal an end may be before its begin.
        Some(Window { remote, local, from, to: signed(attempt.ended_ns).max(from) })
    }
}
