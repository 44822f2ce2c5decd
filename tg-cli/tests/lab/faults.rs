//! What goes wrong beside the upgrade.

use crate::journals::Kept;
use crate::{lab, start, table};
use tg_model::cluster_event::{ClusterEvent, PodPhase};
use tg_model::node_event::{NodeEvent, ProxyEnd};
use tg_model::outcome::EndReason;

/// The pod that a fault hit.
fn victim(kept: &Kept, fault: &str) -> String {
    let faults = kept.truth("fault");
    assert_eq!((faults.len(), faults[0]["fault"].as_str()), (1, Some(fault)), "{faults:?}");
    faults[0]["pod"].as_str().unwrap().to_owned()
}

fn phases(kept: &Kept, pod: &str) -> Vec<PodPhase> {
    let phase = |(_, event)| match event {
        ClusterEvent::Pod(change) if change.pod.name == pod => Some(change.phase),
        _ => None,
    };
    kept.cluster().into_iter().filter_map(phase).collect()
}

fn ends(kept: &Kept, end: ProxyEnd) -> usize {
    kept.node().iter().filter(|e| matches!(e, NodeEvent::ProxyConn(c) if c.end == Some(end))).count()
}

pub fn pod_kill() {
    let kept = Kept::new();
    let done = lab(&["--scheduler", "lc", "--fault", "pod-kill@100ms", "--settle", "2s", &kept.option()]);
    let pod = victim(&kept, "pod-kill");
    use PodPhase::{Created, Gone, Ready, Stopped, Terminating};
    let want = [Created, Ready, Stopped, Ready, Terminating, Stopped, Gone];
    assert_eq!(phases(&kept, &pod), want, "{}", done.stdout);
    assert!(table(&done.stdout, "Lost").0 >= 20, "{}", done.stdout);
    let ended = kept.truth("ended");
    assert_eq!(ended.iter().filter(|t| t["asked"] == false && t["code"].is_null()).count(), 1, "{ended:?}");
}

pub fn pod_freeze() {
    let kept = Kept::new();
    // The pod does not hear SIGTERM: its grace has to end. The others end long before.
    lab(&["--fault", "pod-freeze@1ms", "--grace", "4s", "--response-timeout", "300ms", &kept.option()]);
    let pod = victim(&kept, "pod-freeze");
    let killed = kept.truth("kill");
    assert_eq!((killed.len(), killed[0]["pod"].as_str()), (1, Some(pod.as_str())));
}

pub fn reset_storm() {
    let kept = Kept::new();
    lab(&["--scheduler", "lc", "--fault", "reset-storm@300ms", &kept.option()]);
    let pod = victim(&kept, "reset-storm");
    assert!(kept.ended_on(&pod, EndReason::Reset) >= 4);
    assert!(ends(&kept, ProxyEnd::Proxy) >= 4);
}

pub fn pod_blackhole() {
    let kept = Kept::new();
    // Longer than it is until a starved client has noticed, and over before the upgrade.
    let options = ["--scheduler", "lc", "--fault", "pod-blackhole=4s@300ms", "--settle", "5s"];
    lab(&[&options[..], &["--response-timeout", "400ms", &kept.option()]].concat());
    let pod = victim(&kept, "pod-blackhole");
    assert!(kept.ended_on(&pod, EndReason::ResponseTimeout) >= 4);
    assert_eq!(kept.truth("healed").len(), 1);
}

pub fn endpoint_lag() {
    let kept = Kept::new();
    // It hears of a pod's end only after the pod is gone.
    let options = ["--scheduler", "lc", "--fault", "endpoint-lag=700ms", "--settle", "1s", &kept.option()];
    let done = start(&options).finish().with(0);
    assert!(ends(&kept, ProxyEnd::BackendRefused) >= 1, "{}", done.stdout);
    assert_eq!(table(&done.stdout, "Lasting").0, 16);
}
