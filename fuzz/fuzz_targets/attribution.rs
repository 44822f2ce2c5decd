//! The journals of a run, of nodes and of a cluster, parted by empty lines, up to the verdict: its numbers add up, it
//! is the same each time, and nothing is confirmed that lacks something.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tg_attribution::{Inputs, Journal, attribute};
use tg_model::cluster_event::ClusterReader;
use tg_model::journal::Reader;
use tg_model::node_event::NodeReader;
use tg_model::verdict::Grade;

/// The parts of a text that empty lines part.
fn parts(data: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(2).position(|w| w == b"\n\n") {
        parts.push(&rest[..=at]);
        rest = &rest[at + 2..];
    }
    parts.push(rest);
    parts
}

fn inputs(data: &[u8]) -> Option<Inputs> {
    let mut parts = parts(data).into_iter();
    let run = Journal::read("run", Reader::new(parts.next()?).ok()?).ok()?;
    let (mut nodes, mut cluster) = (Vec::new(), None);
    for part in parts {
        if let Ok(reader) = NodeReader::open(part) {
            nodes.push(Journal::read("node", reader).ok()?);
        } else if let Ok(reader) = ClusterReader::open(part) {
            cluster = Some(Journal::read("cluster", reader).ok()?);
        }
    }
    Some(Inputs { run, nodes, cluster })
}

fuzz_target!(|data: &[u8]| {
    let Some(inputs) = inputs(data) else { return };
    let run = attribute(&inputs);
    assert_eq!(attribute(&inputs), run);
    let t = run.totals;
    assert_eq!(t.confirmed + t.suspected + t.unattributed, t.lost);
    assert_eq!(run.verdicts.len() as u64, t.lost);
    if let (Some(perfect), Some(more)) = (t.perfect, t.more) {
        assert_eq!(perfect + more, t.lost);
    }
    for v in &run.verdicts {
        for finding in [&v.ended_by, &v.placed_by] {
            assert_eq!(finding.grade == Grade::Confirmed, finding.missing.is_empty());
        }
    }
    assert!(serde_json::to_vec(&run).is_ok());
});
