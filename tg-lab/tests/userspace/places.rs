//! Addresses: each lab's own, each pod's own.

use crate::stage::Stage;
use std::collections::HashSet;
use tg_lab::lab::{Ground, NetworkFault};
use tg_model::lab_plan::LabFamily;

#[test]
fn labs_beside_each_other_have_addresses_of_their_own() {
    let stages: Vec<Stage> = (0..5).map(|_| Stage::new(|s| s.family = LabFamily::Both)).collect();
    let vips: HashSet<_> = stages.iter().flat_map(|s| s.director.vips()).collect();
    assert_eq!(vips.len(), 10);
}

#[test]
fn each_pod_has_an_address_of_each_family() {
    let mut stage = Stage::new(|s| s.family = LabFamily::Both);
    let pods: HashSet<_> = (0..300).map(|_| stage.pod()).collect();
    assert_eq!(pods.len(), 300);
    assert!(pods.iter().all(|p| p.ip().is_loopback()));
    stage.director.remove_pod("pod-0").unwrap();
}

#[test]
fn nodes_balance_each_on_its_own() {
    let mut stage = Stage::new(|s| (s.nodes, s.ecmp) = (3, true));
    let pod = stage.listener();
    let pairs: Vec<_> = (0..60).map(|_| stage.pair(&pod)).collect();
    drop(pairs);
    let folder = stage.folder.path().to_owned();
    assert_eq!(stage.director.nodes(), ["node-1", "node-2", "node-3"]);
    stage.director.finish().unwrap();
    let decisions = |node: &str| {
        let text = std::fs::read_to_string(folder.join(tg_lab::lab::node_file(node))).unwrap();
        text.lines().filter(|l| l.contains("proxy-decision")).count()
    };
    let each: Vec<usize> = stage.director.nodes().iter().map(|n| decisions(n)).collect();
    assert_eq!(each.iter().sum::<usize>(), 60);
    assert!(each.iter().all(|n| *n > 0), "{each:?}");
}

#[test]
fn what_a_proxy_cannot_do_is_refused() {
    let mut stage = Stage::new(|_| {});
    for fault in
        [NetworkFault::ConntrackFlush, NetworkFault::EcmpChange, NetworkFault::NodeLoss { node: "node-1".into() }]
    {
        assert!(stage.director.inject(&fault).unwrap_err().is_usage());
    }
}
