//! A datagram of generic netlink about IPVS, and a line of /proc/net/ip_vs_conn: no bytes make either panic, and no
//! more comes out of a datagram than there is room for messages.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tg_ebpf::ipvs::{conn, parse};
use tg_model::node_event::Netns;

fuzz_target!(|data: &[u8]| {
    for family in [None, Some(0x1d)] {
        let datagram = parse(data, family);
        let found = datagram.services.len() + datagram.destinations.len();
        assert!(found as u64 + datagram.undecodable <= 1 + data.len() as u64 / 16);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let lines = text.lines().filter_map(|line| conn(line, &Netns::default()));
        assert!(lines.into_iter().all(|c| c.client.port() != 0 && [6, 17].contains(&c.protocol)));
    }
});
