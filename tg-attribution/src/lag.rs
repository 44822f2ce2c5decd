//! Balancers that still led to an endpoint that took no more: how late they were. Changes when what tells that does.

use crate::cluster::Since;
use crate::draft::Draft;
use crate::moment::Moment;
use crate::nodes::Place;
use crate::source::Source;
use crate::words::span;
use crate::world::World;
use std::net::SocketAddr;
use tg_model::node_event::{IpvsDestChange, NodeEvent};
use tg_model::verdict::Cause;

/// A balancer that follows its endpoints later than so stands still: what programs one collects changes for about a
/// second.
const STALL_NS: i64 = 5_000_000_000;

/// A balancer led to an address that was no ready endpoint any more.
#[derive(Clone, Debug)]
pub struct Lag<'a> {
    pub since: Since<'a>,
    /// What shows that the balancer followed much later, if at all.
    stalled: Option<(Source, String)>,
    /// Why it is not sure whether it was late enough for that, if so.
    perhaps_stalled: Option<&'static str>,
    /// Whether another endpoint was ready is not sure: with none, balancers lead to those that still serve.
    perhaps_none_ready: bool,
}

/// One of the causes that a [`Lag`] is.
pub fn is_lag(cause: Cause) -> bool {
    matches!(cause, Cause::EndpointLag | Cause::ProxyStall)
}

impl<'a> Lag<'a> {
    /// `led`: what shows that it was led there. `places`: the balancers that may have led it.
    pub fn new(world: &World<'a>, address: SocketAddr, led: Source, places: &[Place]) -> Option<Lag<'a>> {
        let endpoints = &world.cluster.endpoints;
        let since = endpoints.not_ready_since(address, led.at)?;
        let serves = endpoints.at(address, led.at.ns).and_then(|s| s.endpoint).is_some_and(|e| e.serving);
        // A list may be older than what its pods were asked since.
        let asked = |uid: &str| {
            world.cluster.pods.life(uid).and_then(|l| l.terminating).is_some_and(|s| s.at.surely_by(led.at))
        };
        let others = endpoints.some_takes(address, led.at, |e| e.ready && !asked(&e.pod_uid));
        // Where none is ready, those that end and still serve are the right choice.
        if serves && others == Some(false) {
            return None;
        }
        let late = led.at.earliest().saturating_sub(since.source.at.latest());
        let late_at_most = led.at.latest().saturating_sub(since.source.at.earliest());
        let followed = followed(world, address, since.source, places);
        let led_late = (late >= STALL_NS)
            .then(|| (led, format!("its balancer still led there, {} after", span(late.unsigned_abs()))));
        let untold = followed.is_untold && led_late.is_none();
        let stalled = if followed.is_untold { led_late.or(followed.late) } else { followed.late.or(led_late) };
        let perhaps_stalled = match stalled {
            _ if untold => Some("a node lost events in that time: when its balancer followed is not told"),
            None if late_at_most >= STALL_NS => Some("clocks are too far apart to tell how late its balancer was"),
            _ => None,
        };
        Some(Lag { since, stalled, perhaps_stalled, perhaps_none_ready: serves && others.is_none() })
    }

    /// The cause, with what proves it.
    pub fn draft(self, world: &'a World, address: SocketAddr, led: Moment) -> Draft<'a> {
        let since = self.since.source;
        let before = span(led.ns.abs_diff(since.at.ns));
        let words = format!("the endpoint {address} was not ready any more, {before} before it was chosen");
        let cause = if self.stalled.is_some() { Cause::ProxyStall } else { Cause::EndpointLag };
        let draft = Draft::new(&world.sources, cause)
            .proof(since, words)
            .lacks_if(self.perhaps_none_ready, "clocks are too far apart to tell whether another endpoint was ready");
        let draft = match self.perhaps_stalled {
            Some(why) => draft.lacks(why),
            None => draft,
        };
        match self.stalled {
            Some((source, words)) => draft.proof(source, words),
            None => draft,
        }
    }
}

/// When a balancer followed its endpoints.
struct Followed {
    /// What shows it, where that was late.
    late: Option<(Source, String)>,
    /// It may have been before: its node lost events.
    is_untold: bool,
}

/// The first that one of these balancers did to the address after its endpoint had left.
fn followed(world: &World, address: SocketAddr, since: Source, places: &[Place]) -> Followed {
    let told = world.dests.get(&address).into_iter().flatten().filter_map(|at| world.nodes.told.get(*at));
    let mut followed = told.filter_map(|told| match told.event()? {
        NodeEvent::IpvsDest(d) if places.contains(&(told.node, d.netns.inode)) => {
            let out = d.change == IpvsDestChange::Deleted || d.destination.weight == 0;
            (out && since.at.surely_by(told.source.at))
                .then(|| (told.source, world.nodes.name(told.node, Some(&d.netns))))
        }
        _ => None,
    });
    let first = followed.next();
    let late = first.as_ref().map_or(i64::MAX, |(s, _)| s.at.earliest().saturating_sub(since.at.latest()));
    let to = first.as_ref().map_or(i64::MAX, |(s, _)| s.at.latest());
    let lost = |(node, _): &Place| world.nodes.all.get(*node).is_some_and(|n| n.lost_some(since.at.earliest(), to));
    let words = |(source, node)| (source, format!("{node} followed {} after", span(late.unsigned_abs())));
    Followed {
        late: first.filter(|_| late >= STALL_NS).map(words),
        is_untold: late >= STALL_NS && places.iter().any(lost),
    }
}
