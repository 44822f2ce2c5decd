//! A report as JSON. The fields are the summary's.

use serde::Serialize;

#[derive(Serialize)]
struct Named<'a, T> {
    file: &'a str,
    #[serde(flatten)]
    report: &'a T,
}

/// One object over several lines.
pub fn json(report: &impl Serialize) -> Vec<u8> {
    // Only numbers, text, lists and objects with text for keys: always JSON.
    let mut out = serde_json::to_vec_pretty(report).unwrap_or_default();
    out.push(b'\n');
    out
}

/// As [`json`], with the field `file` before the others.
pub fn json_named(file: &str, report: &impl Serialize) -> Vec<u8> {
    json(&Named { file, report })
}
