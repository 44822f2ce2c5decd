//! Judges against choices by hand.

use super::*;
use crate::moment::Moment;

fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 80))
}

/// Candidates as host, weight, active.
type List<'a> = &'a [(u8, i32, u32)];

fn candidates(list: List) -> Vec<Candidate> {
    let one = |(host, weight, active): &(u8, i32, u32)| Candidate {
        address: address(*host),
        weight: *weight,
        active: *active,
        inactive: 0,
    };
    list.iter().map(one).collect()
}

/// `c` conforms, `d` deviates, `?` is not known, for choices of hosts from lists.
fn said(scheduler: &str, choices: &[(u8, List)]) -> String {
    let mut judge = judge_of(scheduler).unwrap();
    let source = Source { input: 0, line: 1, seq: None, at: Moment::exact(0) };
    let one = |(host, list): &(u8, List)| {
        let candidates = candidates(list);
        let chosen = (*host > 0).then(|| address(*host));
        let client = Some(address(99));
        let (whole, after_loss, changed, deleted) = (true, false, false, Vec::new());
        let candidates = &candidates;
        let choice = Choice { source, client, chosen, candidates, whole, after_loss, changed, deleted };
        match judge.judge(&choice) {
            Judgement::Conforms => 'c',
            Judgement::Deviates(_) => 'd',
            Judgement::Unknown => '?',
        }
    };
    choices.iter().map(one).collect()
}

const THREE: &[(u8, i32, u32)] = &[(1, 1, 0), (2, 1, 0), (3, 1, 0)];

#[test]
fn rr_takes_the_next_that_takes_connections() {
    assert_eq!(said("rr", &[(1, THREE), (2, THREE), (3, THREE), (1, THREE), (3, THREE)]), "?cccd");
    // One that drains is passed over; a new one comes at the head, after the last.
    let drains = &[(1, 1, 0), (2, 0, 0), (3, 1, 0)][..];
    let newer = &[(4, 1, 0), (1, 1, 0), (2, 0, 0), (3, 1, 0)][..];
    assert_eq!(said("rr", &[(1, THREE), (3, drains), (4, newer), (1, newer), (3, newer)]), "?cccc");
    // The last chosen is gone: the one before it takes its place.
    let gone = &[(1, 1, 0), (3, 1, 0)][..];
    assert_eq!(said("rr", &[(2, THREE), (3, gone)]), "?c");
    assert_eq!(said("rr", &[(1, THREE), (2, &[(2, 1, 0), (3, 1, 0)])]), "?c");
    assert_eq!(said("rr", &[(1, THREE), (0, &[(1, 0, 0)])]), "?c");
    assert_eq!(said("rr", &[(1, THREE), (0, THREE)]), "?d");
}

#[test]
fn lc_takes_one_with_the_least_and_wlc_the_least_for_its_weight() {
    let list = &[(1, 1, 3), (2, 1, 2), (3, 1, 2), (4, 0, 0)][..];
    assert_eq!(said("lc", &[(2, list), (3, list), (1, list), (4, list)]), "ccdd");
    let weighted = &[(1, 4, 3), (2, 1, 1)][..];
    assert_eq!(said("wlc", &[(1, weighted), (2, weighted)]), "cd");
    assert_eq!(said("lc", &[(2, weighted)]), "c");
    assert_eq!(said("nq", &[(2, &[(1, 9, 1), (2, 1, 0)])]), "c");
    assert_eq!(said("sed", &[(1, &[(1, 9, 1), (2, 1, 0)])]), "c");
}

#[test]
fn wrr_comes_round() {
    let list = &[(1, 2, 0), (2, 1, 0)][..];
    assert_eq!(said("wrr", &[(1, list), (1, list), (2, list), (1, list), (1, list), (1, list)]), "??cccd");
    // Another weight puts it to the head; which weight is wanted then is not told.
    let heavier = &[(1, 2, 0), (2, 3, 0)][..];
    let turn = [(2, heavier), (1, heavier), (2, heavier), (1, heavier), (2, heavier), (2, heavier)];
    assert_eq!(said("wrr", &[&[(1, list), (1, list)][..], &turn].concat()), "???ccccc");
    // Nobody would take it: whom it chose all the same cannot be right.
    assert_eq!(said("wrr", &[(1, &[(1, 0, 0)]), (1, &[(1, 0, 0)])]), "dd");
}

#[test]
fn fo_fills_the_heaviest_and_ovf_the_next_one_then() {
    let list = &[(1, 2, 9), (2, 4, 5), (3, 4, 4), (4, 0, 0)][..];
    assert_eq!(said("fo", &[(2, list), (3, list), (1, list)]), "cdd");
    assert_eq!(said("ovf", &[(2, list), (3, list), (4, list)]), "dcd");
    assert_eq!(said("ovf", &[(0, &[(1, 2, 3)]), (0, THREE)]), "cd");
}

#[test]
fn sh_keeps_a_client_where_it_is_while_the_list_stays() {
    let two = &[(1, 1, 0), (2, 1, 0)][..];
    assert_eq!(said("sh", &[(3, THREE), (3, THREE), (1, THREE), (1, two), (1, two)]), "?cd?c");
}

#[test]
fn what_cannot_be_judged_says_so() {
    assert!(judge_of("random").is_err());
    assert!(judge_of("lblc").is_err());
}
