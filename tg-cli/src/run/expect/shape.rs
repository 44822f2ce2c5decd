//! Which fields a summary has, before there is one. Known from an empty summary, so that a field that is
//! added there can be expected at once.

use serde_json::Value;
use tg_model::summary::Summary;

/// Objects whose keys are not known beforehand: host names. A key that is not there counts as 0.
const OPEN: [&str; 2] = ["hosts.lost.", "hosts.lasting."];

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    Number,
    Text,
    Bool,
    /// Null in an empty summary: a number or text.
    Unknown,
}

/// The key of an open object, and that object's place.
pub fn open_key(field: &str) -> Option<(&'static str, &str)> {
    OPEN.iter().find_map(|open| field.strip_prefix(open).map(|key| (*open, key)))
}

/// The field's value in a summary's JSON; what a key of an open object lacks is 0.
pub fn find(summary: &Value, field: &str) -> Option<Value> {
    if let Some((open, key)) = open_key(field) {
        let object = walk(summary, open.trim_end_matches('.'))?;
        return Some(object.get(key).cloned().unwrap_or_else(|| Value::from(0)));
    }
    walk(summary, field).cloned()
}

fn walk<'a>(value: &'a Value, field: &str) -> Option<&'a Value> {
    field.split('.').try_fold(value, |value, name| value.get(name))
}

/// What the field will hold, or in words why there is no such field.
pub fn holds(field: &str) -> Result<Holds, String> {
    if open_key(field).is_some_and(|(_, key)| !key.is_empty()) {
        return Ok(Holds::Number);
    }
    // An empty summary has only finite numbers and text for keys: it always is JSON.
    let empty = serde_json::to_value(Summary::default()).unwrap_or_default();
    match walk(&empty, field) {
        Some(Value::Number(_)) => Ok(Holds::Number),
        Some(Value::String(_)) => Ok(Holds::Text),
        Some(Value::Bool(_)) => Ok(Holds::Bool),
        Some(Value::Null) => Ok(Holds::Unknown),
        Some(Value::Array(_)) => Err(format!("`{field}` is a list and cannot be compared")),
        Some(Value::Object(_)) if OPEN.contains(&format!("{field}.").as_str()) => {
            Err(format!("`{field}` holds a number for each host: want {field}.HOST"))
        }
        Some(Value::Object(fields)) => Err(format!("`{field}` holds several: want one of {}", names(field, fields))),
        None => Err(nearest(&empty, field)),
    }
}

/// The names beside the one that is not there.
fn nearest(empty: &Value, field: &str) -> String {
    let mut place = field;
    while let Some((parent, _)) = place.rsplit_once('.') {
        if let Some(Value::Object(fields)) = walk(empty, parent) {
            return format!("no field `{field}`: want one of {}", names(parent, fields));
        }
        place = parent;
    }
    let all = empty.as_object().map(|fields| names("", fields)).unwrap_or_default();
    format!("no field `{field}`: want one of {all}")
}

fn names(place: &str, fields: &serde_json::Map<String, Value>) -> String {
    let dotted = |name: &String| if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
    fields.keys().map(dotted).collect::<Vec<_>>().join(", ")
}
