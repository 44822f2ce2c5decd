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

/// Every service's endpoints.
#[derive(Debug, Default)]
pub struct Endpoints<'a> {
    /// The whole lists, in the order of time.
    pub lists: Vec<(Source, &'a EndpointsChange)>,
    by_address: HashMap<SocketAddr, Vec<Since<'a>>>,
    by_pod: HashMap<&'a str, Vec<SocketAddr>>,
    /// What each service has now, while lists come.
    now: HashMap<&'a str, HashMap<SocketAddr, &'a Endpoint>>,
}

impl<'a> Endpoints<'a> {
    pub(super) fn take(&mut self, source: Source, change: &'a EndpointsChange) {
        self.lists.push((source, change));
        let next: HashMap<SocketAddr, &Endpoint> = change.endpoints.iter().map(|e| (canonical(e.address), e)).collect();
        let before = self.now.entry(&change.service).or_default();
        for address in before.keys().filter(|a| !next.contains_key(a)) {
            self.by_address.entry(*address).or_default().push(Since { source, endpoint: None });
        }
        for (address, endpoint) in &next {
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

    /// The service's whole list then. `of`: one of its endpoints.
    pub fn list_at(&self, of: SocketAddr, ns: i64) -> Option<(Source, &'a EndpointsChange)> {
        let after = self.lists.partition_point(|(s, _)| s.at.ns <= ns);
        let has = |change: &EndpointsChange| change.endpoints.iter().any(|e| canonical(e.address) == of);
        let before = self.lists[..after].iter().rev();
        // Where there is one service, the list before is its own, with or without the address.
        match self.now.len() {
            0 => None,
            1 => before.map(|(s, c)| (*s, *c)).next(),
            _ => before.map(|(s, c)| (*s, *c)).find(|(_, c)| has(c)),
        }
    }

    /// Whether there is anything to know.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }
}
