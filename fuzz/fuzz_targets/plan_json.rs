//! A plan from JSON: one that is taken is valid, survives a round trip, and can be scheduled.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tg_core::payload::Payload;
use tg_core::schedule::{Schedule, Share};
use tg_model::plan::{Plan, PlanSpec, Transport};
use tg_model::time::Nanos;

fuzz_target!(|data: &[u8]| {
    let Ok(plan) = serde_json::from_slice::<Plan>(data) else {
        if let Ok(spec) = serde_json::from_slice::<PlanSpec>(data) {
            let error = Plan::try_from(spec).expect_err("refused as JSON").to_string();
            assert!(!error.is_empty());
        }
        return;
    };
    assert_eq!(Plan::try_from(PlanSpec::from(plan.clone())).as_ref(), Ok(&plan));
    let text = serde_json::to_string(&plan).expect("a plan is JSON");
    assert_eq!(serde_json::from_str::<Plan>(&text).expect("its own text"), plan);
    assert!(plan.descriptors() > u64::from(plan.conns));
    carry_out(&plan);
});

/// What a run makes of a plan before it connects.
fn carry_out(plan: &Plan) {
    let payload = Payload::new(plan.size, plan.transport == Transport::Udp, plan.seed);
    assert_eq!(payload.size(), plan.size as usize);
    assert!(payload.identity_end() <= payload.size());
    let Some(total) = plan.total_rate() else { return };
    let share = Share { shard: plan.threads - 1, shards: plan.threads, total: plan.conns };
    let mut schedule = Schedule::new(Nanos(1), total / f64::from(plan.conns), plan.batch.into(), share);
    assert!(schedule.period() > Nanos::ZERO);
    for _ in 0..200 {
        let due = schedule.peek();
        assert!(due.slot < share.len() && share.global(due.slot) < plan.conns);
        assert!(schedule.leaves_at() >= due.at);
        schedule.advance();
        assert!(schedule.peek().at >= due.at);
    }
}
