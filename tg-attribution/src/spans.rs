//! Spans of time, to be asked whether one touches another. Changes when what is asked of them does.

/// Spans of time, in order; none touches the next.
#[derive(Clone, Debug, Default)]
pub struct Spans(Vec<(i64, i64)>);

impl Spans {
    pub fn new(mut all: Vec<(i64, i64)>) -> Spans {
        // Of a damaged journal an end may be before its begin.
        all.iter_mut().for_each(|(from, to)| (*from, *to) = ((*from).min(*to), (*from).max(*to)));
        all.sort_unstable();
        let mut spans: Vec<(i64, i64)> = Vec::new();
        for (from, to) in all {
            match spans.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => spans.push((from, to)),
            }
        }
        Spans(spans)
    }

    pub fn touches(&self, from: i64, to: i64) -> bool {
        let first = self.0.partition_point(|span| span.1 < from);
        self.0.get(first).is_some_and(|span| span.0 <= to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_that_touch_are_one() {
        let spans = Spans::new(vec![(5, 7), (3, 1), (3, 4)]);
        assert_eq!(spans.0, [(1, 4), (5, 7)]);
        assert!(spans.touches(4, 4) && spans.touches(-9, 1) && spans.touches(7, 99) && spans.touches(2, 6));
        assert!(!spans.touches(-9, 0) && !spans.touches(8, 99));
    }
}
