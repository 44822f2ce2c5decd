//! A lab's plan from JSON: one that is taken is valid, survives a round trip, and a small one can be simulated, with
//! no connection gained or missed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tg_lab::predict::{Timing, simulate};
use tg_model::lab_plan::{LabPlan, LabSpec};

fuzz_target!(|data: &[u8]| {
    let Ok(plan) = serde_json::from_slice::<LabPlan>(data) else {
        if let Ok(spec) = serde_json::from_slice::<LabSpec>(data) {
            let error = LabPlan::try_from(spec).expect_err("refused as JSON").to_string();
            assert!(!error.is_empty());
        }
        return;
    };
    assert_eq!(LabPlan::try_from(LabSpec::from(plan.clone())).as_ref(), Ok(&plan));
    let text = serde_json::to_string(&plan).expect("a plan is JSON");
    assert_eq!(serde_json::from_str::<LabPlan>(&text).expect("its own text"), plan);
    assert!(plan.unavailable() <= plan.replicas && plan.surge() + plan.unavailable() > 0);
    if plan.replicas * plan.entry_nodes() > 400 || plan.conns > 2000 {
        return;
    }
    // What only the kernel has cannot be simulated.
    let Ok(o) = simulate(&plan, &Timing::default(), plan.seed) else { return };
    let lasting = o.lasting_by_new_pod.iter().sum::<u64>() + o.lasting_on_old_pods;
    assert_eq!(lasting + o.without_connection, u64::from(plan.conns));
    assert_eq!(o.placed, o.lost + lasting);
    assert!(o.avoidable <= o.to_doomed);
});
