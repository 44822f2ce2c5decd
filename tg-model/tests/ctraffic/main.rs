//! ctraffic's JSON and analyser against files of the real one (`tests/fixtures/ctraffic`), and tg
//! journals told in its terms.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod files;
mod journals;

use tg_model::ctraffic::{Analysis, Statistics, analyze};

/// A file of the real ctraffic, and what its analyser prints for it.
const LOSSY: &str = include_str!("../fixtures/ctraffic/lossy.json");
const OUTPUTS: [(Analysis, &str); 3] = [
    (Analysis::Hosts, include_str!("../fixtures/ctraffic/lossy.hosts.txt")),
    (Analysis::Connections, include_str!("../fixtures/ctraffic/lossy.connections.txt")),
    (Analysis::Throughput, include_str!("../fixtures/ctraffic/lossy.throughput.txt")),
];

fn lossy() -> Statistics {
    Statistics::read(LOSSY.as_bytes()).expect("the fixture")
}

fn written(stats: &Statistics) -> String {
    let mut out = Vec::new();
    stats.write(&mut out).expect("writing to a Vec");
    String::from_utf8(out).expect("JSON is UTF-8")
}

fn printed(stats: &Statistics, analysis: Analysis) -> String {
    analyze(stats, analysis).expect("a run of seconds").to_string()
}
