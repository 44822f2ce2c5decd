//! A datagram of conntrack's netlink socket: no bytes make it panic, and no more comes out of it than there is
//! room for messages.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tg_ebpf::conntrack::parse;
use tg_ebpf::conntrack_table::{self, Table};

fuzz_target!(|data: &[u8]| {
    let datagram = parse(data);
    assert!(datagram.entries.len() as u64 + datagram.undecodable <= 1 + data.len() as u64 / 16);
    conntrack_table::parse(data, &mut Table::default());
    assert!(datagram.entries.iter().all(|e| [6, 17].contains(&e.protocol)));
});
