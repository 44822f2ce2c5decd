//! A record that the kernel's programs wrote: what decodes is an event that survives the journal.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tg_ebpf::decode::{KernelNames, decode};
use tg_model::node_event::{NodeLine, Numbered, Observed, decode_node_line, encode_node_line};

fuzz_target!(|data: &[u8]| {
    let Ok(decoded) = decode(data, &KernelNames::default()) else { return };
    let observed = Observed { at_ns: decoded.at_ns, program: decoded.program.into(), event: decoded.event };
    let line = Numbered { seq: 0, line: NodeLine::Event(Box::new(observed)) };
    let mut text = Vec::new();
    encode_node_line(&line, &mut text);
    assert_eq!(decode_node_line(&text).expect("its own text"), line);
});
