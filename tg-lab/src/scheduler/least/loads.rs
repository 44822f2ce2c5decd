//! The least of a list of loads, and the first of those that have it, without going through all of them: balancers
//! have thousands of destinations. Changes when a faster way is found.

/// Loads for which the least is remembered together.
const BLOCK: usize = 32;
/// Of what takes no connection.
const NONE: u64 = u64::MAX;

/// Loads in the order of destinations.
#[derive(Clone, Debug, Default)]
pub(super) struct Loads {
    loads: Vec<u64>,
    /// The least of each block.
    least: Vec<u64>,
}

impl Loads {
    /// One comes first; `None`: it takes no connection.
    pub(super) fn insert_first(&mut self, load: Option<u64>) {
        self.loads.insert(0, load.unwrap_or(NONE));
        self.sum_up();
    }

    pub(super) fn remove(&mut self, at: usize) {
        self.loads.remove(at);
        self.sum_up();
    }

    pub(super) fn set(&mut self, at: usize, load: Option<u64>) {
        self.loads[at] = load.unwrap_or(NONE);
        let block = at / BLOCK;
        let end = self.loads.len().min((block + 1) * BLOCK);
        self.least[block] = least(&self.loads[block * BLOCK..end]);
    }

    /// The first that has the least load.
    pub(super) fn first_least(&self) -> Option<usize> {
        let least = least(&self.least);
        let block = self.least.iter().position(|l| *l == least)?;
        let from = block * BLOCK;
        let within = self.loads[from..].iter().position(|l| *l == least)?;
        (least != NONE).then_some(from + within)
    }

    fn sum_up(&mut self) {
        self.least.clear();
        self.least.extend(self.loads.chunks(BLOCK).map(least));
    }
}

fn least(loads: &[u64]) -> u64 {
    loads.iter().copied().min().unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_first_of_the_least(
            first in prop::collection::vec(prop::option::of(0..5u64), 0..200),
            changes in prop::collection::vec((any::<u16>(), prop::option::of(0..5u64), 0..3u8), 0..200),
        ) {
            let mut loads = Loads::default();
            let mut plain: Vec<Option<u64>> = Vec::new();
            for load in first {
                loads.insert_first(load);
                plain.insert(0, load);
            }
            for (at, load, what) in changes {
                let at = usize::from(at) % plain.len().max(1);
                match what {
                    0 => {
                        loads.insert_first(load);
                        plain.insert(0, load);
                    }
                    1 if at < plain.len() => {
                        loads.remove(at);
                        plain.remove(at);
                    }
                    _ if at < plain.len() => {
                        loads.set(at, load);
                        plain[at] = load;
                    }
                    _ => {}
                }
                let least = plain.iter().flatten().min();
                let first = least.and_then(|least| plain.iter().position(|l| l.as_ref() == Some(least)));
                prop_assert_eq!(loads.first_least(), first);
            }
        }
    }
}
