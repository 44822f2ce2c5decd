//! Whether expectations hold of a summary.

use super::parse::{Expectation, Op, Wanted};
use super::shape;
use serde_json::{Number, Value};
use std::cmp::Ordering;
use tg_model::summary::Summary;

/// In words, each expectation that does not hold, with the value found.
pub fn failures(expectations: &[Expectation], summary: &Summary) -> Vec<String> {
    if expectations.is_empty() {
        return Vec::new();
    }
    // A summary has finite numbers and text for keys: it always is JSON.
    let json = serde_json::to_value(summary).unwrap_or_default();
    expectations.iter().filter_map(|e| failure(e, &json)).collect()
}

fn failure(e: &Expectation, summary: &Value) -> Option<String> {
    let found = if is_measured(summary, &e.field) { shape::find(summary, &e.field) } else { None };
    let found = found.unwrap_or_default();
    if holds(&found, e.op, &e.value) {
        return None;
    }
    let found = match found {
        Value::Null => "is not known".to_owned(),
        value if e.field.ends_with("_ns") => match value.as_u64() {
            Some(ns) => format!("is {value} ({})", crate::span::show(ns)),
            None => format!("is {value}"),
        },
        value => format!("is {value}"),
    };
    Some(format!("expectation failed: {e}: {} {found}", e.field))
}

/// A dead service has no latency, and not one of 0 ns: of no packets at all no time holds.
fn is_measured(summary: &Value, field: &str) -> bool {
    let spread = ["latency", "service_time", "lateness"]
        .into_iter()
        .find(|name| field.strip_prefix(name).is_some_and(|figure| figure.starts_with('.') && figure.ends_with("_ns")));
    spread.is_none_or(|name| summary[name]["count"] != 0)
}

/// What is not known holds for nothing.
fn holds(found: &Value, op: Op, wanted: &Wanted) -> bool {
    let order = match (found, wanted) {
        (Value::Number(found), wanted) => compare(found, wanted),
        (Value::Bool(found), Wanted::Bool(wanted)) => Some(found.cmp(wanted)),
        (Value::String(found), Wanted::Text(wanted)) => Some(found.as_str().cmp(wanted.as_str())),
        _ => None,
    };
    let Some(order) = order else { return false };
    match op {
        Op::Less => order == Ordering::Less,
        Op::LessOrEqual => order != Ordering::Greater,
        Op::Greater => order == Ordering::Greater,
        Op::GreaterOrEqual => order != Ordering::Less,
        Op::Equal => order == Ordering::Equal,
        Op::NotEqual => order != Ordering::Equal,
    }
}

/// Whole numbers are compared as such: nanoseconds since the epoch have more digits than a float.
fn compare(found: &Number, wanted: &Wanted) -> Option<Ordering> {
    match (found.as_i128(), wanted) {
        (Some(found), Wanted::Integer(wanted)) => Some(found.cmp(wanted)),
        (_, Wanted::Integer(wanted)) => found.as_f64()?.partial_cmp(&(*wanted as f64)),
        (_, Wanted::Float(wanted)) => found.as_f64()?.partial_cmp(wanted),
        (_, Wanted::Bool(_) | Wanted::Text(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tg_model::summary::RunEnding;

    fn check(text: &str, summary: &Summary) -> Vec<String> {
        failures(&[text.parse().unwrap()], summary)
    }

    fn summary() -> Summary {
        let mut s = Summary { lost: 81, ending: RunEnding::Planned, ..Summary::default() };
        (s.latency.count, s.latency.p99_ns) = (1, 5_200_000);
        s.started_realtime_ns = (1 << 60) + 1;
        s.hosts.lost.insert("pod-1.example".into(), 2);
        s
    }

    #[test]
    fn a_failure_says_what_was_found() {
        let s = summary();
        assert_eq!(check("lost <= 80", &s), ["expectation failed: lost<=80: lost is 81"]);
        assert_eq!(
            check("latency.p99_ns<5ms", &s),
            ["expectation failed: latency.p99_ns<5ms: latency.p99_ns is 5200000 (5.2 ms)"]
        );
        assert_eq!(check("ending==stopped", &s), [r#"expectation failed: ending==stopped: ending is "planned""#]);
        assert_eq!(
            check("cpu_us_per_packet<5", &s),
            ["expectation failed: cpu_us_per_packet<5: cpu_us_per_packet is not known"]
        );
    }

    #[test]
    fn of_no_echo_at_all_no_time_holds() {
        let s = Summary::default();
        for field in ["latency.p99_ns", "service_time.max_ns", "lateness.p50_ns"] {
            assert_eq!(check(&format!("{field}<5ms"), &s).len(), 1, "{field}");
        }
        assert_eq!(check("latency.count==0", &s).len() + check("outages.max_ns<1s", &s).len(), 0);
    }

    #[test]
    fn what_holds_says_nothing() {
        let s = summary();
        for text in [
            "lost<82",
            "lost<=81",
            "lost>80",
            "lost>=81",
            "lost==81",
            "lost!=80",
            "lost<81.5",
            "ending==planned",
            "ending!=cut",
            "accounting.ok==false",
            "hosts.lost.pod-1.example==2",
            "hosts.lost.pod-2==0",
            "latency.p99_ns<6ms",
            "started_realtime_ns!=1152921504606846976",
        ] {
            assert_eq!(check(text, &s), Vec::<String>::new(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn each_operator_means_what_it_says(found: u32, wanted: u32) {
            let s = Summary { lost: found.into(), ..Summary::default() };
            let holds = |op: &str| check(&format!("lost{op}{wanted}"), &s).is_empty();
            prop_assert_eq!(holds("<"), found < wanted);
            prop_assert_eq!(holds("<="), found <= wanted);
            prop_assert_eq!(holds(">"), found > wanted);
            prop_assert_eq!(holds(">="), found >= wanted);
            prop_assert_eq!(holds("=="), found == wanted);
            prop_assert_eq!(holds("!="), found != wanted);
        }
    }
}
