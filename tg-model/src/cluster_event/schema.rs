//! The JSON Schemas of a cluster's lines, in `tg-model/schema` beside those of a run's: see `src/schema.rs`.

use super::*;
use crate::schema::{assert_valid_by_their_kind, assert_written, line_schema};
use schemars::{Schema, schema_for};
use serde_json::Value;

type Kind = (&'static str, fn() -> Schema);

const KINDS: [Kind; 3] = [
    ("cluster-header", || schema_for!(ClusterHeader)),
    ("cluster-event", || schema_for!(ClusterSeen)),
    ("cluster-footer", || schema_for!(ClusterFooter)),
];

fn schemas() -> Vec<(&'static str, Value)> {
    KINDS.iter().map(|(kind, schema)| (*kind, line_schema(kind, schema()))).collect()
}

fn events() -> Vec<ClusterEvent> {
    let pod = Pod {
        name: "mserver-8d75c6567-55fdh".into(),
        uid: "u-1".into(),
        node: "node-1".into(),
        addresses: vec!["10.0.0.2".parse().unwrap(), "2001:db8::2".parse().unwrap()],
        replica_set: "mserver-8d75c6567".into(),
    };
    let endpoint = Endpoint {
        address: "10.0.0.2:5003".parse().unwrap(),
        pod_uid: pod.uid.clone(),
        ready: false,
        serving: true,
        terminating: true,
    };
    vec![
        ClusterEvent::Pod(PodChange { phase: PodPhase::Created, pod: pod.clone(), grace_ns: None }),
        ClusterEvent::Pod(PodChange { phase: PodPhase::Terminating, pod, grace_ns: Some(30_000_000_000) }),
        ClusterEvent::Endpoints(EndpointsChange { service: "mserver".into(), endpoints: vec![endpoint] }),
        ClusterEvent::Rollout(Rollout {
            phase: RolloutPhase::Started,
            deployment: "mserver".into(),
            replica_set: "mserver-5d54db6df5".into(),
            replicas: 8,
            max_surge: 1,
            max_unavailable: 0,
        }),
        ClusterEvent::Node(NodeChange { node: "node-1".into(), ready: false }),
        ClusterEvent::Proxy(ProxyChange { node: "node-1".into(), phase: ProxyPhase::Started }),
    ]
}

/// A journal with every kind of line, every event and every optional part in it.
pub(super) fn every_kind() -> Vec<ClusterLine> {
    let vips = vec!["192.0.2.1:5003".parse().unwrap()];
    let mut lines = vec![ClusterLine::Header(Box::new(ClusterHeader {
        tg_version: "0".into(),
        command: vec!["tg-cli".into()],
        source: ClusterSource::Lab,
        machine: "host".into(),
        boot_id: "b".into(),
        monotonic_ns: 1,
        realtime_ns: 2,
        services: vec![Service { name: "mserver".into(), vips, external_traffic: Some(TrafficPolicy::Local) }],
    }))];
    let seen = |(nth, event)| ClusterLine::Event(Box::new(ClusterSeen { at_ns: 1, snapshot: nth == 0, event }));
    lines.extend(events().into_iter().enumerate().map(seen));
    lines.push(ClusterLine::Footer(ClusterFooter { ended_ns: 9 }));
    lines
}

#[test]
fn schemas_are_those_of_the_types() {
    schemas().iter().for_each(|(name, schema)| assert_written(name, schema));
}

#[test]
fn encoded_lines_of_each_kind_are_valid_and_hold_nothing_that_the_schema_does_not_name() {
    let text = |line| {
        let mut text = Vec::new();
        encode_cluster_line(&line, &mut text);
        text
    };
    assert_valid_by_their_kind(schemas(), every_kind().into_iter().map(text));
}
