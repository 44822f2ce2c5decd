//! The JSON Schemas in `tg-model/schema`: one for each kind of journal line, and the summary's. Written
//! from the types by `UPDATE_SCHEMAS=1 cargo test -p tg-model schema`; without it they must be equal.

use crate::journal::{
    AttemptFailed, Closed, Established, Event, Footer, Header, Identified, LINE_VERSION, Line, Outage, RunEvent,
    Sample, SlotTotals, encode_line,
};
use crate::outcome::{AttemptFailure, EndReason};
use crate::summary::tests::story::{self, ConnStory, SlotStory};
use crate::summary::{Summary, SummaryBuilder};
use schemars::{Schema, schema_for};
use serde_json::{Value, json};
use std::path::PathBuf;

type Kind = (&'static str, fn() -> Schema);

const KINDS: [Kind; 10] = [
    ("header", || schema_for!(Header)),
    ("established", || schema_for!(Established)),
    ("identified", || schema_for!(Identified)),
    ("closed", || schema_for!(Closed)),
    ("attempt-failed", || schema_for!(AttemptFailed)),
    ("outage", || schema_for!(Outage)),
    ("sample", || schema_for!(Sample)),
    ("event", || schema_for!(Event)),
    ("slot", || schema_for!(SlotTotals)),
    ("footer", || schema_for!(Footer)),
];

/// A line is its type's fields with the version and the kind beside them.
pub(crate) fn line_schema(kind: &str, schema: Schema) -> Value {
    let mut schema = schema.to_value();
    schema["title"] = json!(format!("tg journal line: {kind}"));
    schema["properties"]["v"] = json!({ "description": "Version of the line's form.", "const": LINE_VERSION });
    schema["properties"]["kind"] = json!({ "description": "What the line tells.", "const": kind });
    let required = schema["required"].as_array_mut().unwrap();
    required.insert(0, json!("kind"));
    required.insert(0, json!("v"));
    schema
}

fn schemas() -> Vec<(String, Value)> {
    let mut all: Vec<(String, Value)> =
        KINDS.iter().map(|(kind, schema)| ((*kind).to_owned(), line_schema(kind, schema()))).collect();
    let mut summary = schema_for!(Summary).to_value();
    summary["title"] = json!("tg summary");
    all.push(("summary".into(), summary));
    all
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schema").join(format!("{name}.json"))
}

#[test]
fn schemas_are_those_of_the_types() {
    schemas().into_iter().for_each(|(name, schema)| assert_written(&name, &schema));
}

/// The file of this name has this schema in it; written first where UPDATE_SCHEMAS is set.
#[expect(clippy::disallowed_methods, reason = "the schemas are files of the crate; only tests open them")]
pub(crate) fn assert_written(name: &str, schema: &Value) {
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        let text = serde_json::to_string_pretty(schema).unwrap() + "\n";
        std::fs::write(path(name), text).unwrap();
    }
    let written = std::fs::read_to_string(path(name)).unwrap_or_default();
    let written: Value = serde_json::from_str(&written).unwrap_or_default();
    assert!(written == *schema, "schema/{name}.json is not the types': run with UPDATE_SCHEMAS=1 and look at the diff");
}

/// A run with every kind of line, every event and every optional part in it.
fn every_kind() -> Vec<Line> {
    let conn = |reason, host| ConnStory {
        failures: AttemptFailure::ALL.to_vec(),
        host,
        received: 3,
        lost_in_flight: 1,
        dropped: Vec::new(),
        retransmits: 1,
        parts_ns: [1, 2, 3],
        reason,
        closes_late: false,
        unserved: false,
    };
    let slot = |lasting| SlotStory {
        lost: EndReason::ALL[1..].iter().map(|r| conn(*r, Some("pod-1"))).collect(),
        lasting,
        tail_failures: vec![AttemptFailure::Refused],
        due_without_connection: 2,
    };
    let run = [slot(None), slot(Some(conn(EndReason::Completed, None)))];
    let mut lines = story::lines(&run);
    let peer = "[2001:db8::1]:4711".parse().unwrap();
    for line in &mut lines {
        if let Line::Identified(i) = line {
            let [pod, pod_uid, node, version] = ["p", "u", "n", "v"].map(str::to_owned);
            i.identity = Some(crate::wire::Identity { peer, pod, pod_uid, node, version });
        }
    }
    let events = [
        RunEvent::Resolved { target: "pod:5003".into(), addresses: vec![peer] },
        RunEvent::StopRequested,
        RunEvent::SendingStopped,
    ];
    lines.extend(events.map(|event| Line::Event(Event { at_ns: 1, event })));
    let mut header = story::header(2);
    header.engine_note = Some("no io_uring: EPERM".into());
    lines.insert(0, Line::Header(Box::new(header)));
    lines
}

