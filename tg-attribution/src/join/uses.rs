//! Which connection used a tuple when. Changes when how an event's owner is told does.

use super::tuples::Hop;
use crate::moment::Moment;
use crate::run::{Conn, Untold};
use crate::spans::Spans;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use tg_model::node_event::Tuple;

/// An event may be stamped so much before the beginning that it belongs to: two readings of one clock.
const SLACK_NS: i64 = 1_000_000;
/// A packet of a connection that ended is on its way for so long at most.
const LATE_NS: i64 = 50_000_000;

/// A tuple's use by a connection, from some time on.
#[derive(Clone, Copy, Debug)]
struct Use {
    from: Moment,
    /// `None`: by an attempt that failed, of which the run does not tell the port.
    conn: Option<usize>,
}

/// Whose an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// No connection's that was established.
    None,
    One(usize),
    /// One of several: the clocks do not tell which.
    Doubtful,
}

/// The uses of all tuples, each tuple's in the order of time.
#[derive(Debug, Default)]
pub struct Uses {
    by_tuple: HashMap<(u8, Tuple), Vec<Use>>,
    /// By the client's end alone, for balancers that know the service by a mark.
    by_client: HashMap<(u8, SocketAddr), Vec<Use>>,
    /// Of each connection, by its place.
    lives: Vec<Life>,
    /// Of what may have used a tuple, too, no line of the run tells.
    untold: Untold,
    /// Its own ends, and whether a translation was told of for it.
    own: Vec<(u8, Tuple)>,
    translated: HashSet<usize>,
    /// Own ends of connections of which the clocks do not tell which of them was given a translation.
    perhaps_translated: HashSet<(u8, Tuple)>,
    /// When nodes lost events: it may be that of a translation.
    lost: Spans,
}

/// When a connection began, was established, and ended.
#[derive(Clone, Copy, Debug)]
struct Life {
    began: i64,
    up: i64,
    ended: i64,
}

impl Uses {
    /// `lost`: when nodes lost events.
    pub fn new(conns: &[Conn], untold: Untold, lost: Spans) -> Uses {
        let life = |c: &Conn| {
            let ended = c.end.as_ref().map_or(i64::MAX, |e| e.ns);
            Life { began: c.attempt_ns, up: c.established_ns, ended }
        };
        Uses { lives: conns.iter().map(life).collect(), untold, lost, ..Uses::default() }
    }

    /// It is too late to be of a connection: a packet is on its way for so long at most.
    pub fn is_over(&self, conn: usize, at: Moment) -> bool {
        self.lives.get(conn).is_some_and(|life| at.earliest() > life.ended.saturating_add(LATE_NS))
    }

    /// It may be of something else that used the tuple before the connection or after it, of which no line tells.
    pub fn is_untold(&self, conn: usize, at: Moment) -> bool {
        let (from, to) = (at.earliest(), at.latest());
        self.lives.get(conn).is_some_and(|life| {
            (from < life.began && self.untold.touches(from, life.began))
                || (to > life.ended && self.untold.touches(life.ended, to))
        })
    }

    /// The connection that an event is really of that comes by a tuple of this one: a later one with the same own ends
    /// goes on by the translations that are there, where it was given none. `None`: whether it was is not told.
    pub fn heir(&self, conn: usize, at: Moment) -> Option<usize> {
        let Some(own) = self.own.get(conn) else { return Some(conn) };
        let heir = match self.owner(own.0, own.1, at) {
            Owner::One(heir) if heir != conn && !self.translated.contains(&heir) => heir,
            _ => return Some(conn),
        };
        let life = self.lives.get(heir)?;
        let untold = self.perhaps_translated.contains(own) || self.lost.touches(life.began, life.up);
        (!untold && life.began <= at.earliest()).then_some(heir)
    }

    /// The run itself says so: a connection's own ends. They come in the order of `Run::conns`, and [`Uses::sort`]
    /// must follow.
    pub fn own(&mut self, protocol: u8, tuple: Tuple, from_ns: i64) {
        let conn = self.own.len();
        self.own.push((protocol, tuple));
        self.client(protocol, tuple, from_ns, conn);
    }

    /// The run itself says so. [`Uses::sort`] must follow.
    pub fn client(&mut self, protocol: u8, tuple: Tuple, from_ns: i64, conn: usize) {
        let one = Use { from: Moment::exact(from_ns), conn: Some(conn) };
        self.by_tuple.entry((protocol, tuple)).or_default().push(one);
        self.by_client.entry((protocol, tuple.src)).or_default().push(one);
    }

    pub fn sort(&mut self) {
        for uses in self.by_tuple.values_mut().chain(self.by_client.values_mut()) {
            uses.sort_by_key(|u| u.from.ns);
        }
    }

