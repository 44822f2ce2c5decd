//! Schedulers against what the kernel's source says, by hand.

use super::*;
use proptest::prelude::*;

fn at(n: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], n))
}

fn balancer(kind: SchedulerKind, weights: &[u32]) -> Balancer {
    let director = if kind == SchedulerKind::Random { DirectorKind::Userspace } else { DirectorKind::Ipvs };
    let mut b = Balancer::new(director, kind, 1).unwrap();
    for (n, weight) in weights.iter().enumerate() {
        b.add(at(n as u16), *weight);
    }
    b
}

/// Ports of the next `n` choices.
fn next(b: &mut Balancer, n: usize) -> Vec<u16> {
    (0..n).map(|_| b.choose(at(9)).map_or(u16::MAX, |i| b.backends()[i].address.port())).collect()
}

#[test]
fn rr_goes_from_the_newest_to_the_oldest_and_passes_over_weight_0() {
    let mut b = balancer(SchedulerKind::Rr, &[1, 1, 0, 1]);
    assert_eq!(next(&mut b, 5), [3, 1, 0, 3, 1]);
    assert_eq!(b.set_weight(at(2), 1), Some(0));
    assert_eq!(next(&mut b, 3), [0, 3, 2]);
    b.add(at(7), 1);
    assert_eq!(next(&mut b, 4), [1, 0, 7, 3], "a new one is first in the list, so its turn comes after the oldest");
}

#[test]
fn rr_goes_on_before_a_removed_one() {
    let mut b = balancer(SchedulerKind::Rr, &[1, 1, 1, 1]);
    assert_eq!(next(&mut b, 2), [3, 2]);
    assert_eq!(b.remove(at(2)).map(|d| d.active), Some(1));
    assert_eq!(next(&mut b, 2), [1, 0]);
    b.remove(at(3));
    assert_eq!(next(&mut b, 2), [1, 0]);
    b.remove(at(0));
    b.remove(at(1));
    assert_eq!(b.choose(at(9)), None);
    b.add(at(5), 1);
    assert_eq!(next(&mut b, 2), [5, 5]);
}

#[test]
fn lc_takes_the_least_of_active_times_256_plus_inactive_and_the_newest_of_equals() {
    let mut b = balancer(SchedulerKind::Lc, &[1, 1, 1]);
    assert_eq!(next(&mut b, 4), [2, 1, 0, 2]);
    b.deactivate(at(1));
    assert_eq!(b.backends()[1], Backend { address: at(1), weight: 1, active: 0, inactive: 1 });
    assert_eq!(next(&mut b, 1), [1], "one that ended counts a 256th");
    b.deactivate(at(1));
    b.close(at(0));
    assert_eq!(next(&mut b, 2), [0, 1]);
    b.expire(at(1));
    b.set_weight(at(2), 0);
    b.set_weight(at(1), 0);
    assert_eq!(next(&mut b, 1), [0]);
    b.set_weight(at(0), 0);
    assert_eq!(b.choose(at(9)), None);
}

#[test]
fn wrr_takes_the_heavy_first_and_each_by_its_weight() {
    let mut b = balancer(SchedulerKind::Wrr, &[4, 2, 6]);
    // Weights were added while the wanted weight stood at 1, so the first round is the last of a turn, as in the kernel.
    assert_eq!(next(&mut b, 3), [2, 1, 0]);
    assert_eq!(next(&mut b, 6), [2, 2, 0, 2, 1, 0]);
    assert_eq!(next(&mut b, 3), [2, 2, 0]);
    b.set_weight(at(2), 0);
    assert_eq!(next(&mut b, 3), [0, 1, 0]);
    b.set_weight(at(0), 0);
    b.set_weight(at(1), 0);
    assert_eq!(b.choose(at(9)), None);
    b.set_weight(at(1), 3);
    assert_eq!(next(&mut b, 2), [1, 1]);
}

#[test]
fn wlc_sed_and_nq_divide_by_the_weight() {
    assert_eq!(next(&mut balancer(SchedulerKind::Wlc, &[1, 2]), 6), [1, 0, 1, 1, 0, 1]);
    assert_eq!(next(&mut balancer(SchedulerKind::Sed, &[1, 4]), 6), [1, 1, 1, 1, 0, 1]);
    assert_eq!(next(&mut balancer(SchedulerKind::Nq, &[1, 4]), 6), [1, 0, 1, 1, 1, 1]);
    assert_eq!(next(&mut balancer(SchedulerKind::Wlc, &[0, 0]), 1), [u16::MAX]);
}

#[test]
fn fo_takes_the_heaviest_and_ovf_while_it_has_room() {
    assert_eq!(next(&mut balancer(SchedulerKind::Fo, &[1, 3, 2]), 3), [1, 1, 1]);
    assert_eq!(next(&mut balancer(SchedulerKind::Ovf, &[1, 2]), 5), [1, 1, 1, 0, 0]);
}

