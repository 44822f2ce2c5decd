//! The programs' filter, changed while they run. Changes when what is filtered by does.

use super::error::ObserveError;
use super::maps;
use crate::decode::endpoint;
use crate::nat::Vips;
use aya::Ebpf;
use aya::maps::{Array, HashMap as KernelMap, MapData};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use tg_ebpf_common::{ASKED_FOR, BACKEND};
use tg_model::node_event::{Conntrack, NodeEvent, Watched};
use zerocopy::IntoBytes;

/// What the programs record.
pub struct Filter {
    pub vips: Vips,
    watched: KernelMap<MapData, [u8; 20], u32>,
    namespaces: KernelMap<MapData, u32, u32>,
    asked: Array<MapData, u32>,
    /// Backends, with their service.
    backends: HashMap<SocketAddr, SocketAddr>,
    inodes: HashSet<u32>,
    /// Backends for which the table had no room.
    pub refused: u64,
}

impl Filter {
    /// Watches these services.
    pub fn new(bpf: &mut Ebpf, vips: Vips) -> Result<Filter, ObserveError> {
        let mut filter = Filter {
            watched: maps::take(bpf, "WATCHED")?,
            namespaces: maps::take(bpf, "NAMESPACES")?,
            asked: maps::take(bpf, "NAMESPACES_ASKED")?,
            vips,
            backends: HashMap::new(),
            inodes: HashSet::new(),
            refused: 0,
        };
        for vip in filter.vips.clone().iter() {
            let inserted = filter.watched.insert(key(vip), ASKED_FOR, 0);
            inserted.map_err(|e| ObserveError::Map { name: "WATCHED", error: e.to_string() })?;
        }
        Ok(filter)
    }

    /// Takes in the backend that an event tells of, where it is a watched service's and new.
    pub fn learn(&mut self, event: &NodeEvent, at_ns: u64) -> Option<Watched> {
        match event {
            NodeEvent::Conntrack(entry) => self.learn_entry(entry, at_ns),
            NodeEvent::IpvsDecision(d) => self.learn_backend(d.service.address?, d.chosen?, at_ns),
            NodeEvent::IpvsConn(c) => self.learn_backend(c.service, c.destination, at_ns),
            NodeEvent::IpvsDest(d) => self.learn_backend(d.service.address?, d.destination.address, at_ns),
            _ => None,
        }
    }

    /// As [`Filter::learn`], from a conntrack entry.
    pub fn learn_entry(&mut self, entry: &Conntrack, at_ns: u64) -> Option<Watched> {
        self.learn_backend(entry.original.dst, entry.reply.src, at_ns)
    }

    /// As [`Filter::learn`]: an address behind another.
    pub fn learn_backend(&mut self, of: SocketAddr, backend: SocketAddr, at_ns: u64) -> Option<Watched> {
        let service = self.service_of(of)?;
        if backend == of || self.backends.contains_key(&backend) {
            return None;
        }
        if self.watched.insert(key(backend), BACKEND, 0).is_err() {
            self.refused += 1;
            return None;
        }
        self.backends.insert(backend, service);
        Some(Watched { at_ns, address: backend, backend_of: Some(service) })
    }

    /// The service that an address is of: its own, or that of which it is a backend.
    pub fn service_of(&self, address: SocketAddr) -> Option<SocketAddr> {
        self.vips.covering(address).or_else(|| self.backends.get(&address).copied())
    }

    /// Records only what happens in these namespaces; all of them where `asked` is false.
    pub fn set_namespaces(&mut self, asked: bool, inodes: HashSet<u32>) -> Result<(), ObserveError> {
        let wrong = |e: aya::maps::MapError| ObserveError::Map { name: "NAMESPACES", error: e.to_string() };
        for inode in inodes.difference(&self.inodes) {
            self.namespaces.insert(inode, 1, 0).map_err(wrong)?;
        }
        for inode in self.inodes.difference(&inodes) {
            self.namespaces.remove(inode).map_err(wrong)?;
        }
        self.inodes = inodes;
        self.asked.set(0, u32::from(asked), 0).map_err(wrong)
    }
}

fn key(address: SocketAddr) -> [u8; 20] {
    let mut key = [0; 20];
    key.copy_from_slice(endpoint(address).as_bytes());
    key
}
