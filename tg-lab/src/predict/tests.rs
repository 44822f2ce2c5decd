//! The prediction against what the virtual machine measured, against the formula, and its promises.

use super::*;
use proptest::prelude::*;
use std::time::Duration;
use tg_model::lab_plan::{Amount, DirectorKind, LabSpec, PodReplacement, SchedulerKind};

fn plan(change: impl FnOnce(&mut LabSpec)) -> LabPlan {
    let mut spec = LabSpec { director: DirectorKind::Ipvs, ..LabSpec::default() };
    change(&mut spec);
    LabPlan::try_from(spec).unwrap()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn show() {
    for ready in [500, 1000, 1500, 2000] {
        let e = expected(&plan(|s| s.ready = ms(ready)), 200).unwrap();
        println!(
            "{ready}: {:?} avoid {:?} {:?}",
            e.lost,
            e.avoidable,
            e.lost_by_old_pod.iter().map(|s| s.mean).collect::<Vec<_>>()
        );
    }
    let e = expected(&plan(|s| s.pod_replacement = PodReplacement::TerminationComplete), 200).unwrap();
    println!("strict: {:?} {:?}", e.lost, e.lost_by_old_pod.iter().map(|s| s.mean).collect::<Vec<_>>());
    for k in [SchedulerKind::Lc, SchedulerKind::Wlc, SchedulerKind::Wrr, SchedulerKind::Sh, SchedulerKind::Sed] {
        let e = expected(&plan(|s| s.scheduler = k), 200).unwrap();
        println!("{k}: {:?} {:?}", e.lost, e.lost_by_old_pod.iter().map(|s| s.mean).collect::<Vec<_>>());
    }
    let e = expected(&plan(|s| (s.scheduler, s.nodes, s.ecmp) = (SchedulerKind::Lc, 4, true)), 200).unwrap();
    println!("ecmp: {:?} {:?}", e.lost, e.lasting_by_new_pod);
    let e = expected(&plan(|s| (s.director, s.scheduler) = (DirectorKind::Nft, SchedulerKind::Rr)), 200).unwrap();
    println!("nft rr: {:?}", e.lost);
    let e = expected(&plan(|s| (s.director, s.scheduler) = (DirectorKind::Nft, SchedulerKind::Random)), 200).unwrap();
    println!("nft random: {:?}", e.lost);
    let e = expected(&plan(|s| (s.max_surge, s.max_unavailable) = (Amount::Count(0), Amount::Count(4))), 200).unwrap();
    println!("u4: {:?}", e.lost);
    let e = expected(&plan(|s| s.max_surge = Amount::Count(4)), 200).unwrap();
    println!("s4: {:?}", e.lost);
}
