//! Journals as text, with damage in it: whatever can still be read is attributed.

use super::plain;
use super::sim::{Director, Random, Scenario, Setup, simulate};
use proptest::prelude::*;
use tg_attribution::{Inputs, Journal, attribute};
use tg_model::cluster_event::{ClusterLine, ClusterReader, encode_cluster_line};
use tg_model::journal::{Line, Reader, encode_line};
use tg_model::node_event::{NodeLine, NodeReader, Numbered, encode_node_line};

/// The journals' texts: the run's, the cluster's, the nodes'.
fn texts(inputs: &Inputs) -> Vec<Vec<u8>> {
    let (mut run, mut cluster) = (Vec::new(), Vec::new());
    encode_line(&Line::Header(Box::new(inputs.run.header.clone())), &mut run);
    inputs.run.lines.iter().for_each(|(_, l)| encode_line(l, &mut run));
    let told = inputs.cluster.as_ref().unwrap();
    encode_cluster_line(&ClusterLine::Header(Box::new(told.header.clone())), &mut cluster);
    told.lines.iter().for_each(|(_, l)| encode_cluster_line(l, &mut cluster));
    let nodes = inputs.nodes.iter().map(|node| {
        let mut text = Vec::new();
        let line = NodeLine::Header(Box::new(node.header.clone()));
        encode_node_line(&Numbered { seq: 0, line }, &mut text);
        node.lines.iter().for_each(|(_, l)| encode_node_line(l, &mut text));
        text
    });
    [run, cluster].into_iter().chain(nodes).collect()
}

fn read(texts: &[Vec<u8>]) -> Option<Inputs> {
    let run = Journal::read("run.jsonl", Reader::new(&texts[0][..]).ok()?).ok()?;
    let cluster = ClusterReader::open(&texts[1][..]).ok();
    let cluster = cluster.map(|r| Journal::read("cluster.jsonl", r)).transpose().ok()?;
    let nodes = texts[2..].iter().enumerate().filter_map(|(nth, text)| {
        Journal::read(&format!("node-{}.jsonl", nth + 1), NodeReader::open(&text[..]).ok()?).ok()
    });
    let nodes = nodes.collect();
    Some(Inputs { run, nodes, cluster })
}

/// Numbers become others, pieces go, come twice, or end the text.
fn damage(text: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..random.below(40) {
        let at = random.below(text.len() as u64) as usize;
        let len = random.below(60) as usize;
        let end = (at + len).min(text.len());
        match random.below(12) {
            0 => drop(text.drain(at..end)),
            1 => text[at] = b"\n{}\",:0-x\xff"[random.below(10) as usize],
            2 => {
                let piece = text[at..end].to_vec();
                text.splice(at..at, piece);
            }
            3 if random.chance(5) => text.truncate(at),
            _ => {
                // The digits that come next: most numbers stay numbers.
                let more = text[at..].iter().position(u8::is_ascii_digit).unwrap_or(0);
                if text[at + more].is_ascii_digit() {
                    text[at + more] = b'0' + random.below(10) as u8;
                }
            }
        }
        if text.is_empty() {
            return;
        }
    }
}

#[test]
fn a_journal_survives_being_written_and_read() {
    let zoo = simulate(Setup { nodes: 2, ..plain(Scenario::Upgrade, Director::Ipvs) });
    let read = read(&texts(&zoo.inputs)).unwrap();
    assert_eq!(attribute(&read), attribute(&zoo.inputs));
}

proptest! {
    #![proptest_config(super::properties::config())]

    #[test]
    fn damage_is_no_panic(seed: u64, nth in 0..Scenario::ALL.len(), kind in 0..3usize) {
        let director = [Director::Ipvs, Director::Rules, Director::Proxy][kind];
        let scenario = Some(Scenario::ALL[nth]).filter(|s| s.can_be(director, 2, false)).unwrap_or(Scenario::Mixed);
        let zoo = simulate(Setup { seed, slots: 8, nodes: 2, ports: 2, ..plain(scenario, director) });
        let mut random = Random::new(seed);
        let mut texts = texts(&zoo.inputs);
        texts.iter_mut().for_each(|t| damage(t, &mut random));
        if let Some(inputs) = read(&texts) {
            let run = attribute(&inputs);
            let t = run.totals;
            prop_assert_eq!(t.confirmed + t.suspected + t.unattributed, t.lost);
            prop_assert_eq!(attribute(&inputs), run);
        }
    }
}
