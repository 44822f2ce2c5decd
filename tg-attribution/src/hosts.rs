//! What host names alone tell of servers that went. Changes when that does.

use crate::run::{Run, Untold};
use std::collections::HashMap;

/// A host as its connections tell of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// When it lost its first and its last connection.
    pub first_loss_ns: Option<i64>,
    pub last_loss_ns: Option<i64>,
    /// When a connection to it was established last.
    pub last_established_ns: i64,
    /// It has connections at the end.
    pub lasting: bool,
    /// It has connections whose end the run's journal does not tell: they lasted, or a line is lost.
    pub untold: bool,
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
            let fresh = Host { last_established_ns: conn.established_ns, ..Host::default() };
            let host = by_name.entry(name.clone()).or_insert(fresh);
            host.last_established_ns = host.last_established_ns.max(conn.established_ns);
            match conn.loss() {
                None if conn.end.is_none() => host.untold = true,
                Some(end) => {
                    host.first_loss_ns = Some(host.first_loss_ns.map_or(end.ns, |ns| ns.min(end.ns)));
                    host.last_loss_ns = Some(host.last_loss_ns.map_or(end.ns, |ns| ns.max(end.ns)));
                }
                None => host.lasting = true,
            }
        }
        Hosts { by_name, nameless_to, untold: run.untold.clone() }
    }

    /// It had a connection so much later than this time, or still has one; `None`: that is not told.
    pub fn outlived(&self, name: &str, ns: i64, by_ns: u64) -> Option<bool> {
        let Some(host) = self.by_name.get(name) else { return Some(false) };
        let by = ns.saturating_add_unsigned(by_ns);
        let later = |at: Option<i64>| at.is_some_and(|at| at > by);
        let outlived = host.lasting || later(host.last_loss_ns) || later(Some(host.last_established_ns));
        let untold = host.untold || later(self.nameless_to) || self.untold.has_connection(by, i64::MAX);
        if untold && !outlived { None } else { Some(outlived) }
    }

    /// A host that lost every connection, and had none after that: it seems to have gone. Gives when that was.
    pub fn went(&self, name: &str) -> Option<i64> {
        let host = self.by_name.get(name)?;
        host.last_loss_ns.filter(|lost| !host.lasting && !host.untold && host.last_established_ns <= *lost)
    }
}
