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

#[cfg(test)]
mod tests {
    use super::super::{KernelNames, decode, endpoint};
    use super::*;
    use tg_ebpf_common::{Connection, Decision, Destination, DestinationChange, SCHEDULER_NAME, Service};
    use tg_model::node_event::NodeEvent;
    use zerocopy::IntoBytes;

    fn head(kind: u16, flags: u16) -> Head {
        Head { at_ns: 5, netns_cookie: 7, netns_inode: 4026532000, kind, flags }
    }

    fn octets(address: &str) -> [u8; 16] {
        endpoint(address.parse().unwrap()).address
    }

    fn service(fwmark: u32) -> Service {
        let mut scheduler = [0; SCHEDULER_NAME];
        scheduler[..2].copy_from_slice(b"lc");
        let address = if fwmark == 0 { octets("192.0.2.1:80") } else { [0; 16] };
        Service { address, scheduler, fwmark, port: 80, protocol: 6, pad: 0 }
    }

    fn destination(address: &str, weight: i32) -> Destination {
        Destination { address: octets(address), weight, active: 2, inactive: 3, port: 8080, pad: 0 }
    }

    fn event(record: &[u8]) -> NodeEvent {
        decode(record, &KernelNames::default()).unwrap().event
    }

    fn decision(flags: u16, count: u32) -> Vec<u8> {
        let decision = Decision {
            head: head(kind::IPVS_DECISION, flags),
            service: service(0),
            client: octets("198.51.100.1:1"),
            chosen: octets("10.0.0.2:1"),
            client_port: 4711,
            chosen_port: 8080,
            total: 70,
            count,
            pad: 0,
        };
        let all = [destination("10.0.0.2:1", 1), destination("[2001:db8::2]:1", 0)];
        [decision.as_bytes(), all.as_bytes()].concat()
    }

    #[test]
    fn a_decision_with_its_candidates() {
        let NodeEvent::IpvsDecision(d) = event(&decision(HAS_CLIENT | HAS_CHOSEN, 2)) else { panic!() };
        assert_eq!((d.service.scheduler.as_str(), d.candidates_total), ("lc", 70));
        assert_eq!(d.client, Some("198.51.100.1:4711".parse().unwrap()));
        assert_eq!(d.chosen, Some("10.0.0.2:8080".parse().unwrap()));
        let candidate =
            |address: &str, weight| Candidate { address: address.parse().unwrap(), weight, active: 2, inactive: 3 };
        assert_eq!(d.candidates, [candidate("10.0.0.2:8080", 1), candidate("[2001:db8::2]:8080", 0)]);
        let NodeEvent::IpvsDecision(d) = event(&decision(0, 2)) else { panic!() };
        assert_eq!((d.client, d.chosen), (None, None));
    }

    #[test]
    fn a_decision_that_is_cut_is_refused() {
        let names = KernelNames::default();
        for count in [0, 1, 3, u32::MAX] {
            assert!(decode(&decision(0, count), &names).is_err(), "{count}");
        }
        let whole = decision(0, 2);
        assert!(decode(&whole[..whole.len() - 1], &names).is_err());
    }

    #[test]
    fn a_connection_and_a_mark_s_destination() {
        let connection = Connection {
            head: head(kind::IPVS_CONN_EXPIRED, 0),
            service: octets("192.0.2.1:1"),
            client: octets("198.51.100.1:1"),
            destination: octets("10.0.0.2:1"),
            service_port: 80,
            client_port: 4711,
            destination_port: 8080,
            protocol: 17,
            pad: 0,
        };
        let NodeEvent::IpvsConn(c) = event(connection.as_bytes()) else { panic!() };
        assert_eq!((c.phase, c.protocol), (IpvsConnPhase::Expired, 17));
        let ends = [c.client, c.service, c.destination].map(|a| a.to_string());
        assert_eq!(ends, ["198.51.100.1:4711", "192.0.2.1:80", "10.0.0.2:8080"]);
        for (kind, change) in [
            (kind::IPVS_DEST_ADDED, IpvsDestChange::Added),
            (kind::IPVS_DEST_EDITED, IpvsDestChange::Edited),
            (kind::IPVS_DEST_DELETED, IpvsDestChange::Deleted),
        ] {
            let (service, destination) = (service(9), destination("10.0.0.2:1", -1));
            let record = DestinationChange { head: head(kind, 0), service, destination };
            let NodeEvent::IpvsDest(d) = event(record.as_bytes()) else { panic!() };
            assert_eq!((d.change, d.service.address, d.service.fwmark), (change, None, 9));
            assert_eq!(d.destination.weight, -1);
        }
    }
}