#[test]
fn sh_gives_a_client_the_same_one_and_none_where_that_one_is_drained() {
    let mut b = balancer(SchedulerKind::Sh, &[1, 1, 1, 1, 1]);
    let first = next(&mut b, 20);
    assert!(first.iter().all(|p| *p == first[0]));
    let spread: std::collections::BTreeSet<_> =
        (0..200u8).filter_map(|n| b.choose(SocketAddr::from(([192, 0, 2, n], 1)))).collect();
    assert_eq!(spread.len(), 5);
    // 10.0.0.1 is 0x0a000001: times 0x61c88647 the bucket is the product's first byte.
    let key = (0x0a00_0001u32.wrapping_mul(0x61c8_8647) >> 24) as usize;
    assert_eq!(usize::from(first[0]), 4 - key % 5);
    b.set_weight(at(first[0]), 0);
    assert_eq!(b.choose(at(9)), None, "its bucket is refused, not given to another");
    b.remove(at(first[0]));
    assert!(b.choose(at(9)).is_some());
}

#[test]
fn numgen_begins_anew_with_the_oldest_whenever_the_rule_is_written() {
    let mut b = Balancer::new(DirectorKind::Nft, SchedulerKind::Rr, 1).unwrap();
    (0..3).for_each(|n| assert_eq!(b.add(at(n), 1), None));
    assert_eq!(next(&mut b, 4), [0, 1, 2, 0]);
    b.set_weight(at(1), 0);
    assert_eq!(next(&mut b, 3), [0, 2, 0]);
    b.remove(at(1));
    assert_eq!(next(&mut b, 2), [2, 0], "what was not in the map does not change it");
    b.add(at(1), 1);
    (0..3).for_each(|n| assert!(b.set_weight(at(n), 0).is_some()));
    assert_eq!(b.choose(at(9)), None);
}

#[test]
fn what_only_the_kernel_has_says_so() {
    let error = Balancer::new(DirectorKind::Ipvs, SchedulerKind::Mh, 1).unwrap_err();
    assert_eq!(error.to_string(), "the scheduler mh is not simulated: only the kernel has it");
}

#[derive(Clone, Debug)]
enum Step {
    Add(u16, u32),
    Weight(u16, u32),
    Remove(u16),
    Choose,
    Close(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..8u16, 0..4u32).prop_map(|(n, w)| Step::Add(n, w)),
        (0..8u16, 0..4u32).prop_map(|(n, w)| Step::Weight(n, w)),
        (0..8u16).prop_map(Step::Remove),
        Just(Step::Choose),
        Just(Step::Choose),
        (0..8u16).prop_map(Step::Close),
    ]
}

fn simulated() -> impl Strategy<Value = (DirectorKind, SchedulerKind)> {
    use SchedulerKind::*;
    prop_oneof![
        prop::sample::select(vec![Rr, Lc, Wrr, Wlc, Sed, Nq, Fo, Ovf, Sh]).prop_map(|s| (DirectorKind::Ipvs, s)),
        prop::sample::select(vec![Rr, Random]).prop_map(|s| (DirectorKind::Nft, s)),
    ]
}

proptest! {
    /// Whatever is done to it: weight 0 is never chosen, one that can be is, and the counts are those of the choices.
    #[test]
    fn choices_are_among_those_that_take_connections((director, kind) in simulated(), steps in prop::collection::vec(step(), 0..80)) {
        let mut b = Balancer::new(director, kind, 7).unwrap();
        for step in steps {
            match step {
                Step::Add(n, w) => { b.add(at(n), w); }
                Step::Weight(n, w) => { b.set_weight(at(n), w); }
                Step::Remove(n) => { b.remove(at(n)); }
                Step::Close(n) => b.close(at(n)),
                Step::Choose => {
                    let before = b.backends().to_vec();
                    let chosen = b.choose(at(9));
                    match chosen {
                        Some(i) => {
                            prop_assert!(before[i].weight > 0);
                            prop_assert_eq!(b.backends()[i].active, before[i].active + 1);
                        }
                        None if matches!(kind, SchedulerKind::Sh | SchedulerKind::Ovf) => {}
                        None => prop_assert!(before.iter().all(|b| b.weight == 0)),
                    }
                }
            }
        }
    }

    /// Over whole rounds rr is fair, and so is wrr by weight.
    #[test]
    fn rounds_are_fair(weights in prop::collection::vec(0..5u32, 1..9), rounds in 1..4u32) {
        let sum: u32 = weights.iter().sum();
        let mut b = balancer(SchedulerKind::Wrr, &weights);
        (0..sum * rounds).for_each(|_| { b.choose(at(9)); });
        b.backends().iter().for_each(|d| assert_eq!(d.active, d.weight * rounds));
        let takers = weights.iter().filter(|w| **w > 0).count() as u32;
        let mut b = balancer(SchedulerKind::Rr, &weights);
        (0..takers * rounds).for_each(|_| { b.choose(at(9)); });
        b.backends().iter().for_each(|d| assert_eq!(d.active, if d.weight > 0 { rounds } else { 0 }));
    }
}
