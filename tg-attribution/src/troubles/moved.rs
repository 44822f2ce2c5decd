//! Flows of UDP that another server answered. Changes when the evidence for that does.

use crate::case::told_of;
use crate::draft::Draft;
use crate::moment::Moment;
use crate::source::Sources;
use crate::words::after;
use crate::world::World;
use tg_model::cluster_event::ProxyPhase;
use tg_model::node_event::{ConntrackPhase, IpvsConnPhase, NodeEvent};
use tg_model::verdict::{Cause, Trouble, TroubleKind};

/// A restart's effects come within so long.
const RESTART_NS: u64 = 10_000_000_000;

pub fn of(world: &World) -> Vec<Trouble> {
    let moved = world.run.conns.iter().enumerate().filter_map(|(at, conn)| {
        let end = conn.end.as_ref().filter(|e| e.counts.other_host > 0)?;
        let up = Moment::exact(conn.established_ns);
        let destroyed = told_of(world, at).into_iter().find(|t| {
            let ended = match t.event() {
                Some(NodeEvent::Conntrack(e)) => e.phase == ConntrackPhase::Destroyed,
                Some(NodeEvent::IpvsConn(c)) => c.phase == IpvsConnPhase::Expired,
                _ => false,
            };
            ended && up.perhaps_by(t.source.at) && t.source.at.perhaps_by(Moment::exact(end.ns))
        });
        let restarted = destroyed.and_then(|t| {
            let near = |ns: i64| ns.abs_diff(t.source.at.ns) <= RESTART_NS;
            let started = |c: &tg_model::cluster_event::ProxyChange| c.phase == ProxyPhase::Started;
            let (s, c) = world.cluster.proxies.iter().find(|(s, c)| started(c) && near(s.at.ns))?;
            Some((*s, format!("the proxy of {} was started, {}", c.node, after(t.source.at.ns, s.at.ns))))
        });
        let destroyed = destroyed.map(|t| (t.source, "its entry was destroyed while it was in use".to_owned()));
        let own = Sources::of_run(end.line, end.ns);
        let finding = Draft::new(&world.sources, Cause::UdpMoved)
            .proof(own, format!("{} echoes named another host than the one before", end.counts.other_host))
            .needs(destroyed, "that its entry was destroyed was not seen")
            .needs(restarted, "no start of a proxy was told")
            .finish();
        let (started_ns, ended_ns) = (conn.established_ns, end.ns);
        Some(Trouble { kind: TroubleKind::Moved, slot: conn.id.slot, started_ns, ended_ns, finding })
    });
    moved.collect()
}
