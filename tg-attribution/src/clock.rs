//! How a journal's times come to the run's clock. Changes when an offset is estimated in another way.
//!
//! Journals of one boot share a monotonic clock: their headers give the offset exactly. Else both headers' real
//! times give a guess, and events that both journals tell of give bounds: a node sees a connection's SYN after its
//! client began to connect and before it was established, so each such pair bounds the offset from both sides. The
//! estimate is the middle of the span that most bounds agree on (Marzullo's way), its error half of that span.

use tg_model::verdict::{Clock, ClockWay};

/// What a journal's header says of its clock.
#[derive(Clone, Copy, Debug)]
pub struct HeaderClock<'a> {
    pub boot_id: &'a str,
    pub monotonic_ns: u64,
    pub realtime_ns: u64,
}

/// The offset lies in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    pub lowest: i64,
    pub highest: i64,
}

/// Offsets that are farther apart are different ones.
const APART_NS: i64 = 100_000_000;

/// The run's own clock.
pub const OWN: Clock = Clock { way: ClockWay::Own, offset_ns: 0, error_ns: Some(0), pairs: 0 };

/// A bound that is looser says nothing that the real times do not.
const LOOSE_NS: i64 = 60_000_000_000;

/// The clock of a journal, as far as the headers tell.
pub fn by_headers(run: HeaderClock, other: HeaderClock) -> Clock {
    let difference = |a: u64, b: u64| i64::try_from(i128::from(a) - i128::from(b)).unwrap_or(0);
    if !run.boot_id.is_empty() && run.boot_id == other.boot_id {
        let offset_ns = difference(other.monotonic_ns, run.monotonic_ns);
        return Clock { way: ClockWay::SameBoot, offset_ns, error_ns: Some(0), pairs: 0 };
    }
    let offset_ns = difference(other.realtime_ns, run.realtime_ns);
    Clock { way: ClockWay::RealTime, offset_ns, error_ns: None, pairs: 0 }
}

/// The clock with what bounds tell. One that is exact stays as it is.
pub fn matched(clock: Clock, bounds: &[Bound]) -> Clock {
    if clock.way == ClockWay::SameBoot {
        return clock;
    }
    let usable = |b: &&Bound| b.lowest <= b.highest && b.highest.saturating_sub(b.lowest) <= LOOSE_NS;
    let mut edges: Vec<(i64, i32)> =
        bounds.iter().filter(usable).flat_map(|b| [(b.lowest, -1), (b.highest, 1)]).collect();
    // Begins before ends at the same place: spans that touch agree there.
    edges.sort_unstable();
    let Some(Peak { low, high, depth }) = peak(&edges, |_| true) else { return clock };
    // Ports that are used again pair events that are none: an offset that they favour as much is not ruled out.
    let elsewhere = |at: i64| at < low.saturating_sub(APART_NS) || at > high.saturating_add(APART_NS);
    if peak(&edges, elsewhere).is_some_and(|rival| rival.depth * 5 >= depth * 4) {
        return clock;
    }
    let width = high.saturating_sub(low).unsigned_abs();
    let offset_ns = low.saturating_add_unsigned(width / 2);
    let pairs = u64::from(depth.unsigned_abs());
    Clock { way: ClockWay::Matched, offset_ns, error_ns: Some(width.div_ceil(2)), pairs }
}

/// A span that so many bounds agree on.
struct Peak {
    low: i64,
    high: i64,
    depth: i32,
}

/// The deepest span that begins where it may. Edges are sorted; a begin is −1, an end 1.
fn peak(edges: &[(i64, i32)], may: impl Fn(i64) -> bool) -> Option<Peak> {
    let mut depth = 0;
    let mut best: Option<Peak> = None;
    for (nth, (at, kind)) in edges.iter().enumerate() {
        depth -= kind;
        if *kind < 0 && may(*at) && best.as_ref().is_none_or(|b| depth > b.depth) {
            // The next edge ends the span: were it a begin, it would be deeper still.
            best = edges.get(nth + 1).map(|(high, _)| Peak { low: *at, high: *high, depth });
        }
    }
    best
}

