//! The JSON Schemas of an observer's lines, in `tg-model/schema` beside those of a run's: see `src/schema.rs`.

use super::*;
use crate::schema::{assert_valid_by_their_kind, assert_written, line_schema};
use schemars::{Schema, schema_for};
use serde_json::{Value, json};

type Kind = (&'static str, fn() -> Schema);

const KINDS: [Kind; 8] = [
    ("node-header", || schema_for!(NodeHeader)),
    ("node-program", || schema_for!(ProgramStatus)),
    ("node-namespace", || schema_for!(Namespace)),
    ("node-watched", || schema_for!(Watched)),
    ("node-snapshot", || schema_for!(SnapshotTaken)),
    ("node-event", || schema_for!(Observed)),
    ("node-gap", || schema_for!(Gap)),
    ("node-footer", || schema_for!(NodeFooter)),
];

fn schemas() -> Vec<(&'static str, Value)> {
    let numbered = |kind: &str, schema| {
        let mut schema = line_schema(kind, schema);
        schema["properties"]["seq"] = json!({
            "description": "Counts the journal's lines from 0 on.", "type": "integer", "format": "uint64", "minimum": 0
        });
        schema["required"].as_array_mut().unwrap().insert(1, json!("seq"));
        schema
    };
    KINDS.iter().map(|(kind, schema)| (*kind, numbered(kind, schema()))).collect()
}

fn ipvs_service() -> IpvsService {
    let address = Some("192.0.2.1:80".parse().unwrap());
    IpvsService { protocol: 6, address, fwmark: 0, scheduler: "lc".into() }
}

fn events() -> Vec<NodeEvent> {
    let tuple = Tuple { src: "10.0.0.2:80".parse().unwrap(), dst: "[2001:db8::1]:4711".parse().unwrap() };
    let netns = Netns { inode: 4026532000, cookie: 7, name: Some("pod-1".into()) };
    let client = Some(tuple.reversed());
    let reset = Reset { tuple, netns: netns.clone(), reason: Some("NO_SOCKET".into()), socket: true, client };
    let bare = Reset { netns: Netns::default(), reason: None, client: None, socket: false, ..reset.clone() };
    let state = StateChange { tuple, netns: netns.clone(), from: TcpState::Established, to: TcpState::Close, client };
    let candidate = Candidate { address: tuple.src, weight: 1, active: 10, inactive: 0 };
    let candidate_of_proxy = candidate.clone();
    let service = ipvs_service();
    vec![
        NodeEvent::ResetSent(reset),
        NodeEvent::ResetReceived(bare),
        NodeEvent::TcpState(state),
        NodeEvent::Conntrack(conntrack(Some(ConntrackTcpState::Established))),
        NodeEvent::IpvsDecision(IpvsDecision {
            netns: netns.clone(),
            service: service.clone(),
            client: Some(tuple.dst),
            chosen: Some(tuple.src),
            candidates: vec![candidate.clone()],
            candidates_total: 1,
        }),
        NodeEvent::IpvsConn(ipvs_conn()),
        NodeEvent::IpvsDest(IpvsDest {
            change: IpvsDestChange::Edited,
            netns: netns.clone(),
            service,
            destination: candidate,
        }),
        NodeEvent::ProxyDecision(ProxyDecision {
            protocol: 6,
            service: tuple.dst,
            scheduler: "rr".into(),
            client: tuple.src,
            chosen: None,
            candidates: vec![candidate_of_proxy],
            candidates_total: 1,
        }),
        NodeEvent::ProxyConn(ProxyConn {
            phase: ProxyConnPhase::Ended,
            protocol: 6,
            client: tuple,
            backend: tuple,
            end: Some(ProxyEnd::BackendReset),
        }),
        NodeEvent::Segments(Segments {
            flow: Flow { tuple, direction: Direction::In, interface: "eth0".into(), netns: netns.clone() },
            syn: 1,
            fin: 0,
            rst: 1,
            ttl: 64,
            last_ns: 9,
            client,
        }),
        NodeEvent::Drop(Drop { tuple, protocol: 6, netns: netns.clone(), reason: "NETFILTER_DROP".into(), client }),
        NodeEvent::ConntrackTable(ConntrackTable {
            netns,
            since_ns: 1,
            entries: 250,
            max: 256,
            dropped: 3,
            insert_failed: 1,
            early_dropped: 2,
        }),
    ]
}

fn conntrack(tcp_state: Option<ConntrackTcpState>) -> Conntrack {
    let original = Tuple { src: "198.51.100.1:4711".parse().unwrap(), dst: "192.0.2.1:80".parse().unwrap() };
    let reply = Tuple { src: "10.0.0.2:80".parse().unwrap(), dst: original.src };
    let status = ConntrackStatus(1 << 5);
    Conntrack { phase: ConntrackPhase::Seen, netns: Netns::default(), protocol: 6, original, reply, status, tcp_state }
}

fn ipvs_conn() -> IpvsConn {
    let address = "10.0.0.2:80".parse().unwrap();
    IpvsConn {
        phase: IpvsConnPhase::Expired,
        netns: Netns::default(),
        protocol: 6,
        client: address,
        service: address,
        destination: address,
    }
}

fn snapshot() -> Vec<SnapshotEntry> {
    let (netns, service) = (Netns::default(), ipvs_service());
    let destination = Candidate { address: "10.0.0.2:80".parse().unwrap(), weight: 0, active: 1, inactive: 2 };
    vec![
        SnapshotEntry::Conntrack(conntrack(None)),
        SnapshotEntry::IpvsService { netns: netns.clone(), service: service.clone() },
        SnapshotEntry::IpvsDest { netns: netns.clone(), service, destination },
        SnapshotEntry::IpvsConn(ipvs_conn()),
        SnapshotEntry::IpvsEnd { netns: netns.clone(), services: 1, destinations: 2, connections: 3, error: None },
        SnapshotEntry::ConntrackEnd { netns: netns.clone(), entries: 1, error: None },
        SnapshotEntry::ConntrackEnd { netns, entries: 0, error: Some("EPERM".into()) },
    ]
}

/// A journal with every kind of line, every event and every optional part in it.
pub(super) fn every_kind() -> Vec<Numbered> {
    let vip = "192.0.2.1:80".parse().unwrap();
    let mut lines = vec![
        NodeLine::Header(Box::new(NodeHeader {
            tg_version: "0".into(),
            command: vec!["tg-cli".into()],
            machine: "node-1".into(),
            kernel: "6.18".into(),
            boot_id: "b".into(),
            monotonic_ns: 1,
            realtime_ns: 2,
            vips: vec![vip],
            namespaces: vec!["node".into()],
        })),
        NodeLine::Program(ProgramStatus {
            program: "conntrack".into(),
            way: Some("nfnetlink".into()),
            refused: vec!["kprobe: this kernel has none".into()],
            cost: Some("times are late".into()),
            times: TimeSource::Reader,
        }),
        NodeLine::Namespace(Namespace {
            at_ns: 1,
            netns: Netns { inode: 1, cookie: 2, name: Some("pod-1".into()) },
            pod_uid: Some("u".into()),
            container: Some("c".into()),
            gone: false,
        }),
        NodeLine::Watched(Watched { at_ns: 1, address: vip, backend_of: None }),
        NodeLine::Watched(Watched { at_ns: 1, address: "10.0.0.2:80".parse().unwrap(), backend_of: Some(vip) }),
    ];
    lines.extend(snapshot().into_iter().map(|entry| NodeLine::Snapshot(SnapshotTaken { at_ns: 1, entry })));
    let observed = |event| NodeLine::Event(Box::new(Observed { at_ns: 1, program: "send_reset".into(), event }));
    lines.extend(events().into_iter().map(observed));
    lines.push(NodeLine::Gap(Gap {
        program: "drop".into(),
        cpu: Some(1),
        from_ns: 1,
        to_ns: 2,
        lost: Some(3),
        cause: LossCause::RingFull,
    }));
    let programs = vec![ProgramLoss { program: "drop".into(), events: 4, lost: 3 }];
    lines.push(NodeLine::Footer(NodeFooter { ended_ns: 9, programs }));
    (0..).zip(lines).map(|(seq, line)| Numbered { seq, line }).collect()
}

#[test]
fn schemas_are_those_of_the_types() {
    schemas().iter().for_each(|(name, schema)| assert_written(name, schema));
}

#[test]
fn encoded_lines_of_each_kind_are_valid_and_hold_nothing_that_the_schema_does_not_name() {
    let text = |line| {
        let mut text = Vec::new();
        encode_node_line(&line, &mut text);
        text
    };
    assert_valid_by_their_kind(schemas(), every_kind().into_iter().map(text));
}
