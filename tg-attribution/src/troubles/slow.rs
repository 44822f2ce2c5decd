//! Connections that took a SYN's retransmission to be established. Changes when the evidence for a cause does.

use crate::draft::Draft;
use crate::source::Sources;
use crate::words::span;
use crate::world::World;
use tg_model::verdict::{Cause, Trouble, TroubleKind};

/// The kernel sends a SYN again after a second (`TCP_TIMEOUT_INIT`); the connection comes soon after.
const RETRANSMITTED: std::ops::Range<u64> = 950_000_000..1_900_000_000;

pub fn of(world: &World) -> Vec<Trouble> {
    let slow = world.run.conns.iter().filter_map(|conn| {
        let took = conn.established_ns.abs_diff(conn.attempt_ns);
        if !RETRANSMITTED.contains(&took) {
            return None;
        }
        let before = world.run.same_ends_before(conn).map(|at| &world.run.conns[at])?;
        let old = world.nodes.all.iter().any(|n| before_5_9(&n.header.kernel));
        let newer = !world.nodes.all.is_empty() && !old;
        if newer {
            return None;
        }
        let own = Sources::of_run(conn.line, conn.established_ns);
        let finding = Draft::new(&world.sources, Cause::IpvsReuseSynDrop)
            .proof(own, format!("it took {} to connect: one SYN was sent again", span(took)))
            .proof(Sources::of_run(before.line, before.established_ns), "its port had been used before")
            .lacks_if(!old, "no node's kernel is known to be older than 5.9")
            .lacks("no journal holds net.ipv4.vs.conn_reuse_mode")
            .finish();
        let (started_ns, ended_ns) = (conn.attempt_ns, conn.established_ns);
        Some(Trouble { kind: TroubleKind::SlowConnect, slot: conn.id.slot, started_ns, ended_ns, finding })
    });
    slow.collect()
}

/// IPVS drops no first SYN any more from 5.9 on (`ip_vs_conn_new` after a reuse).
fn before_5_9(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (5, 9),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_by_their_release() {
        let old: Vec<bool> =
            ["5.8.0-1", "4.19", "5.9", "5.10.0", "6.1.0-18-amd64", "", "x"].into_iter().map(before_5_9).collect();
        assert_eq!(old, [true, true, false, false, false, false, false]);
    }
}
