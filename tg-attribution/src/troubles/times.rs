//! When attempts were under way. Changes when which of them overlap does.

use super::strays::Window;
use crate::moment::Moment;
use std::collections::HashMap;
use std::net::SocketAddr;

/// When there were attempts to one address, each in order.
pub struct Times {
    begins: Vec<i64>,
    ends: Vec<i64>,
    pub crowds: Vec<Crowd>,
}

/// Attempts that overlap.
pub struct Crowd {
    pub from: i64,
    pub to: i64,
    pub attempts: usize,
}

/// By the address that was tried.
pub fn times(windows: impl Iterator<Item = Window>) -> HashMap<SocketAddr, Times> {
    let mut spans: HashMap<SocketAddr, Vec<(i64, i64)>> = HashMap::new();
    for window in windows {
        spans.entry(window.remote).or_default().push((window.from, window.to));
    }
    spans.into_iter().map(|(remote, spans)| (remote, Times::new(spans))).collect()
}

impl Times {
    fn new(mut spans: Vec<(i64, i64)>) -> Times {
        spans.sort_unstable();
        let mut ends: Vec<i64> = spans.iter().map(|(_, to)| *to).collect();
        ends.sort_unstable();
        let mut crowds: Vec<Crowd> = Vec::new();
        for (from, to) in &spans {
            match crowds.last_mut() {
                Some(crowd) if *from <= crowd.to => {
                    crowd.to = crowd.to.max(*to);
                    crowd.attempts += 1;
                }
                _ => crowds.push(Crowd { from: *from, to: *to, attempts: 1 }),
            }
        }
        Times { begins: spans.into_iter().map(|(from, _)| from).collect(), ends, crowds }
    }

    /// How many may have been under way then.
    pub fn under_way(&self, at: Moment) -> usize {
        let begun = self.begins.partition_point(|from| *from <= at.latest());
        begun.saturating_sub(self.ends.partition_point(|to| *to < at.earliest()))
    }
}
