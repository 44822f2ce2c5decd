//! Spans of time as they are written on the command line, and shown to people. Changes when either does.

use std::time::Duration;

/// Units, the longer names first where one begins another.
const UNITS: [(&str, u64); 9] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];
const WANT: &str = "want a number and a unit (ns, us, ms, s, m, h, d), such as 10s, 1.5s, 100ms or 1m30s";
const DECIMALS_MAX: usize = 18;

/// Reads `10s`, `1.5s`, `1m30s`, or `0`; at most 64 bits of nanoseconds.
pub fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total_ns = 0u128;
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_len);
        let unit = UNITS.iter().find(|(name, _)| {
            after
                .strip_prefix(name)
                .is_some_and(|next| next.is_empty() || next.starts_with(|c: char| c.is_ascii_digit()))
        });
        let (name, unit_ns) = unit.ok_or_else(|| format!("`{text}` is no time: {WANT}"))?;
        let ns = in_ns(number, *unit_ns).ok_or_else(|| format!("`{text}` is no time: {WANT}"))?;
        total_ns = total_ns.saturating_add(ns);
        rest = &after[name.len()..];
    }
    if text.is_empty() {
        return Err(format!("no time: {WANT}"));
    }
    u64::try_from(total_ns).map(Duration::from_nanos).map_err(|_| format!("`{text}` is too long: at most 584 years"))
}

/// `1.5` units in whole nanoseconds, what is smaller cut off; `None` where it is no number.
fn in_ns(number: &str, unit_ns: u64) -> Option<u128> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > DECIMALS_MAX || whole.len() > 2 * DECIMALS_MAX {
        return None;
    }
    let scale = 10u128.pow(u32::try_from(decimals.len()).ok()?);
    let unit_ns = u128::from(unit_ns);
    let whole_ns = whole.parse::<u128>().ok()?.saturating_mul(unit_ns);
    Some(whole_ns.saturating_add(decimals.parse::<u128>().ok()? * unit_ns / scale))
}

/// `100ms..1s`, or one time for both.
pub fn parse_range(text: &str) -> Result<(Duration, Duration), String> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    Ok((parse(from)?, parse(to)?))
}

/// A time to three digits, for people: `850 ns`, `12.3 µs`, `1.5 s`, `2 min 5 s`.
pub fn show(ns: u64) -> String {
    let scaled = |unit_ns: u64, unit: &str| {
        let value = ns as f64 / unit_ns as f64;
        let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
        let number = format!("{value:.decimals$}");
        let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
        format!("{number} {unit}")
    };
    match ns {
        0..1_000 => format!("{ns} ns"),
        // Where three digits would round up to the next unit, that unit is taken.
        1_000..999_500 => scaled(1_000, "µs"),
        999_500..999_500_000 => scaled(1_000_000, "ms"),
        999_500_000..119_500_000_000 => scaled(1_000_000_000, "s"),
        _ => {
            let seconds = ns.saturating_add(500_000_000) / 1_000_000_000;
            match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
                (0, min, s) => format!("{min} min {s} s"),
                (h, min, _) => format!("{h} h {min} min"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_as_people_write_them() {
        let ms = Duration::from_millis;
        for (text, want) in [
            ("10s", ms(10_000)),
            ("1.5s", ms(1_500)),
            ("100ms", ms(100)),
            ("1m30s", ms(90_000)),
            ("2min", ms(120_000)),
            ("0.5h", ms(1_800_000)),
            ("1d", ms(86_400_000)),
            ("50us", Duration::from_micros(50)),
            ("50µs", Duration::from_micros(50)),
            ("7ns", Duration::from_nanos(7)),
            ("0", Duration::ZERO),
            (" 0s ", Duration::ZERO),
            ("0.0000000019s", Duration::from_nanos(1)),
        ] {
            assert_eq!(parse(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_told_what_is_wanted() {
        for text in ["", " ", "10", "s", "1.s", ".5s", "1.2.3s", "-1s", "1 s", "10 seconds", "1sx", "1e3s", "NaN", "∞s"]
        {
            assert!(parse(text).unwrap_err().contains("want a number and a unit"), "{text}");
        }
        for text in ["600000d", "99999999999999999999999999999999999d"] {
            assert!(parse(text).unwrap_err().contains("too long"), "{text}");
        }
    }

    #[test]
    fn ranges() {
        assert_eq!(parse_range("100ms..1s"), Ok((Duration::from_millis(100), Duration::from_secs(1))));
        assert_eq!(parse_range("1s"), Ok((Duration::from_secs(1), Duration::from_secs(1))));
        assert!(parse_range("100ms..").is_err());
        assert!(parse_range("1s..2s..3s").is_err());
    }

    #[test]
    fn times_as_people_read_them() {
        for (ns, want) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1 µs"),
            (12_345, "12.3 µs"),
            (999_499, "999 µs"),
            (999_500, "1 ms"),
            (9_996_000, "10 ms"),
            (123_456_789, "123 ms"),
            (999_600_000, "1 s"),
            (1_500_000_000, "1.5 s"),
            (119_000_000_000, "119 s"),
            (125_000_000_000, "2 min 5 s"),
            (7_260_000_000_000, "2 h 1 min"),
        ] {
            assert_eq!(show(ns), want);
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,40}", times in "[0-9.msnhdµ]{0,60}") {
            let _ = (parse(&text), parse(&times), parse_range(&text));
        }

        #[test]
        fn whole_nanoseconds_survive(ns: u64) {
            prop_assert_eq!(parse(&format!("{ns}ns")), Ok(Duration::from_nanos(ns)));
            let text = format!("{}.{:09}s", ns / 1_000_000_000, ns % 1_000_000_000);
            prop_assert_eq!(parse(&text), Ok(Duration::from_nanos(ns)));
        }

        #[test]
        fn what_is_shown_is_short_and_near(ns: u64) {
            let text = show(ns);
            prop_assert!(text.chars().count() <= 17, "{text}");
            if ns < 119_000_000_000 {
                let again = parse(&text.replace(' ', "")).unwrap().as_nanos() as f64;
                prop_assert!((again - ns as f64).abs() <= ns as f64 * 0.006, "{ns}: {text}");
            }
        }
    }
}
