//! Events that no established connection has, for attempts that failed: a run does not tell their ports, so an event
//! is matched by the service and the time, and explains one attempt. Changes when that does.

use super::times::{Crowd, Times, times};
use super::undone::Undone;
use crate::case::pod_at;
use crate::moment::signed;
use crate::nodes::Told;
use crate::run::{TCP, Untold, canonical};
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

/// See the module.
pub struct Strays<'a> {
    all: HashMap<Kind, BTreeMap<(i64, usize), Stray<'a>>>,
    /// Those of them that were not taken yet.
    left: HashMap<Kind, BTreeMap<(i64, usize), Stray<'a>>>,
    /// By the address that was tried.
    times: HashMap<SocketAddr, Times>,
    /// Clients' ends that were told of, of each crowd.
    ends: HashMap<(Kind, SocketAddr, i64), usize>,
    /// Whether all that was told of a crowd says the same; once that was asked.
    alike: HashMap<(Kind, SocketAddr, i64), bool>,
    untold: &'a Untold,
    clients: HashSet<IpAddr>,
}

impl<'a> Strays<'a> {
    pub fn new(world: &'a World<'a>, windows: impl Iterator<Item = Window>) -> Strays<'a> {
        let told = |at: &usize| &world.nodes.told[*at];
        let undone = Undone::new(world, world.joined.orphans.iter().filter_map(|at| told(at).event()));
        let clients = world.run.conns.iter().map(|c| c.local.ip()).collect();
        let mut all: HashMap<Kind, BTreeMap<(i64, usize), Stray>> = HashMap::new();
        for at in &world.joined.orphans {
            let told = told(at);
            if let Some((kind, stray)) = stray(world, told, &clients, &undone) {
                all.entry(kind).or_default().insert((told.source.at.ns, *at), stray);
            }
        }
        let times = times(windows);
        let (left, alike) = (all.clone(), HashMap::new());
        let untold = &world.run.untold;
        let mut strays = Strays { all, left, times, ends: HashMap::new(), alike, untold, clients };
        strays.ends = strays.count_ends();
        strays
    }

    /// Takes the first event of an attempt that fits. Two that say the same lead any attempt to the same finding.
    pub fn take<S: PartialEq>(
        &mut self,
        kind: Kind,
        window: Window,
        fits: impl Fn(&Told) -> bool,
        says: impl Fn(&'a Told<'a>) -> S,
    ) -> Option<Found<'a>> {
        let clients = &self.clients;
        let of_kind = self.left.get_mut(&kind)?;
        let span = (window.from, 0)..=(window.to, usize::MAX);
        let (key, stray) = of_kind.range(span).find(|(_, s)| is_ours(s, window, clients) && fits(s.told))?;
        let (key, stray) = (*key, *stray);
        of_kind.remove(&key);
        let named = window.local.is_some_and(|local| local.port() != 0 && stray.client == Some(local));
        let at = stray.told.source.at;
        let sure = named || self.is_alone(kind, window.remote, stray, says);
        Some(Found { told: stray.told, doubtful: !sure || self.untold.touches(at.earliest(), at.latest()) })
    }

    /// No other attempt can be meant: only one was under way, or each of them has an event of its own, and all of those
    /// say the same.
    fn is_alone<S: PartialEq>(
        &mut self,
        kind: Kind,
        remote: SocketAddr,
        stray: Stray<'a>,
        says: impl Fn(&'a Told<'a>) -> S,
    ) -> bool {
        let at = stray.told.source.at;
        // Without a client it may be of nobody's attempt.
        let Some(times) = self.times.get(&remote).filter(|_| stray.client.is_some()) else { return false };
        if stray.service.is_none() {
            return self.times.values().map(|times| times.under_way(at)).sum::<usize>() <= 1;
        }
        if times.under_way(at) <= 1 {
            return true;
        }
        let after = times.crowds.partition_point(|c| c.from <= at.earliest());
        let Some(crowd) = after.checked_sub(1).and_then(|nth| times.crowds.get(nth)) else { return false };
        let key = (kind, remote, crowd.from);
        let ends = self.ends.get(&key).copied().unwrap_or(0);
        if at.latest() > crowd.to || ends < crowd.attempts {
            return false;
        }
        let alike = || {
            let mut said = self.of_crowd(kind, remote, crowd).map(|s| says(s.told));
            let first = said.next();
            said.all(|s| Some(s) == first)
        };
        let alike = self.alike.get(&key).copied().unwrap_or_else(alike);
        self.alike.insert(key, alike);
        alike
    }

    /// What was told of attempts of a crowd, or may have been.
    fn of_crowd(&self, kind: Kind, remote: SocketAddr, crowd: &Crowd) -> impl Iterator<Item = &Stray<'a>> {
        let window = Window { remote, local: None, from: crowd.from, to: crowd.to };
        let within = self.all.get(&kind).map(|all| all.range((crowd.from, 0)..=(crowd.to, usize::MAX)));
        within.into_iter().flatten().map(|(_, s)| s).filter(move |s| is_ours(s, window, &self.clients))
    }

    fn count_ends(&self) -> HashMap<(Kind, SocketAddr, i64), usize> {
        let mut ends = HashMap::new();
        for kind in self.all.keys() {
            for (remote, times) in &self.times {
                for crowd in &times.crowds {
                    let ours = self.of_crowd(*kind, *remote, crowd).filter(|s| s.service.is_some());
                    let clients: HashSet<SocketAddr> = ours.filter_map(|s| s.client).collect();
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

/// What an event tells of an attempt, where it is of the run's protocol.
fn stray<'a>(
    world: &World,
    told: &'a Told<'a>,
    clients: &HashSet<IpAddr>,
    undone: &Undone,
) -> Option<(Kind, Stray<'a>)> {
    let at = told.source.at;
    let (kind, protocol, client, service) = match told.event()? {
        NodeEvent::IpvsDecision(d) if d.chosen.is_none() => {
            // Of one that a firewall mark stands for the kernel knows no protocol.
            let protocol = d.service.address.map_or(world.run.protocol, |_| d.service.protocol);
            (Kind::Nowhere, protocol, d.client, d.service.address)
        }
        NodeEvent::ResetSent(r) if !r.socket => match r.client.as_ref().or_else(|| undone.client(&r.tuple, at)) {
            Some(client) => (Kind::Refused, TCP, Some(client.src), Some(client.dst)),
            // By the pod that sent it: who it sees may be a balancer, or somebody else who tried it.
            None => {
                pod_at(world, canonical(r.tuple.src), at.ns)?;
                let seen = Some(r.tuple.dst).filter(|to| clients.contains(&canonical(*to).ip()));
                (Kind::Refused, TCP, seen, None)
            }
        },
        NodeEvent::ProxyConn(c) if c.end == Some(ProxyEnd::BackendRefused) => {
            (Kind::Refused, c.protocol, Some(c.client.src), Some(c.client.dst))
        }
        NodeEvent::Drop(d) => {
            let client = d.client.unwrap_or(d.tuple);
            (Kind::Dropped, d.protocol, Some(client.src), Some(client.dst))
        }
        _ => return None,
    };
    let stray = Stray { told, client: client.map(canonical), service: service.map(canonical) };
    (protocol == world.run.protocol).then_some((kind, stray))
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
