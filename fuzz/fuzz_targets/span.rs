//! Times on the command line: what parses is shown so that it is read as nearly the same time.

#![no_main]

#[path = "../../tg-cli/src/span.rs"]
mod span;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(time) = span::parse(text) {
        let ns = u64::try_from(time.as_nanos()).expect("at most 64 bits");
        assert_eq!(span::parse(&format!("{ns}ns")), Ok(time));
        let shown = span::show(ns);
        assert!(shown.chars().count() <= 17, "{shown}");
        if ns < 119_000_000_000 {
            let again = span::parse(&shown.replace(' ', "")).expect("its own text").as_nanos() as f64;
            assert!((again - ns as f64).abs() <= ns as f64 * 0.006, "{ns}: {shown}");
        }
    }
    if let Ok((from, to)) = span::parse_range(text) {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        assert_eq!((span::parse(first), span::parse(last)), (Ok(from), Ok(to)));
    }
});
