//! The JSON Schema of a run's verdict, in `tg-model/schema` beside the others: see `src/schema.rs`.

use super::*;
use crate::id::{ConnId, SlotId};
use crate::outcome::EndReason;
use crate::schema::{assert_written, validator_of};
use schemars::schema_for;
use serde_json::{Value, json};

fn schema() -> Value {
    let mut schema = schema_for!(RunVerdict).to_value();
    schema["title"] = json!("tg verdict of a run");
    schema
}

#[test]
fn the_schema_is_the_types() {
    assert_written("run-verdict", &schema());
}

fn evidence() -> Evidence {
    Evidence { file: "node-1.jsonl".into(), line: 4, seq: Some(3), at_ns: -5, words: "reset sent".into() }
}

fn pod() -> PodRef {
    PodRef { name: "mserver-1".into(), uid: Some("u".into()), node: None, replica_set: None, doomed: Some(true) }
}

fn verdict() -> Verdict {
    let conn = ConnId { slot: SlotId(3), nth: 1 };
    let address = "10.0.0.2:5003".parse().unwrap();
    let chance = Chance {
        address,
        weight: Some(1),
        active: None,
        inactive: Some(0),
        pod: Some("mserver-1".into()),
        ready: Some(true),
        doomed: None,
    };
    let cause = |cause, grade| Finding { cause, grade, evidence: vec![evidence()], missing: vec!["a line".into()] };
    Verdict {
        conn,
        established_ns: 1,
        ended_ns: 2,
        reason: EndReason::Reset,
        pod: Some(pod()),
        ended_by: cause(Cause::PodTerminated, Grade::Confirmed),
        placed_by: cause(Cause::RescheduledToDoomed, Grade::Suspected),
        decision: Some(Decision {
            node: "node-1".into(),
            director: Director::Ipvs,
            scheduler: Some("rr".into()),
            at_ns: 1,
            chosen: address,
            candidates: vec![chance],
            candidates_total: 1,
            inferred: false,
            evidence: evidence(),
        }),
        lineage: Lineage { predecessor: conn.predecessor(), losses_before: 1, replacement: None },
        avoidable: Some(true),
    }
}

fn full() -> RunVerdict {
    let tally = |cause| CauseTally { cause, confirmed: 1, suspected: 2, unattributed: 3 };
    let clock = Clock { way: ClockWay::Matched, offset_ns: -1, error_ns: Some(2), pairs: 3 };
    let deviation =
        Deviation { chosen: None, expected: vec!["[2001:db8::1]:80".parse().unwrap()], evidence: evidence() };
    RunVerdict {
        inputs: vec![InputState {
            file: "run.jsonl".into(),
            kind: InputKind::Run,
            machine: "m".into(),
            lines: 1,
            unreadable_lines: 0,
            cut: false,
            clock,
        }],
        totals: LossTotals { perfect: Some(80), more: Some(38), ..LossTotals::default() },
        sentences: vec!["why".into()],
        ended_by: Cause::ALL.iter().map(|c| tally(*c)).collect(),
        placed_by: vec![tally(Cause::Scheduled)],
        troubles_by: vec![tally(Cause::EndpointLag)],
        troubles: vec![Trouble {
            kind: TroubleKind::FailedAttempt,
            slot: SlotId(1),
            started_ns: 1,
            ended_ns: 2,
            finding: Finding::unattributed(vec!["why".into()]),
        }],
        pods: vec![PodShare {
            pod: pod(),
            ready_ns: Some(-1),
            terminating_ns: None,
            stopped_ns: None,
            connections: 1,
            lost: 1,
            lasting: 0,
            rescheduled_to: 1,
        }],
        conformance: vec![Conformance {
            node: "n".into(),
            service: None,
            scheduler: "rr".into(),
            decisions: 3,
            judged: 2,
            conform: 1,
            first_deviation: Some(deviation),
            not_judged: Some("why".into()),
        }],
        service: ServiceTime::default(),
        effects: vec![Effect { event: "e".into(), at_ns: 1, lost: 1, first_after_ns: Some(1), last_after_ns: None }],
        evidence_lost: vec![EvidenceLost {
            file: "f".into(),
            program: None,
            from_ns: 1,
            to_ns: 2,
            lost: None,
            why: "w".into(),
            lowered: 1,
        }],
        not_covered: vec![NotCovered { cause: Cause::ConntrackFull, why: "w".into() }],
        notes: vec!["n".into()],
        verdicts: vec![verdict()],
    }
}

#[test]
fn verdicts_are_valid_and_hold_nothing_that_the_schema_does_not_name() {
    let validator = validator_of(schema(), true);
    for run in [RunVerdict::default(), full()] {
        let json = serde_json::to_value(&run).unwrap();
        let errors: Vec<String> = validator.iter_errors(&json).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}

#[test]
fn each_cause_says_what_it_means_in_words_of_its_own_that_fit_a_line() {
    for (nth, cause) in Cause::ALL.iter().enumerate() {
        let words = cause.in_words();
        assert!(!words.is_empty() && words.len() <= 66, "{cause}: {words}");
        assert!(Cause::ALL[..nth].iter().all(|c| c.in_words() != words), "{cause}: {words}");
    }
}
