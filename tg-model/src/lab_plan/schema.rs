//! The JSON Schemas of a lab's plan and of what it is expected to lose, in `tg-model/schema`: see `src/schema.rs`.

use super::*;
use crate::schema::{assert_written, validator_of};
use schemars::schema_for;
use serde_json::{Value, json};

fn schemas() -> [(&'static str, Value); 2] {
    let titled = |schema: schemars::Schema, title| {
        let mut schema = schema.to_value();
        schema["title"] = json!(title);
        schema
    };
    [
        ("lab-plan", titled(schema_for!(LabPlan), "tg lab: the plan")),
        ("lab-expectation", titled(schema_for!(Expectation), "tg lab: what a plan is expected to lose")),
    ]
}

#[test]
fn schemas_are_those_of_the_types() {
    schemas().iter().for_each(|(name, schema)| assert_written(name, schema));
}

#[test]
fn plans_and_expectations_are_valid_and_hold_nothing_that_the_schema_does_not_name() {
    let fault = Fault { kind: FaultKind::PodFreeze, lasting: Some(Duration::ZERO), at: Some(Duration::ZERO) };
    let spec = LabSpec { max_surge: Amount::Percent(25), faults: vec![fault], ..LabSpec::default() };
    let plan = LabPlan::try_from(spec).unwrap();
    let spread = Spread::of(vec![1, 2]);
    let expectation = Expectation {
        runs: 2,
        seed: 1,
        perfect: 80,
        lost: spread,
        avoidable: spread,
        to_doomed: spread,
        failed_attempts: spread,
        lost_by_old_pod: vec![spread],
        lost_by_new_pods: spread,
        lasting_by_new_pod: vec![spread],
        without_connection: spread,
        upgrade_ns: spread,
        not_simulated: vec![FaultKind::NodeLoss],
    };
    let values = [serde_json::to_value(plan).unwrap(), serde_json::to_value(expectation).unwrap()];
    for ((name, schema), value) in schemas().into_iter().zip(values) {
        let validator = validator_of(schema, true);
        let errors: Vec<String> = validator.iter_errors(&value).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}
