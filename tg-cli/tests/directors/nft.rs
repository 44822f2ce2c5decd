//! nftables on this kernel: what conntrack tells of each connection is what the pods told the client.

use crate::bench::Lab;
use crate::support::together;
use crate::support::{Capability, Suite};

/// An observer is beside, or there would be nothing to hold the run against.
pub const NEEDS: [Capability; 4] = [Capability::Netns, Capability::Root, Capability::Nft, Capability::Bpf];

pub fn add(suite: &mut Suite) {
    let tests: [(&str, fn()); 4] = [
        ("every_connection_is_tracked_to_the_pod_that_answered", every_connection_is_tracked),
        ("both_ip_versions_are_balanced", both_ip_versions_are_balanced),
        ("each_node_tracks_its_own_connections", each_node_tracks_its_own_connections),
        ("datagrams_move_on", datagrams_move_on),
    ];
    for (name, body) in tests {
        suite.test(format!("nft::{name}"), &NEEDS, together(body));
    }
}

fn every_connection_is_tracked() {
    for (scheduler, masquerade) in [("rr", ""), ("random", "--masquerade")] {
        let lab = Lab::run(&format!("--director nft --scheduler {scheduler} {masquerade}"));
        let connections = lab.connections();
        assert!(lab.lost().len() >= 16, "each old pod's are lost: {}", lab.done);
        assert_eq!(connections.len(), 16 + lab.lost().len());
        assert_eq!(connections, lab.tracked(1));
        assert!(lab.lost().iter().all(|l| l["reason"] == "closed-by-peer" || l["reason"] == "reset"));
    }
}

fn both_ip_versions_are_balanced() {
    let lab = Lab::run("--director nft --family both");
    let connections = lab.connections();
    assert_eq!(connections, lab.tracked(1));
    let v6 = connections.keys().filter(|client| client.starts_with('[')).count();
    assert!(v6 >= 8 && connections.len() - v6 >= 8, "they take them in turn: {connections:?}");
}

fn each_node_tracks_its_own_connections() {
    let lab = Lab::run("--director nft --nodes 2 --ecmp --family 6");
    let (one, two) = (lab.tracked(1), lab.tracked(2));
    assert!(!one.is_empty() && !two.is_empty());
    let both: std::collections::BTreeMap<_, _> = one.iter().chain(&two).map(|(c, p)| (c.clone(), p.clone())).collect();
    assert_eq!(both.len(), one.len() + two.len(), "no connection is at both");
    assert_eq!(both, lab.connections());
}

/// UDP entries of pods that end are removed at once, and no others, so that flows move on without a loss of more than an
/// echo.
fn datagrams_move_on() {
    for family in ["4", "6"] {
        let lab = Lab::run(&format!("--director nft --udp --family {family}"));
        assert_eq!(lab.lost().len(), 0, "{}", lab.done);
        let flows: Vec<_> = lab.file("run.jsonl").into_iter().filter(|l| l["kind"] == "closed").collect();
        assert_eq!(flows.len(), 16);
        assert!(flows.iter().all(|f| f["counts"]["other_host"].as_u64() > Some(0)), "another pod answers in the end");
        assert_eq!(lab.destroyed(1).len(), 4, "of each old pod");
    }
}
