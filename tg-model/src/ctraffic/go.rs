//! How Go prints, where that differs from Rust. Changes when Go's way to print does.

use serde_json::ser::Formatter;
use std::io::{self, Write};

/// Writes JSON as Go's `encoding/json` does by default: floats in its form, and `<`, `>`, `&` and the
/// two line separators of Unicode escaped, so that the text is safe inside HTML and JavaScript.
pub(super) struct GoFormatter;

impl Formatter for GoFormatter {
    fn write_f64<W: ?Sized + Write>(&mut self, out: &mut W, value: f64) -> io::Result<()> {
        out.write_all(json_float(value).as_bytes())
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let special = |c| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| special(*c)) {
            write!(out, "{}\\u{:04x}", &rest[..at], u32::from(c))?;
            rest = &rest[at + c.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}

/// `encoding/json`: the shortest digits that read back equal; an exponent below 1e-6 and from 1e21 on.
pub(super) fn json_float(value: f64) -> String {
    let abs = value.abs();
    if abs != 0.0 && !(1e-6..1e21).contains(&abs) {
        let (digits, exponent) = scientific(value);
        return format!("{digits}e{exponent:+}");
    }
    value.to_string()
}

/// `fmt.Println`: the shortest digits; an exponent of at least two digits below 1e-4 and from 1e6 on.
pub(super) fn print_float(value: f64) -> String {
    let (digits, exponent) = scientific(value);
    if value != 0.0 && !(-4..6).contains(&exponent) {
        return format!("{digits}e{exponent:+03}");
    }
    value.to_string()
}

/// The shortest digits, and the decimal exponent.
fn scientific(value: f64) -> (String, i32) {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (digits.to_owned(), exponent.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn json_floats_have_an_exponent_only_at_the_far_ends() {
        let cases = [
            (0.0, "0"),
            (80.0, "80"),
            (-2.5, "-2.5"),
            (0.1, "0.1"),
            (1e-6, "0.000001"),
            (9.99e-7, "9.99e-7"),
            (1e-10, "1e-10"),
            (123456789.0, "123456789"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
        ];
        for (value, text) in cases {
            assert_eq!(json_float(value), text);
        }
    }

    #[test]
    fn printed_floats_have_an_exponent_from_a_million_on() {
        let cases = [
            (0.0, "0"),
            (0.5, "0.5"),
            (79.96620795980654, "79.96620795980654"),
            (2.5017775330000003, "2.5017775330000003"),
            (999999.5, "999999.5"),
            (1e6, "1e+06"),
            (1234567.5, "1.2345675e+06"),
            (1e100, "1e+100"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
        ];
        for (value, text) in cases {
            assert_eq!(print_float(value), text);
        }
    }

    proptest! {
        #[test]
        fn both_forms_read_back_equal(value in prop::num::f64::NORMAL | prop::num::f64::ZERO) {
            prop_assert_eq!(json_float(value).parse(), Ok(value));
            prop_assert_eq!(print_float(value).parse(), Ok(value));
        }
    }
}