/// The clock with bounds from one side only: at least `lowest`, at most `highest`. The guess stays where it fits;
/// its error is then how far it is from the farther bound.
pub fn between(clock: Clock, lowest: Option<i64>, highest: Option<i64>, pairs: u64) -> Clock {
    let (ClockWay::RealTime, Some(low), Some(high)) = (clock.way, lowest, highest) else { return clock };
    if low > high {
        return clock;
    }
    let offset_ns = clock.offset_ns.clamp(low, high);
    let error = offset_ns.abs_diff(low).max(offset_ns.abs_diff(high));
    Clock { way: ClockWay::Matched, offset_ns, error_ns: Some(error), pairs }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GUESS: Clock = Clock { way: ClockWay::RealTime, offset_ns: 7, error_ns: None, pairs: 0 };

    fn header(boot_id: &str, monotonic_ns: u64, realtime_ns: u64) -> HeaderClock<'_> {
        HeaderClock { boot_id, monotonic_ns, realtime_ns }
    }

    #[test]
    fn one_boot_is_exact_and_two_are_a_guess() {
        let exact = by_headers(header("b", 100, 9), header("b", 40, 1));
        assert_eq!(exact, Clock { way: ClockWay::SameBoot, offset_ns: -60, error_ns: Some(0), pairs: 0 });
        let guess = by_headers(header("b", 100, 9), header("c", 40, 1));
        assert_eq!(guess, Clock { way: ClockWay::RealTime, offset_ns: -8, error_ns: None, pairs: 0 });
        assert_eq!(by_headers(header("", 1, 9), header("", 2, 9)).way, ClockWay::RealTime);
        assert_eq!(matched(exact, &[Bound { lowest: 1, highest: 2 }]), exact);
    }

    #[test]
    fn most_bounds_agree_and_one_that_is_wrong_is_outvoted() {
        let bound = |lowest, highest| Bound { lowest, highest };
        let far = 5 * APART_NS;
        let clock = matched(GUESS, &[bound(0, 10), bound(4, 20), bound(far, far + 1), bound(5, 3)]);
        assert_eq!(clock, Clock { way: ClockWay::Matched, offset_ns: 7, error_ns: Some(3), pairs: 2 });
        assert_eq!(matched(GUESS, &[bound(0, 10), bound(far, far + 1)]), GUESS, "two that are as good");
        assert_eq!(matched(GUESS, &[]), GUESS);
        assert_eq!(matched(GUESS, &[bound(0, LOOSE_NS + 1)]), GUESS);
        assert_eq!(matched(GUESS, &[bound(3, 3), bound(3, 5)]).offset_ns, 3);
    }

    #[test]
    fn one_sided_bounds_hold_the_guess() {
        assert_eq!(between(GUESS, Some(0), None, 1), GUESS);
        let inside = between(GUESS, Some(0), Some(10), 4);
        assert_eq!(inside, Clock { way: ClockWay::Matched, offset_ns: 7, error_ns: Some(7), pairs: 4 });
        assert_eq!(between(GUESS, Some(9), Some(12), 1).offset_ns, 9);
        assert_eq!(between(GUESS, Some(9), Some(8), 1), GUESS);
    }

    proptest! {
        /// Whatever the delays are: the offset is within the error that is told.
        #[test]
        fn the_true_offset_is_within_the_error(
            offset in -1_000_000_000_000i64..1_000_000_000_000,
            delays in prop::collection::vec((0i64..5_000_000, 0i64..5_000_000), 1..40),
        ) {
            let bounds: Vec<Bound> =
                delays.iter().map(|(before, after)| Bound { lowest: offset - before, highest: offset + after }).collect();
            let clock = matched(GUESS, &bounds);
            prop_assert!(clock.offset_ns.abs_diff(offset) <= clock.error_ns.unwrap());
            prop_assert_eq!(clock.pairs, bounds.len() as u64);
        }
    }
}