fn validator(name: &str, closed: bool) -> jsonschema::Validator {
    let schema = schemas().into_iter().find(|(n, _)| n == name).unwrap().1;
    validator_of(schema, closed)
}

/// Each line is valid by the schema of its kind and by no other, which names all that is in it; no kind is missing.
pub(crate) fn assert_valid_by_their_kind(schemas: Vec<(&'static str, Value)>, lines: impl Iterator<Item = Vec<u8>>) {
    let validators: Vec<_> = schemas.into_iter().map(|(kind, s)| (kind, validator_of(s, true))).collect();
    let mut met = Vec::new();
    for text in lines {
        let json: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(json["v"], LINE_VERSION);
        let kind = json["kind"].as_str().unwrap().to_owned();
        for (other, validator) in &validators {
            let errors: Vec<String> = validator.iter_errors(&json).map(|e| e.to_string()).collect();
            assert_eq!(errors.is_empty(), *other == kind, "{json} by the schema of {other}: {errors:?}");
        }
        met.push(kind);
    }
    for (kind, _) in validators {
        assert!(met.iter().any(|m| m == kind), "no line of kind {kind} was tried");
    }
}

/// `closed`: what the schema does not name is an error.
pub(crate) fn validator_of(mut schema: Value, closed: bool) -> jsonschema::Validator {
    if closed {
        schema["unevaluatedProperties"] = json!(false);
    }
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn encoded_lines_of_each_kind_are_valid_and_hold_nothing_that_the_schema_does_not_name() {
    let validators = KINDS.map(|(kind, _)| (kind, validator(kind, true)));
    let mut met = Vec::new();
    for line in every_kind() {
        let mut text = Vec::new();
        encode_line(&line, &mut text);
        let json: Value = serde_json::from_slice(&text).unwrap();
        let kind = json["kind"].as_str().unwrap().to_owned();
        for (other, validator) in &validators {
            let errors: Vec<String> = validator.iter_errors(&json).map(|e| e.to_string()).collect();
            assert_eq!(errors.is_empty(), *other == kind, "{kind} by the schema of {other}: {errors:?}");
        }
        met.push(kind);
    }
    for (kind, _) in KINDS {
        assert!(met.iter().any(|m| m == kind), "no line of kind {kind} was tried");
    }
}

#[test]
fn a_line_of_another_version_or_without_a_field_is_not_valid() {
    let validator = validator("footer", false);
    let mut text = Vec::new();
    encode_line(every_kind().iter().find(|l| matches!(l, Line::Footer(_))).unwrap(), &mut text);
    let json: Value = serde_json::from_slice(&text).unwrap();
    assert!(validator.is_valid(&json));
    let mut newer = json.clone();
    newer["v"] = json!(LINE_VERSION + 1);
    assert!(!validator.is_valid(&newer));
    for field in ["v", "kind", "ending", "stopped_ns", "totals", "records_lost"] {
        let mut without = json.clone();
        without.as_object_mut().unwrap().remove(field);
        assert!(!validator.is_valid(&without), "{field}");
    }
}

#[test]
fn summaries_are_valid() {
    let validator = validator("summary", true);
    let mut lines = every_kind().into_iter();
    let Some(Line::Header(header)) = lines.next() else { unreachable!() };
    let mut builder = SummaryBuilder::new(&header);
    lines.for_each(|l| builder.push(&l));
    for summary in [Summary::default(), builder.finish(&Default::default())] {
        let json = serde_json::to_value(&summary).unwrap();
        let errors: Vec<String> = validator.iter_errors(&json).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}
