//! A line of an observer's journal: what decodes survives being written and read again, on one line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tg_model::node_event::{decode_node_line, encode_node_line};

fuzz_target!(|data: &[u8]| {
    let Ok(line) = decode_node_line(data) else { return };
    let mut text = Vec::new();
    encode_node_line(&line, &mut text);
    assert_eq!(text.iter().position(|b| *b == b'\n'), Some(text.len() - 1));
    assert_eq!(decode_node_line(&text).expect("its own text"), line);
});
