//! What host names alone tell of servers that went, or went on. Changes when that does.

use crate::run::{Conn, Run, Untold};
use std::collections::HashMap;

/// A host as its connections tell of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// When it lost its last connection.
    pub last_loss_ns: Option<i64>,
    /// It has connections at the end.
    pub lasting: bool,
    /// When the first was established whose end the run's journal does not tell: it lasted, or a line is lost.
    pub untold_from: Option<i64>,
    /// In the order in which they were established: when that was, and up to when some connection was alive that was
    /// established by then.
    alive: Vec<(i64, i64)>,
}

/// Hosts by name.
#[derive(Debug, Default)]
pub struct Hosts {
    by_name: HashMap<String, Host>,
    /// Up to then there may have been connections whose host no line tells.
    nameless_to: Option<i64>,
    untold: Untold,
}

impl Hosts {
    pub fn new(run: &Run) -> Hosts {
        let mut by_name: HashMap<String, Host> = HashMap::new();
        let mut nameless_to = None;
        for conn in &run.conns {
            let Some(name) = &conn.host else {
                if conn.end.is_none() {
                    nameless_to = nameless_to.max(Some(run.replacement(conn.id).map_or(i64::MAX, |c| c.attempt_ns)));
                }
                continue;
            };
            by_name.entry(name.clone()).or_default().take(conn);
        }
        by_name.values_mut().for_each(Host::finish);
        Hosts { by_name, nameless_to, untold: run.untold.clone() }
    }

    /// The process that had a connection then went on for so long: it had one that was established before, and was
    /// alive still. One that came later may be of a process that was started anew. `None`: that is not told.
    pub fn outlived(&self, name: &str, ns: i64, by_ns: u64) -> Option<bool> {
        let Some(host) = self.by_name.get(name) else { return Some(false) };
        let by = ns.saturating_add_unsigned(by_ns);
        let later = |at: Option<i64>| at.is_some_and(|at| at > by);
        let outlived = later(host.alive_to(ns));
        let untold = host.untold_from.is_some_and(|from| from <= ns)
            || later(self.nameless_to)
            || self.untold.has_connection(by, i64::MAX);
        if untold && !outlived { None } else { Some(outlived) }
    }

    /// It took a connection after the first time, by the second.
    pub fn took_between(&self, name: &str, from: i64, to: i64) -> bool {
        self.by_name.get(name).is_some_and(|host| {
            let next = host.alive.partition_point(|(up, _)| *up <= from);
            host.alive.get(next).is_some_and(|(up, _)| *up <= to)
        })
    }

    /// A host that lost every connection, and had none after that: it seems to have gone. Gives when that was.
    pub fn went(&self, name: &str) -> Option<i64> {
        let host = self.by_name.get(name)?;
        let last_up = host.alive.last()?.0;
        host.last_loss_ns.filter(|lost| !host.lasting && host.untold_from.is_none() && last_up <= *lost)
    }
}

impl Host {
    fn take(&mut self, conn: &Conn) {
        let up = conn.established_ns;
        let alive_to = match (conn.loss(), &conn.end) {
            (Some(end), _) => {
                self.last_loss_ns = self.last_loss_ns.max(Some(end.ns));
                // Its client may have learnt late that it was over.
                end.ns.saturating_sub_unsigned(end.detection_ns)
            }
            (None, Some(_)) => {
                self.lasting = true;
                i64::MAX
            }
            (None, None) => {
                self.untold_from = Some(self.untold_from.map_or(up, |from| from.min(up)));
                up
            }
        };
        self.alive.push((up, alive_to));
    }

    /// All connections are in.
    fn finish(&mut self) {
        self.alive.sort_unstable();
        let mut longest = i64::MIN;
        for (_, to) in &mut self.alive {
            longest = longest.max(*to);
            *to = longest;
        }
    }

    /// Up to when one was alive that was established by then.
    fn alive_to(&self, ns: i64) -> Option<i64> {
        let by_then = self.alive.partition_point(|(up, _)| *up <= ns);
        Some(self.alive.get(by_then.checked_sub(1)?)?.1)
    }
}
