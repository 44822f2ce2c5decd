//! A service's endpoints over time. Changes when what is known of an endpoint does.

use crate::moment::Moment;
use crate::run::canonical;
use crate::source::Source;
use std::collections::HashMap;
use std::net::SocketAddr;
use tg_model::cluster_event::{Endpoint, EndpointsChange};

/// What an address was from some time on.
#[derive(Clone, Copy, Debug)]
pub struct Since<'a> {
    pub source: Source,
    /// `None`: an endpoint no longer.
    pub endpoint: Option<&'a Endpoint>,
}

impl Since<'_> {
    pub fn ready(&self) -> bool {
        self.endpoint.is_some_and(|e| e.ready)
    }
}

/// A service's endpoints from some time on.
type List<'a> = (Source, &'a EndpointsChange);

/// Every service's endpoints.
#[derive(Debug, Default)]
pub struct Endpoints<'a> {
    /// Each service's whole lists, in the order of time.
    lists: HashMap<&'a str, Vec<List<'a>>>,
    /// The services that an address was an endpoint of.
    services: HashMap<SocketAddr, Vec<&'a str>>,
    by_address: HashMap<SocketAddr, Vec<Since<'a>>>,
    by_pod: HashMap<&'a str, Vec<SocketAddr>>,
    /// What each service has now, while lists come.
    now: HashMap<&'a str, HashMap<SocketAddr, &'a Endpoint>>,
}

impl<'a> Endpoints<'a> {
    pub(super) fn take(&mut self, source: Source, change: &'a EndpointsChange) {
        self.lists.entry(&change.service).or_default().push((source, change));
        let next: HashMap<SocketAddr, &Endpoint> = change.endpoints.iter().map(|e| (canonical(e.address), e)).collect();
        let before = self.now.entry(&change.service).or_default();
        for address in before.keys().filter(|a| !next.contains_key(a)) {
            self.by_address.entry(*address).or_default().push(Since { source, endpoint: None });
        }
        for (address, endpoint) in &next {
            let services = self.services.entry(*address).or_default();
            if !services.contains(&change.service.as_str()) {
                services.push(&change.service);
            }
            if before.get(address) != Some(endpoint) {
                self.by_address.entry(*address).or_default().push(Since { source, endpoint: Some(endpoint) });
                let addresses = self.by_pod.entry(&endpoint.pod_uid).or_default();
                if !addresses.contains(address) {
                    addresses.push(*address);
                }
            }
        }
        *before = next;
    }

    /// The addresses that a pod had.
    pub fn of_pod(&self, uid: &str) -> &[SocketAddr] {
        self.by_pod.get(uid).map_or(&[], Vec::as_slice)
    }

    /// What became of an address, in the order of time.
    pub fn history(&self, address: SocketAddr) -> &[Since<'a>] {
        self.by_address.get(&address).map_or(&[], Vec::as_slice)
    }

    /// What the address was then; `None`: no list up to then speaks of it.
    pub fn at(&self, address: SocketAddr, ns: i64) -> Option<Since<'a>> {
        let history = self.history(address);
        let after = history.partition_point(|s| s.source.at.ns <= ns);
        history.get(after.checked_sub(1)?).copied()
    }

    /// UID of the pod that the address led to then: also after it was taken out, for connections outlive that.
    pub fn pod_uid(&self, address: SocketAddr, ns: i64) -> Option<&'a str> {
        let history = self.history(address);
        let after = history.partition_point(|s| s.source.at.ns <= ns);
        let (before, later) = history.split_at(after);
        let known = before.iter().rev().chain(later).find_map(|s| s.endpoint)?;
        Some(&known.pod_uid)
    }

    /// Since when, up to then, the address took no new connection; `None`: it took some, or that is not known.
    /// `surely`: also by the latest that the clocks allow.
    pub fn not_ready_since(&self, address: SocketAddr, then: Moment) -> Option<Since<'a>> {
        let history = self.history(address);
        let after = history.partition_point(|s| s.source.at.surely_by(then));
        let perhaps = history.partition_point(|s| s.source.at.perhaps_by(then));
        // It may have been ready again by then.
        if history.get(after..perhaps).is_some_and(|states| states.iter().any(Since::ready)) {
            return None;
        }
        let mut since = None;
        for state in history[..after].iter().rev() {
            if state.ready() {
                return since;
            }
            since = Some(*state);
        }
        // Never ready as far as was seen: that is before its time, not after it.
        None
    }

    /// Whether the address may have been one that takes no new connection, as far as the clocks tell.
    pub fn perhaps_not_ready(&self, address: SocketAddr, then: Moment) -> bool {
        let history = self.history(address);
        let sure = history.partition_point(|s| s.source.at.surely_by(then));
        let perhaps = history.partition_point(|s| s.source.at.perhaps_by(then));
        // Before its first list it was not yet there: no list speaks of a time when it was not ready.
        let from = sure.saturating_sub(1);
        let began = history[..perhaps.max(from)].iter().position(Since::ready).unwrap_or(perhaps);
        history.get(from.max(began)..perhaps).is_some_and(|states| states.iter().any(|s| !s.ready()))
    }

    /// The whole list of the address's service then; where there is one service, of that.
    pub fn list_at(&self, address: SocketAddr, ns: i64) -> Option<List<'a>> {
        let lists = self.of_address(address).filter_map(|lists| {
            let after = lists.partition_point(|(s, _)| s.at.ns <= ns);
            lists.get(after.checked_sub(1)?).copied()
        });
        lists.max_by_key(|(s, _)| (s.at.ns, s.line))
    }

    fn of_address(&self, address: SocketAddr) -> impl Iterator<Item = &[List<'a>]> {
        let named = self.services.get(&address).map_or(&[][..], Vec::as_slice);
        let only = self.lists.values().filter(move |_| named.is_empty() && self.lists.len() == 1);
        named.iter().filter_map(|name| self.lists.get(name)).chain(only).map(Vec::as_slice)
    }

    /// The lists of a service that may have been in force at a time; empty where none surely was.
    pub fn in_force(&self, service: &str, at: Moment) -> &[List<'a>] {
        self.lists.get(service).map_or(&[], |lists| in_force(lists, at))
    }

    /// Whether a service that the address was of had an endpoint at a time that took new connections; `None`: that is
    /// not sure.
    pub fn some_takes(&self, address: SocketAddr, at: Moment, takes: impl Fn(&Endpoint) -> bool) -> Option<bool> {
        let lists = self.of_address(address).flat_map(|lists| in_force(lists, at));
        let mut had = lists.map(|(_, list)| list.endpoints.iter().any(&takes));
        let first = had.next()?;
        had.all(|h| h == first).then_some(first)
    }

    /// An address of any list.
    pub fn any(&self) -> Option<SocketAddr> {
        self.services.keys().min().copied()
    }
}

fn in_force<'l, 'a>(lists: &'l [List<'a>], at: Moment) -> &'l [List<'a>] {
    let sure = lists.partition_point(|(s, _)| s.at.surely_by(at));
    let perhaps = lists.partition_point(|(s, _)| s.at.perhaps_by(at));
    sure.checked_sub(1).and_then(|from| lists.get(from..perhaps.max(sure))).unwrap_or(&[])
}

/// Whether new connections can be led somewhere.
pub fn has_ready(list: &EndpointsChange) -> bool {
    list.endpoints.iter().any(|e| e.ready)
}
