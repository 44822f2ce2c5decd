//! Netlink messages to how full conntrack's table is, and what it could not take in. Pure and total. Changes when
//! what is read of it does.

use crate::conntrack::NETFILTER_HEADER;
use crate::conntrack::message::{GET_STATS, GET_STATS_CPU};
use crate::netlink::{self, Content, attribute};

/// `enum ctattr_stats_cpu` and `enum ctattr_stats_global` (`include/uapi/linux/netfilter/nfnetlink_conntrack.h`).
mod cta {
    pub const INSERT_FAILED: u16 = 9;
    pub const DROP: u16 = 10;
    pub const EARLY_DROP: u16 = 11;
    pub const ENTRIES: u16 = 1;
    pub const MAX_ENTRIES: u16 = 2;
}

/// A table's figures: of one datagram, or of all that answer both requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Entries, and how many there may be.
    pub room: Option<(u32, u32)>,
    /// Over all processors. They count round.
    pub counters: Counters,
    /// What was asked for of every processor is over.
    pub done: bool,
    /// The kernel refused what was asked for: errno, positive.
    pub error: Option<i32>,
}

/// Since the namespace was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets for which no entry could be made.
    pub dropped: u32,
    /// Entries that could not be inserted.
    pub insert_failed: u32,
    /// Entries that were given up for others.
    pub early_dropped: u32,
}

impl Counters {
    fn add(&mut self, other: Counters) {
        self.dropped = self.dropped.wrapping_add(other.dropped);
        self.insert_failed = self.insert_failed.wrapping_add(other.insert_failed);
        self.early_dropped = self.early_dropped.wrapping_add(other.early_dropped);
    }

    /// What came after `before`.
    pub fn since(self, before: Counters) -> Counters {
        Counters {
            dropped: self.dropped.wrapping_sub(before.dropped),
            insert_failed: self.insert_failed.wrapping_sub(before.insert_failed),
            early_dropped: self.early_dropped.wrapping_sub(before.early_dropped),
        }
    }
}

impl Table {
    /// Nine tenths of it are in use.
    pub fn nearly_full(&self) -> bool {
        self.room.is_some_and(|(entries, max)| u64::from(entries) * 10 >= u64::from(max) * 9 && max > 0)
    }
}

/// What asks for the number of entries.
pub fn room_request() -> Vec<u8> {
    netlink::request(GET_STATS, 0, &[0; NETFILTER_HEADER])
}

/// What asks every processor for its counters.
pub fn counters_request() -> Vec<u8> {
    netlink::dump_request(GET_STATS_CPU, &[0; NETFILTER_HEADER])
}

/// Reads a datagram into what others gave already.
pub fn parse(datagram: &[u8], table: &mut Table) {
    for message in netlink::messages(datagram) {
        match message {
            Content::Done => table.done = true,
            Content::Error(errno) => table.error = errno.or(table.error),
            Content::Message { kind, body, .. } => take(kind, body.get(NETFILTER_HEADER..).unwrap_or(&[]), table),
            Content::Undecodable => {}
        }
    }
}

fn take(kind: u16, attributes: &[u8], table: &mut Table) {
    let number = |kind| attribute(attributes, kind).and_then(|v| v.first_chunk()).map(|v| u32::from_be_bytes(*v));
    match kind {
        GET_STATS => table.room = number(cta::ENTRIES).zip(number(cta::MAX_ENTRIES)).or(table.room),
        GET_STATS_CPU => table.counters.add(Counters {
            dropped: number(cta::DROP).unwrap_or(0),
            insert_failed: number(cta::INSERT_FAILED).unwrap_or(0),
            early_dropped: number(cta::EARLY_DROP).unwrap_or(0),
        }),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::test::{message, nla};
    use crate::netlink::{NLMSG_DONE, NLMSG_ERROR};
    use proptest::prelude::*;

    fn told(kind: u16, numbers: &[(u16, u32)]) -> Vec<u8> {
        let attributes: Vec<u8> = numbers.iter().flat_map(|(kind, n)| nla(*kind, &n.to_be_bytes())).collect();
        message(kind, 2, &[vec![0; NETFILTER_HEADER], attributes].concat())
    }

    fn answers() -> Vec<u8> {
        let cpu = |dropped| told(GET_STATS_CPU, &[(2, 9), (cta::INSERT_FAILED, 1), (cta::DROP, dropped)]);
        [cpu(u32::MAX), cpu(4), message(NLMSG_DONE, 2, &[0; 4]), told(GET_STATS, &[(1, 90), (2, 100)])].concat()
    }

    #[test]
    fn the_processors_are_summed_and_count_round() {
        let mut table = Table::default();
        parse(&answers(), &mut table);
        let counters = Counters { dropped: 3, insert_failed: 2, early_dropped: 0 };
        assert_eq!(table, Table { room: Some((90, 100)), counters, done: true, error: None });
        assert!(table.nearly_full());
        let before = Counters { dropped: u32::MAX, ..counters };
        assert_eq!(counters.since(before), Counters { dropped: 4, insert_failed: 0, early_dropped: 0 });
    }

    #[test]
    fn a_refusal_and_a_table_with_room() {
        let mut table = Table::default();
        parse(&message(NLMSG_ERROR, 0, &(-1i32).to_ne_bytes()), &mut table);
        assert_eq!(table, Table { error: Some(1), ..Table::default() });
        assert!(!Table { room: Some((89, 100)), ..table }.nearly_full());
        assert!(!Table { room: Some((0, 0)), ..table }.nearly_full());
        parse(&room_request(), &mut table);
        assert_eq!(table.room, None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(damage in proptest::collection::vec((0usize..200, any::<u8>()), 0..8), cut in 0usize..200) {
            let mut datagram = answers();
            for (at, byte) in damage {
                let at = at % datagram.len();
                datagram[at] = byte;
            }
            datagram.truncate(cut);
            parse(&datagram, &mut Table::default());
        }
    }
}
