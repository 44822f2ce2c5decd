//! What must hold before the first attempt: names resolve, sources are ours, descriptors suffice.

use super::error::StartError;
use crate::driver::Destination;
use crate::sys::{limits, socket};
use std::collections::BTreeSet;
use std::net::{SocketAddr, ToSocketAddrs};
use tg_model::journal::RunEvent;
use tg_model::plan::{Family, Host, Plan, Resolve, Target};

#[derive(Clone, Debug)]
pub(super) struct Prepared {
    /// Where the plan's targets are.
    pub destinations: Vec<Destination>,
    /// What names gave.
    pub resolved: Vec<RunEvent>,
}

pub(super) fn prepare(plan: &Plan, other_descriptors: u64) -> Result<Prepared, StartError> {
    let mut prepared = Prepared { destinations: Vec::new(), resolved: Vec::new() };
    for (nth, target) in plan.targets.iter().enumerate() {
        let destination = match (&target.host, plan.resolve) {
            (Host::Ip(ip), _) => Destination::Address(SocketAddr::new(*ip, target.port)),
            (Host::Name(_), Resolve::Each) => Destination::Name(nth),
            (Host::Name(_), Resolve::Start) => {
                let (address, event) = resolve(target, plan.family);
                prepared.resolved.extend(event);
                Destination::Address(address.map_err(|why| StartError::Resolve { target: target.to_string(), why })?)
            }
        };
        prepared.destinations.push(destination);
    }
    check_sources(plan, &prepared.destinations)?;
    check_descriptors(plan.descriptors() + other_descriptors, plan.conns.into())?;
    Ok(prepared)
}

/// Resolves a name, which may take seconds. The address to use, or why there is none; and what to record.
pub(super) fn resolve(target: &Target, family: Family) -> (Result<SocketAddr, String>, Option<RunEvent>) {
    let name = match &target.host {
        Host::Ip(ip) => return (Ok(SocketAddr::new(*ip, target.port)), None),
        Host::Name(name) => name,
    };
    match (name.as_str(), target.port).to_socket_addrs() {
        Ok(addresses) => {
            let addresses: Vec<SocketAddr> = addresses.collect();
            let chosen = addresses.iter().copied().find(|a| family.admits(a.ip()));
            let event = RunEvent::Resolved { target: target.to_string(), addresses };
            (chosen.ok_or_else(|| "the name has no address of the family asked for".to_owned()), Some(event))
        }
        Err(e) => (Err(format!("the name does not resolve: {e}")), None),
    }
}

fn check_sources(plan: &Plan, destinations: &[Destination]) -> Result<(), StartError> {
    let mut known = BTreeSet::new();
    for (slot, source) in plan.sources.iter().take(plan.conns as usize).enumerate() {
        let address = source.0.ip();
        if let Destination::Address(to) = destinations[slot % destinations.len()]
            && to.is_ipv4() != address.is_ipv4()
        {
            return Err(StartError::SourceFamily { address, target: to.to_string() });
        }
        if known.insert(address) {
            socket::can_bind(source.0).map_err(|error| StartError::Source { address, nth: slot + 1, error })?;
        }
    }
    Ok(())
}

/// `spare`: more that are taken where they may be had, for sockets that close while others replace them.
fn check_descriptors(run: u64, spare: u64) -> Result<(), StartError> {
    let need = run + limits::open_descriptors();
    // Where the kernel will not say, the attempts will.
    let have = limits::raise_descriptors(need + spare).unwrap_or(need);
    if have < need { Err(StartError::Descriptors { need, have }) } else { Ok(()) }
}
