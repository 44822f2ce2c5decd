//! An expectation's text. Changes when its grammar does:
//!
//! ```text
//! expectation = field op value          blanks around each are allowed
//! field       = name { "." name }       as in the JSON summary; `-` may stand for `_`
//! op          = "<" | "<=" | ">" | ">=" | "==" | "!="
//! value       = number | time (for fields `*_ns`) | text | "true" | "false"
//! ```

use super::shape::{self, Holds};
use crate::span;
use std::fmt;
use std::str::FromStr;

const WANT: &str = "want FIELD OP VALUE, such as lost<=80 or latency.p99_ns<5ms (OP: < <= > >= == !=)";

/// What a field is compared with, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// As written, blanks taken out.
    text: String,
    pub(super) field: String,
    pub(super) op: Op,
    pub(super) value: Wanted,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

/// The longer ones first, where one begins another.
const OPS: [(&str, Op); 6] = [
    ("<=", Op::LessOrEqual),
    (">=", Op::GreaterOrEqual),
    ("==", Op::Equal),
    ("!=", Op::NotEqual),
    ("<", Op::Less),
    (">", Op::Greater),
];

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wanted {
    Integer(i128),
    Float(f64),
    Bool(bool),
    Text(String),
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Expectation {
    type Err = String;

    fn from_str(text: &str) -> Result<Expectation, String> {
        let malformed = || format!("`{text}`: {WANT}");
        let at = text.find(['<', '>', '=', '!']).ok_or_else(malformed)?;
        let (field, rest) = text.split_at(at);
        let (sign, op) = OPS.into_iter().find(|(sign, _)| rest.starts_with(sign)).ok_or_else(malformed)?;
        let (field, value) = (field.trim(), rest[sign.len()..].trim());
        if field.is_empty() || value.is_empty() || value.starts_with(['<', '>', '=', '!']) {
            return Err(malformed());
        }
        // Reasons are written `closed-by-peer` elsewhere; host names keep their hyphens.
        let field = if shape::open_key(field).is_some() { field.to_owned() } else { field.replace('-', "_") };
        let holds = shape::holds(&field)?;
        let value = wanted(&field, holds, value)?;
        let ordered = !matches!(op, Op::Equal | Op::NotEqual);
        if ordered && matches!(value, Wanted::Bool(_) | Wanted::Text(_)) {
            return Err(format!("`{field}` is no number: want == or !="));
        }
        Ok(Expectation { text: text.split_whitespace().collect(), field, op, value })
    }
}

fn wanted(field: &str, holds: Holds, text: &str) -> Result<Wanted, String> {
    match holds {
        Holds::Number => number(field, text),
        Holds::Text => Ok(Wanted::Text(text.to_owned())),
        Holds::Bool => text.parse().map(Wanted::Bool).map_err(|_| format!("`{field}` is true or false, not `{text}`")),
        Holds::Unknown => Ok(number(field, text).unwrap_or_else(|_| Wanted::Text(text.to_owned()))),
    }
}

fn number(field: &str, text: &str) -> Result<Wanted, String> {
    if let Ok(integer) = text.parse() {
        return Ok(Wanted::Integer(integer));
    }
    if let Ok(float) = text.parse::<f64>()
        && float.is_finite()
    {
        return Ok(Wanted::Float(float));
    }
    if !field.ends_with("_ns") {
        return Err(format!("`{field}` is a number without a unit, not `{text}`"));
    }
    let time = span::parse(text).map_err(|e| format!("`{field}`: {e}, or whole nanoseconds"))?;
    Ok(Wanted::Integer(i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> (String, Op, Wanted) {
        let e: Expectation = text.parse().unwrap();
        (e.field, e.op, e.value)
    }

    #[test]
    fn fields_operators_and_values() {
        let integer = Wanted::Integer;
        for (text, field, op, value) in [
            ("lost<=80", "lost", Op::LessOrEqual, integer(80)),
            (" lost >= 1 ", "lost", Op::GreaterOrEqual, integer(1)),
            ("latency.p99_ns<5000000", "latency.p99_ns", Op::Less, integer(5_000_000)),
            ("latency.p99_ns<5ms", "latency.p99_ns", Op::Less, integer(5_000_000)),
            ("outages.wait.max_ns<=1.5s", "outages.wait.max_ns", Op::LessOrEqual, integer(1_500_000_000)),
            ("packets.dropped.total==0", "packets.dropped.total", Op::Equal, integer(0)),
            ("ended.closed-by-peer!=0", "ended.closed_by_peer", Op::NotEqual, integer(0)),
            ("hosts.lost.pod-1.example>=1", "hosts.lost.pod-1.example", Op::GreaterOrEqual, integer(1)),
            ("hosts.lasting.(unknown)==0", "hosts.lasting.(unknown)", Op::Equal, integer(0)),
            ("lost>-1", "lost", Op::Greater, integer(-1)),
            ("cpu_us_per_packet<2.5", "cpu_us_per_packet", Op::Less, Wanted::Float(2.5)),
            ("plan.rate_total==400", "plan.rate_total", Op::Equal, integer(400)),
            ("ending==planned", "ending", Op::Equal, Wanted::Text("planned".into())),
            ("accounting.ok==true", "accounting.ok", Op::Equal, Wanted::Bool(true)),
        ] {
            assert_eq!(parsed(text), (field.to_owned(), op, value), "{text}");
        }
        assert_eq!(" lost <= 80".parse::<Expectation>().unwrap().to_string(), "lost<=80");
    }

    #[test]
    fn what_cannot_be_is_told_with_what_is_wanted() {
        for (text, word) in [
            ("", "want FIELD OP VALUE"),
            ("lost", "want FIELD OP VALUE"),
            ("lost=80", "want FIELD OP VALUE"),
            ("<=80", "want FIELD OP VALUE"),
            ("lost<=", "want FIELD OP VALUE"),
            ("lost<==80", "want FIELD OP VALUE"),
            ("losst<=80", "lost"),
            ("latency.p98_ns<5ms", "latency.p99_ns"),
            ("latency.p99_ns.x<5ms", "latency.p99_ns"),
            ("latency<5ms", "latency.p99_ns"),
            ("hosts.lost>=1", "hosts.lost.HOST"),
            ("hosts.lost.>=1", "hosts.lost"),
            ("accounting.violations==0", "list"),
            ("lost<=many", "number"),
            ("lost<=NaN", "number"),
            ("lost<=5ms", "without a unit"),
            ("latency.p99_ns<5m5", "want a number and a unit"),
            ("ending<planned", "want == or !="),
            ("accounting.ok==yes", "true or false"),
        ] {
            let error = text.parse::<Expectation>().unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,40}", near in "(lost|latency|hosts|[.a-z_])*[<>=!]{0,3}[0-9a-z.µ-]{0,9}") {
            let _ = text.parse::<Expectation>();
            let _ = near.parse::<Expectation>();
        }
    }
}
