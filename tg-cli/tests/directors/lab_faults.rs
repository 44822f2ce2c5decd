//! Faults that need namespaces: each is lost as its kind is lost.

use crate::bench::Lab;
use crate::nft::NEEDS;
use crate::support::Suite;
use crate::support::together;
use serde_json::{Value, json};
use std::collections::HashSet;

pub fn add(suite: &mut Suite) {
    let tests: [(&str, fn()); 6] = [
        ("a_black_hole_ends_by_the_time_out", a_black_hole_ends_by_the_time_out),
        ("a_lost_node_takes_its_connections", a_lost_node_takes_its_connections),
        ("a_reset_storm_resets", a_reset_storm_resets),
        ("a_changed_route_resets_those_that_move", a_changed_route_resets_those_that_move),
        ("a_node_that_forgets_its_connections_resets_them", a_node_that_forgets_resets),
        ("endpoints_that_come_late_lead_to_pods_that_are_gone", endpoints_that_come_late),
    ];
    for (name, body) in tests {
        suite.test(format!("faults::{name}"), &NEEDS, together(body));
    }
}

/// Losses before the upgrade.
fn early(lab: &Lab) -> Vec<Value> {
    let rollout = lab.file("cluster.jsonl").into_iter().find(|l| l["event"] == "rollout").unwrap();
    let cluster = lab.file("cluster.jsonl")[0]["monotonic_ns"].as_u64().unwrap();
    let run = lab.file("run.jsonl")[0]["monotonic_ns"].as_u64().unwrap();
    let upgrade = cluster + rollout["at_ns"].as_u64().unwrap();
    lab.lost().into_iter().filter(|l| run + l["ended_ns"].as_u64().unwrap() < upgrade).collect()
}

fn lab(fault: &str, options: &str) -> Lab {
    // The last of an option counts.
    Lab::run(&format!("--director nft --settle 4s --fault {fault}@500ms {options}"))
}

/// Why connections were lost before the upgrade.
fn with(fault: &str, options: &str) -> Vec<String> {
    early(&lab(fault, options)).iter().map(|l| l["reason"].as_str().unwrap().to_owned()).collect()
}

fn a_black_hole_ends_by_the_time_out() {
    let lost = with("pod-blackhole", "--response-timeout 1s");
    assert!(lost.len() >= 4, "those of one pod of four: {lost:?}");
    assert!(lost.iter().all(|reason| reason == "response-timeout"), "{lost:?}");
}

/// The cluster tells of it after a while, and that confirms why.
fn a_lost_node_takes_its_connections() {
    for (fault, told) in [("node-loss=3s", &[false, true][..]), ("node-loss", &[false])] {
        let lab = lab(fault, "--nodes 2 --response-timeout 1s --node-grace 2s");
        let lost = early(&lab);
        assert!(lost.len() >= 4, "{lost:?}");
        let verdicts = lab.verdicts();
        for connection in lost {
            assert_eq!(connection["reason"], "response-timeout", "{connection}");
            let ended_by = &verdicts.iter().find(|v| v["conn"] == connection["conn"]).unwrap()["ended_by"];
            assert_eq!(
                (&ended_by["cause"], &ended_by["grade"]),
                (&json!("blackhole"), &json!("confirmed")),
                "{ended_by}"
            );
        }
        let cluster = lab.file("cluster.jsonl");
        let changes: Vec<_> = cluster.iter().filter(|l| l["event"] == "node" && l["snapshot"] != true).collect();
        assert!(changes.iter().all(|c| c["node"] == "node-2"), "{changes:?}");
        assert_eq!(changes.iter().map(|c| c["ready"].as_bool().unwrap()).collect::<Vec<_>>(), told);
        unready_with_their_node(&cluster);
    }
}

/// From its node's loss on, no pod of it is ready, nor an endpoint, until the node is back.
fn unready_with_their_node(cluster: &[Value]) {
    let (mut lost, mut on_it) = (false, HashSet::new());
    let mut seen = 0;
    for line in cluster {
        match line["event"].as_str() {
            Some("node") => lost = line["ready"] == false,
            Some("pod") if line["pod"]["node"] == "node-2" => {
                on_it.insert(line["pod"]["uid"].clone());
                assert!(!lost || line["phase"] != "ready", "{line}");
            }
            Some("endpoints") if lost => {
                seen += 1;
                let endpoints = line["endpoints"].as_array().unwrap();
                let ready = endpoints.iter().filter(|e| e["ready"] == true);
                assert!(ready.clone().count() > 0 && ready.clone().all(|e| !on_it.contains(&e["pod_uid"])), "{line}");
            }
            _ => {}
        }
    }
    assert!(seen > 0, "nobody told the balancers");
}

fn a_reset_storm_resets() {
    let lost = with("reset-storm", "");
    assert_eq!(lost, ["reset"; 4]);
}

fn a_changed_route_resets_those_that_move() {
    let lost = with("ecmp-change", "--nodes 2 --ecmp");
    assert!((1..16).contains(&lost.len()), "those that went by the other node: {lost:?}");
    assert!(lost.iter().all(|reason| reason == "reset"), "{lost:?}");
}

/// What goes on has no entry: it is translated anew, to any of the pods. Only one in four comes by the same one.
fn a_node_that_forgets_resets() {
    // In turn they would go where they were: their packets come in the order of their connections.
    let lost = with("conntrack-flush", "--scheduler random");
    assert!(!lost.is_empty());
    assert!(lost.iter().all(|reason| reason == "reset"), "{lost:?}");
}

/// The rules still choose pods whose process has ended: attempts fail, or end with the next packet.
fn endpoints_that_come_late() {
    let lab = Lab::run("--director nft --fault endpoint-lag=2s@100ms --prestop 100ms --response-timeout 2s");
    let failed = lab.file("run.jsonl").iter().filter(|l| l["kind"] == "attempt-failed").count();
    assert!(failed > 0, "{}", lab.done);
}
