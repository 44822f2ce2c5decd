//! `--expect`: what parses is shown so that it parses again, can be held against any summary, and its
//! opposite never holds with it.

#![no_main]

#[path = "../../tg-cli/src/run/expect/mod.rs"]
mod expect;
#[path = "../../tg-cli/src/span.rs"]
#[allow(dead_code)]
mod span;

use expect::{Expectation, failures};
use libfuzzer_sys::fuzz_target;
use tg_model::summary::Summary;

/// Each operator and its opposite, the longer ones first where one begins another.
const OPPOSITES: [(&str, &str); 6] = [("==", "!="), ("!=", "=="), ("<=", ">"), (">=", "<"), ("<", ">="), (">", "<=")];

fuzz_target!(|text: &str| {
    let Ok(expectation) = text.parse::<Expectation>() else { return };
    let shown = expectation.to_string();
    let again: Expectation = shown.parse().expect("its own text");
    assert_eq!(again.to_string(), shown);
    let summary = Summary::default();
    let holds = failures(&[again], &summary).is_empty();
    let (field, rest) = shown.split_at(shown.find(['<', '>', '=', '!']).expect("an operator"));
    let opposite = OPPOSITES.iter().find_map(|(one, other)| Some((other, rest.strip_prefix(one)?)));
    let (operator, value) = opposite.expect("an operator");
    let opposite: Expectation = format!("{field}{operator}{value}").parse().expect("the opposite");
    assert!(!(holds && failures(&[opposite], &summary).is_empty()), "{shown} and its opposite hold");
});
