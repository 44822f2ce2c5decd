//! Points in time that may be wrong by so much. Changes when how they compare does.

/// A time on the run's clock, in nanoseconds from the run's start, and how wrong it may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// When; negative before the run's start.
    pub ns: i64,
    /// It may be so much earlier or later; `u64::MAX` where nothing tells.
    pub error_ns: u64,
    /// It may be so much earlier beside that: who stamped it only read of it.
    pub late_ns: u64,
}

impl Moment {
    /// One that is exact.
    pub fn exact(ns: i64) -> Moment {
        Moment { ns, ..Moment::default() }
    }

    /// Not before it.
    pub fn earliest(self) -> i64 {
        self.ns.saturating_sub_unsigned(self.error_ns).saturating_sub_unsigned(self.late_ns)
    }

    /// Not after it.
    pub fn latest(self) -> i64 {
        self.ns.saturating_add_unsigned(self.error_ns)
    }

    /// It was before `other`, or at the same time, whatever the errors are.
    pub fn surely_by(self, other: Moment) -> bool {
        self.latest() <= other.earliest()
    }

    /// It can have been before `other`, or at the same time.
    pub fn perhaps_by(self, other: Moment) -> bool {
        self.earliest() <= other.latest()
    }
}

/// A journal's own time, which counts from zero, as one that may be negative.
pub fn signed(ns: u64) -> i64 {
    i64::try_from(ns).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_make_an_order_doubtful_and_an_unknown_one_leaves_none() {
        let at = |ns, error_ns| Moment { ns, error_ns, late_ns: 0 };
        assert!(at(1, 0).surely_by(at(1, 0)));
        assert!(at(1, 2).surely_by(at(5, 2)));
        assert!(!at(1, 2).surely_by(at(5, 3)) && at(1, 2).perhaps_by(at(5, 3)));
        assert!(at(5, 3).perhaps_by(at(1, 2)) && !at(5, 1).perhaps_by(at(1, 2)));
        assert!(!at(0, u64::MAX).surely_by(at(i64::MAX - 1, 0)) && at(i64::MAX, u64::MAX).perhaps_by(at(-9, 0)));
        let late = Moment { ns: 9, error_ns: 1, late_ns: 5 };
        assert_eq!((late.earliest(), late.latest()), (3, 10));
        assert_eq!(signed(u64::MAX), i64::MAX);
    }
}
