//! ctraffic's statistics: what can be read survives being written and read again, is written the same
//! again, and every analysis of it comes out without steering the terminal.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tg_fuzz::print_analyses;
use tg_model::ctraffic::Statistics;

fuzz_target!(|data: &[u8]| {
    let Ok(statistics) = Statistics::read(data) else { return };
    let text = written(&statistics);
    assert_eq!(text.iter().position(|b| *b == b'\n'), Some(text.len() - 1));
    let again = Statistics::read(&text).expect("its own text");
    assert_eq!(again, statistics);
    assert_eq!(written(&again), text);
    print_analyses(&statistics);
});

fn written(statistics: &Statistics) -> Vec<u8> {
    let mut text = Vec::new();
    statistics.write(&mut text).expect("writing to a Vec");
    text
}
