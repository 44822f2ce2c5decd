//! Spans of time in words. Changes when how they read does.

/// A span, to three places of the unit that fits: `1.5 s`, `250 ms`, `40 µs`.
pub fn span(ns: u64) -> String {
    let (value, unit) = match ns {
        0..=999 => return format!("{ns} ns"),
        1_000..=999_999 => (ns as f64 / 1e3, "µs"),
        1_000_000..=999_999_999 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    let places = if value < 10.0 {
        2
    } else if value < 100.0 {
        1
    } else {
        0
    };
    let text = format!("{value:.places$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} {unit}")
}

/// Where a time lies against the connection's end: `2 s before`.
pub fn after(end_ns: i64, at_ns: i64) -> String {
    match end_ns.abs_diff(at_ns) {
        0 => "at the same time".to_owned(),
        ns if at_ns < end_ns => format!("{} before", span(ns)),
        ns => format!("{} later", span(ns)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_places_and_no_zeros_that_say_nothing() {
        let all = [0, 999, 1_500, 40_000, 2_000_000, 999_999_999, 1_500_000_000, 12_340_000_000].map(span);
        assert_eq!(all, ["0 ns", "999 ns", "1.5 µs", "40 µs", "2 ms", "1000 ms", "1.5 s", "12.3 s"]);
        assert_eq!(after(5_000_000_000, 2_000_000_000), "3 s before");
        assert_eq!(after(2, 5), "3 ns later");
        assert_eq!(after(2, 2), "at the same time");
    }
}