    /// The owner of the tuple, in either direction, at a time.
    pub fn owner(&self, protocol: u8, tuple: Tuple, at: Moment) -> Owner {
        let of = |tuple| self.by_tuple.get(&(protocol, tuple)).map_or(Owner::None, |uses| owner(uses, at));
        match of(tuple) {
            Owner::None => of(tuple.reversed()),
            owner => owner,
        }
    }

    /// The owner of a client's end at a time.
    pub fn owner_of_client(&self, protocol: u8, client: SocketAddr, at: Moment) -> Owner {
        self.by_client.get(&(protocol, client)).map_or(Owner::None, |uses| owner(uses, at))
    }

    /// Gives what a translation makes of a tuple to the tuple's owner. `false`: its owner is not known (yet).
    pub fn follow(&mut self, hop: &Hop) -> bool {
        let owner = match self.owner(hop.protocol, hop.from, hop.at) {
            Owner::None => hop.to.iter().find_map(|to| match self.owner(hop.protocol, *to, hop.at) {
                Owner::None => None,
                owner => Some(owner),
            }),
            owner => Some(owner),
        };
        let conn = match owner {
            None => return false,
            Some(Owner::One(conn)) if self.is_over(conn, hop.at) || self.is_untold(conn, hop.at) => None,
            Some(Owner::One(conn)) => Some(conn),
            Some(_) => {
                self.perhaps_translated.insert((hop.protocol, hop.from));
                return true;
            }
        };
        self.translated.extend(conn);
        for tuple in [hop.from, hop.to[0], hop.to[1]] {
            self.add(hop.protocol, tuple, Use { from: hop.at, conn });
        }
        true
    }

    fn add(&mut self, protocol: u8, tuple: Tuple, one: Use) {
        // Known the other way round, it is known.
        let key = (protocol, tuple);
        let uses = self.by_tuple.entry(key).or_default();
        let after = uses.partition_point(|u| u.from.ns <= one.from.ns);
        let is_same = |at: Option<&Use>| at.is_some_and(|u| u.conn == one.conn);
        if is_same(after.checked_sub(1).and_then(|before| uses.get(before))) {
            return;
        }
        match uses.get_mut(after) {
            // Seen at another place already, a little later.
            Some(next) if next.conn == one.conn => next.from = one.from,
            _ => uses.insert(after, one),
        }
    }
}

/// The last that began by then.
fn owner(uses: &[Use], at: Moment) -> Owner {
    let began = |u: &Use, by: i64| u.from.earliest().saturating_sub(SLACK_NS) <= by;
    let perhaps = uses.partition_point(|u| began(u, at.latest()));
    let Some(last) = perhaps.checked_sub(1).and_then(|nth| uses.get(nth)) else { return Owner::None };
    let before = perhaps.checked_sub(2).and_then(|nth| uses.get(nth));
    match before {
        Some(before) if before.conn != last.conn && last.from.latest() > at.earliest().saturating_add(SLACK_NS) => {
            Owner::Doubtful
        }
        _ => last.conn.map_or(Owner::None, Owner::One),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(from: &[(i64, u64)]) -> Vec<Use> {
        let one = |(conn, (ns, error_ns)): (usize, &(i64, u64))| Use {
            from: Moment { ns: ns * 1_000_000_000, error_ns: *error_ns, late_ns: 0 },
            conn: Some(conn),
        };
        from.iter().enumerate().map(one).collect()
    }

    #[test]
    fn the_last_that_began_has_it_unless_the_clocks_leave_a_doubt() {
        let s = |s: i64, error_ns: u64| Moment { ns: s * 1_000_000_000, error_ns, late_ns: 0 };
        let list = uses(&[(10, 0), (20, 0)]);
        assert_eq!(owner(&list, s(9, 0)), Owner::None);
        assert_eq!(owner(&list, s(10, 0)), Owner::One(0));
        assert_eq!(owner(&list, s(19, 0)), Owner::One(0));
        assert_eq!(owner(&list, s(20, 0)), Owner::One(1));
        assert_eq!(owner(&list, s(19, 2_000_000_000)), Owner::Doubtful);
        assert_eq!(owner(&list, s(9, 2_000_000_000)), Owner::One(0));
        assert_eq!(owner(&list, s(30, 2_000_000_000)), Owner::One(1));
        assert_eq!(owner(&uses(&[(10, 0)]), s(0, u64::MAX)), Owner::One(0));
        assert_eq!(owner(&uses(&[(10, 0), (20, u64::MAX)]), s(30, 0)), Owner::Doubtful);
        assert_eq!(owner(&[], s(0, 0)), Owner::None);
    }
}
