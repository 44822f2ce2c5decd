//! IPVS in a virtual machine, where this kernel has none: the seed's two tables, in small.
//!
//! In full: `cargo run -p tg-vm -- run -- target/debug/tg-cli lab --director ipvs --scheduler lc` (and `rr`).

use crate::bench::{lines, small};
use crate::faults_support::TG;
use crate::support::{Capability, Suite};
use serde_json::Value;
use std::time::Duration;
use tg_vm::{Cache, Job, KERNELS, Outcome};

pub fn add(suite: &mut Suite) {
    suite.test("guest::ipvs_loses_as_its_schedulers_do".into(), &[Capability::Vm], ipvs_loses_as_its_schedulers_do);
}

/// One boot for both. With lc each of four pods loses its four; with rr connections that move to pods that are
/// still to go are lost again.
fn ipvs_loses_as_its_schedulers_do() {
    let output = tempfile::tempdir().unwrap();
    let lab = |scheduler: &str| {
        let options = format!("--director ipvs --scheduler {scheduler} --output /out/{scheduler}");
        format!("{TG} {}", small(&options))
    };
    let script = format!("{} && {}", lab("lc"), lab("rr"));
    let cache = Cache::new(Cache::default_directory().unwrap());
    let kernel = cache.get(&KERNELS[0], |what| eprintln!("{what}")).unwrap();
    let job = Job {
        command: &["sh", "-c", &script].map(Into::into),
        directory: &std::env::current_dir().unwrap(),
        output: Some(output.path()),
        memory_mib: 1024,
        processors: 1,
        timeout: Duration::from_secs(600),
        // One that is starved loses connections that no balancer would.
        realtime: tg_core::doctor::realtime().is_ok(),
    };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let outcome = tg_vm::run(&kernel, &job, &mut stdout, &mut stderr).unwrap();
    let said = format!("{}\n{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(outcome, Outcome::Exited(0), "{said}");

    let file = |scheduler: &str, name: &str| lines(&output.path().join(scheduler).join(name));
    let lc = lost_by_pod(&file("lc", "run.jsonl"));
    assert_eq!(lc, [4; 4], "{said}");
    let rr = lost_by_pod(&file("rr", "run.jsonl"));
    // Over 5 destinations 16 connections lose 4, 4.8, 5.8 and 6.9; over 4, 4, 5, 6.2 and 7.8.
    let all: usize = rr.iter().sum();
    assert!((18..=25).contains(&all), "{rr:?} {said}");
    assert!(rr.iter().max() >= rr.iter().min().map(|least| least + 1).as_ref(), "{rr:?}");
    for (scheduler, established) in [("lc", 32), ("rr", 16 + all)] {
        let decisions = file(scheduler, "node-1.jsonl").iter().filter(|l| l["event"] == "ipvs-decision").count();
        assert_eq!(decisions, established, "the observer saw each decision of {scheduler}: {said}");
    }
}

fn lost_by_pod(run: &[Value]) -> Vec<usize> {
    let mut pods = std::collections::BTreeMap::<&str, usize>::new();
    for line in run.iter().filter(|l| l["kind"] == "closed" && l["reason"] != "completed") {
        *pods.entry(line["host"].as_str().unwrap()).or_default() += 1;
    }
    pods.into_values().collect()
}
