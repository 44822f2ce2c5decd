//! What is aimed at, and by how much it is met or missed. Changes when targets are told otherwise.

use super::series::short;

/// An aim, and the figure that is held against it.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    what: String,
    unit: &'static str,
    sense: Sense,
    limit: f64,
    /// `None` where it was not measured.
    measured: Option<f64>,
    /// The floor's own figure, where it is of the same kind.
    floor: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sense {
    AtMost,
    AtLeast,
}

impl Target {
    /// `unit` with the space before it, if any.
    pub fn at_most(what: impl Into<String>, measured: Option<f64>, limit: f64, unit: &'static str) -> Target {
        Target { what: what.into(), unit, sense: Sense::AtMost, limit, measured, floor: None }
    }

    pub fn at_least(what: impl Into<String>, measured: Option<f64>, limit: f64, unit: &'static str) -> Target {
        Target { sense: Sense::AtLeast, ..Target::at_most(what, measured, limit, unit) }
    }

    /// What the machine gives at best.
    #[must_use]
    pub fn floor(self, floor: Option<f64>) -> Target {
        Target { floor: floor.filter(|v| !v.is_nan()), ..self }
    }

    /// One line: the judgement first.
    pub fn line(&self) -> String {
        let Target { what, unit, limit, .. } = self;
        let sense = if self.sense == Sense::AtMost { "at most" } else { "at least" };
        let aim = format!("target: {sense} {}{unit}", trimmed(*limit));
        let Some(measured) = self.measured.filter(|v| !v.is_nan()) else {
            return format!("not measured: {what} ({aim})");
        };
        let told = format!("{what}: {}{unit} ({aim})", short(measured));
        match (self.excess(measured), self.floor.map(|f| (f, self.excess(f)))) {
            (None, _) => format!("met: {told}"),
            (Some(_), Some((floor, Some(by)))) => {
                let ratio = short(measured / floor);
                format!("the floor itself misses it by {by}: {told}; floor {}{unit}, ratio {ratio}", short(floor))
            }
            (Some(by), _) => format!("missed by {by}: {told}"),
        }
    }

    /// How far it is on the wrong side; `None` where it is not.
    fn excess(&self, value: f64) -> Option<String> {
        let by = if self.sense == Sense::AtMost { value - self.limit } else { self.limit - value };
        if by <= 0.0 {
            None
        } else if self.limit == 0.0 {
            Some(format!("{}{}", trimmed(by), self.unit))
        } else {
            Some(format!("{} %", short(by / self.limit.abs() * 100.0)))
        }
    }
}

/// Without decimals that say nothing.
fn trimmed(value: f64) -> String {
    let text = short(value);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_judgement() {
        let late = |measured| Target::at_most("lateness p99, tg uring", measured, 100.0, " µs");
        assert_eq!(late(Some(100.0)).line(), "met: lateness p99, tg uring: 100 µs (target: at most 100 µs)");
        assert_eq!(
            late(Some(112.0)).floor(Some(90.0)).line(),
            "missed by 12.0 %: lateness p99, tg uring: 112 µs (target: at most 100 µs)"
        );
        assert_eq!(
            late(Some(150.0)).floor(Some(120.0)).line(),
            "the floor itself misses it by 20.0 %: lateness p99, tg uring: 150 µs (target: at most 100 µs); \
             floor 120 µs, ratio 1.25"
        );
        assert_eq!(late(None).line(), "not measured: lateness p99, tg uring (target: at most 100 µs)");
        assert_eq!(late(Some(f64::NAN)).line(), late(None).line());
    }

    #[test]
    fn at_least_and_none_at_all() {
        let ratio = |measured| Target::at_least("tg / floor", Some(measured), 0.95, "").line();
        assert_eq!(ratio(0.95), "met: tg / floor: 0.95 (target: at least 0.95)");
        assert_eq!(ratio(0.76), "missed by 20.0 %: tg / floor: 0.76 (target: at least 0.95)");
        let failures = |measured| Target::at_most("failures", Some(measured), 0.0, "").line();
        assert_eq!(failures(0.0), "met: failures: 0 (target: at most 0)");
        assert_eq!(failures(3.0), "missed by 3: failures: 3.00 (target: at most 0)");
    }
}
