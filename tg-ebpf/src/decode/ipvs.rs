//! Records of IPVS to events. Changes when one of these records does.

use super::{DecodeError, address, netns};
use tg_ebpf_common::{self as common, HAS_CHOSEN, HAS_CLIENT, Head, kind};
use tg_model::node_event::{Candidate, IpvsConn, IpvsConnPhase, IpvsDecision, IpvsDest, IpvsDestChange, IpvsService};
use zerocopy::FromBytes;

/// A decision, and its candidates after it.
pub fn decision(head: &Head, record: &[u8]) -> Result<IpvsDecision, DecodeError> {
    let wrong = || DecodeError::Size { kind: head.kind, size: record.len() };
    let (d, rest) = common::Decision::read_from_prefix(record).map_err(|_| wrong())?;
    let count = usize::try_from(d.count).map_err(|_| wrong())?;
    if rest.len() % size_of::<common::Destination>() != 0 || rest.len() / size_of::<common::Destination>() != count {
        return Err(wrong());
    }
    let candidates = rest.chunks_exact(size_of::<common::Destination>());
    let candidates = candidates.filter_map(|c| common::Destination::read_from_bytes(c).ok());
    Ok(IpvsDecision {
        netns: netns(head),
        service: service(&d.service),
        client: (head.flags & HAS_CLIENT != 0).then(|| address(d.client, d.client_port)),
        chosen: (head.flags & HAS_CHOSEN != 0).then(|| address(d.chosen, d.chosen_port)),
        candidates: candidates.map(|c| candidate(&c)).collect(),
        candidates_total: d.total,
    })
}

/// A connection that was made or expired.
pub fn conn(c: &common::Connection) -> IpvsConn {
    let made = c.head.kind == kind::IPVS_CONN_MADE;
    IpvsConn {
        phase: if made { IpvsConnPhase::Made } else { IpvsConnPhase::Expired },
        netns: netns(&c.head),
        protocol: c.protocol,
        client: address(c.client, c.client_port),
        service: address(c.service, c.service_port),
        destination: address(c.destination, c.destination_port),
    }
}

/// A change of a destination.
pub fn dest(d: &common::DestinationChange) -> IpvsDest {
    let change = match d.head.kind {
        kind::IPVS_DEST_ADDED => IpvsDestChange::Added,
        kind::IPVS_DEST_EDITED => IpvsDestChange::Edited,
        _ => IpvsDestChange::Deleted,
    };
    let (service, destination) = (service(&d.service), candidate(&d.destination));
    IpvsDest { change, netns: netns(&d.head), service, destination }
}

fn service(s: &common::Service) -> IpvsService {
    let name = s.scheduler.split(|b| *b == 0).next().unwrap_or_default();
    IpvsService {
        protocol: s.protocol,
        address: (s.fwmark == 0).then(|| address(s.address, s.port)),
        fwmark: s.fwmark,
        scheduler: String::from_utf8_lossy(name).into_owned(),
    }
}

fn candidate(d: &common::Destination) -> Candidate {
    Candidate { address: address(d.address, d.port), weight: d.weight, active: d.active, inactive: d.inactive }
}
