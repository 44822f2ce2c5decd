//! What IPVS has in a namespace: services and destinations by generic netlink, connections by
//! `/proc/net/ip_vs_conn`. Changes when how that is read does.

use super::enter;
use super::question::{self, DATAGRAM_MAX};
use crate::ipvs::{self, Datagram};
use netlink_sys::{Socket, protocols::NETLINK_GENERIC};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use tg_model::node_event::{Candidate, IpvsConn, IpvsService, Netns};

/// Of the namespace of the thread that reads it.
const CONNECTIONS: &str = "/proc/thread-self/net/ip_vs_conn";

/// What a namespace has.
#[derive(Debug, Default)]
pub struct Director {
    pub services: Vec<(IpvsService, Vec<Candidate>)>,
    pub connections: Vec<IpvsConn>,
    /// Why it is not whole.
    pub error: Option<String>,
}

/// Which namespaces were looked at.
#[derive(Debug, Default)]
pub struct Directors(HashSet<u32>);

impl Directors {
    /// A namespace was not looked at yet.
    pub fn wants(&self, inode: u32) -> bool {
        !self.0.contains(&inode)
    }

    /// A namespace is gone, and its number may be another's.
    pub fn leave(&mut self, inode: u32) {
        self.0.remove(&inode);
    }

    /// All of them are to be looked at again.
    pub fn forget(&mut self) {
        self.0.clear();
    }

    /// What a namespace has, of the services that `concerns` says yes to. `file`: `None` for the observer's own.
    pub fn look(
        &mut self,
        inode: u32,
        file: Option<&Path>,
        concerns: impl Fn(std::net::SocketAddr) -> bool + Sync,
    ) -> Director {
        self.0.insert(inode);
        let netns = Netns { inode, ..Netns::default() };
        let look = || {
            let mut found = Director::default();
            let read = services(&mut found, &concerns).and_then(|()| connections(&netns, &mut found, &concerns));
            found.error = read.err().map(|e| e.to_string());
            found
        };
        match file {
            None => look(),
            Some(file) => enter::within(file, look)
                .unwrap_or_else(|e| Director { error: Some(e.to_string()), ..Director::default() }),
        }
    }
}

type Concerns<'a> = &'a (dyn Fn(std::net::SocketAddr) -> bool + Sync);

fn services(found: &mut Director, concerns: Concerns<'_>) -> io::Result<()> {
    let socket = question::open(NETLINK_GENERIC)?;
    let mut family = None;
    ask(&socket, &ipvs::family_request(), None, |d| {
        family = family.or(d.family);
        d.family.is_some()
    })?;
    let family = family.ok_or_else(|| io::Error::other("the kernel does not name IPVS"))?;
    let mut all = Vec::new();
    ask(&socket, &ipvs::services_request(family), Some(family), |d| {
        all.extend(d.services);
        d.done
    })?;
    for service in all {
        // A mark's destinations are found by their decisions only.
        if !service.address.is_some_and(concerns) {
            continue;
        }
        let mut destinations = Vec::new();
        if let Some(request) = ipvs::destinations_request(family, &service) {
            ask(&socket, &request, Some(family), |d| {
                destinations.extend(d.destinations);
                d.done
            })?;
        }
        found.services.push((service, destinations));
    }
    Ok(())
}

/// Asks, and takes answers until `take` says that it was the last.
fn ask(socket: &Socket, request: &[u8], family: Option<u16>, mut take: impl FnMut(Datagram) -> bool) -> io::Result<()> {
    socket.send(request, 0)?;
    let mut buffer = Vec::with_capacity(DATAGRAM_MAX);
    loop {
        buffer.clear();
        socket.recv(&mut buffer, 0)?;
        let datagram = ipvs::parse(&buffer, family);
        if let Some(errno) = datagram.error {
            return Err(io::Error::from_raw_os_error(errno));
        }
        if datagram.undecodable > 0 {
            return Err(io::Error::other("an answer of the kernel that could not be understood"));
        }
        if take(datagram) || buffer.is_empty() {
            return Ok(());
        }
    }
}

fn connections(netns: &Netns, found: &mut Director, concerns: Concerns<'_>) -> io::Result<()> {
    for line in BufReader::new(File::open(CONNECTIONS)?).lines() {
        found.connections.extend(ipvs::conn(&line?, netns).filter(|c| concerns(c.service)));
    }
    Ok(())
}
