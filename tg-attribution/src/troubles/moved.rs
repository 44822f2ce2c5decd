//! Flows of UDP that another server answered. Changes when the evidence for that does.

use crate::case::{led_to, pod_at, told_of};
use crate::draft::Draft;
use crate::moment::Moment;
use crate::nodes::Told;
use crate::run::{Conn, End};
use crate::source::{Source, Sources};
use crate::words::after;
use crate::world::World;
use std::net::SocketAddr;
use tg_model::cluster_event::ProxyPhase;
use tg_model::node_event::{ConntrackPhase, IpvsConnPhase, NodeEvent};
use tg_model::verdict::{Cause, Trouble, TroubleKind};

/// A restart's effects come within so long.
const RESTART_NS: u64 = 10_000_000_000;

pub fn of(world: &World) -> Vec<Trouble> {
    let moved = world.run.conns.iter().enumerate().filter_map(|(at, conn)| {
        let end = conn.end.as_ref().filter(|e| e.counts.other_host > 0)?;
        let told = told_of(world, at);
        let draft = pod_ended(world, conn, end, &told).unwrap_or_else(|| entry_destroyed(world, conn, end, &told));
        let words = format!("{} echoes named another host than the one before", end.counts.other_host);
        let finding = draft.proof(Sources::of_run(end.line, end.ns), words).finish();
        let (started_ns, ended_ns) = (conn.established_ns, end.ns);
        Some(Trouble { kind: TroubleKind::Moved, slot: conn.id.slot, started_ns, ended_ns, finding })
    });
    moved.collect()
}

/// The pod that it was led to first was asked to end, or ended, before it was led to another.
fn pod_ended<'a>(world: &'a World, conn: &Conn, end: &End, told: &[&Told]) -> Option<Draft<'a>> {
    let led: Vec<(&&Told, SocketAddr)> = told.iter().filter_map(|t| Some((t, led_to(t)?))).collect();
    let (_, first) = led.first()?;
    let (next, to) = led.iter().find(|(t, to)| to != first && t.source.at.perhaps_by(Moment::exact(end.ns)))?;
    let life = world.cluster.pods.all.get(pod_at(world, *first, conn.established_ns)?)?;
    let over = life.terminating.or(life.ended()).filter(|s| s.at.perhaps_by(next.source.at))?;
    let draft = Draft::new(&world.sources, Cause::PodTerminated)
        .proof(over, format!("{} was asked to end, or ended", life.pod.name))
        .proof(next.source, format!("it was led to {to} from then on"))
        .lacks_if(!over.at.surely_by(next.source.at), "clocks are too far apart to tell which came first");
    Some(draft)
}

/// Its entry was destroyed while it was in use, about when the proxy of that node was started.
fn entry_destroyed<'a>(world: &'a World, conn: &Conn, end: &End, told: &[&Told]) -> Draft<'a> {
    let (up, over) = (Moment::exact(conn.established_ns), Moment::exact(end.ns));
    let destroyed = told.iter().find(|t| {
        let ended = match t.event() {
            Some(NodeEvent::Conntrack(e)) => e.phase == ConntrackPhase::Destroyed,
            Some(NodeEvent::IpvsConn(c)) => c.phase == IpvsConnPhase::Expired,
            _ => false,
        };
        ended && up.perhaps_by(t.source.at) && t.source.at.perhaps_by(over)
    });
    let doubtful = destroyed.is_some_and(|t| !up.surely_by(t.source.at) || !t.source.at.surely_by(over));
    let restarted = destroyed.and_then(|t| {
        let near =
            |s: &Source| s.at.latest().abs_diff(t.source.at.earliest()) <= RESTART_NS && s.at.perhaps_by(t.source.at);
        let mut proxies = world.cluster.proxies.iter();
        let (s, c) =
            proxies.find(|(s, c)| c.phase == ProxyPhase::Started && near(s) && world.nodes.is_named(t, &c.node))?;
        Some((*s, format!("the proxy of {} was started, {}", c.node, after(t.source.at.ns, s.at.ns))))
    });
    let destroyed = destroyed.map(|t| (t.source, "its entry was destroyed while it was in use".to_owned()));
    Draft::new(&world.sources, Cause::UdpMoved)
        .needs(destroyed, "that its entry was destroyed was not seen")
        .needs(restarted, "no start of its node's proxy was told")
        .lacks_if(doubtful, "clocks are too far apart to tell that this was while it was in use")
}
