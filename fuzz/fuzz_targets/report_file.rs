//! `report`: a file of any kind is told from the others, and the text made of a journal does not steer
//! the terminal.

#![no_main]

#[path = "../../tg-cli/src/report/input.rs"]
#[allow(dead_code)]
mod input;
#[path = "../../tg-cli/src/span.rs"]
#[allow(dead_code)]
mod span;
#[path = "../../tg-cli/src/report/text/mod.rs"]
#[allow(dead_code, unused_imports)]
mod text;

use input::Input;
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;
use std::path::Path;
use text::Kept;
use tg_model::summary::Summary;

fuzz_target!(|data: &[u8]| {
    match input::read(Box::new(Cursor::new(data.to_vec()))) {
        Ok(Input::Journal(reader)) => {
            let Ok(summary) = Summary::read(*reader) else { return };
            let text = text::text(&summary, &Kept::At(Path::new("run.jsonl")));
            assert!(text.ends_with('\n') && !text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        }
        Ok(Input::Ctraffic(statistics)) => tg_fuzz::print_analyses(&statistics),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
