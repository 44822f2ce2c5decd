//! Attempts to connect that failed. Changes when the evidence for a cause does.

use super::full;
use super::local;
use super::stale::Stale;
use super::strays::{Found, Kind, Strays, Window};
use crate::cluster::has_ready;
use crate::draft::Draft;
use crate::lag::Lag;
use crate::moment::{Moment, signed};
use crate::nodes::Told;
use crate::run::canonical;
use crate::source::{Source, Sources};
use crate::world::World;
use std::net::SocketAddr;
use tg_model::journal::AttemptFailed;
use tg_model::node_event::NodeEvent;
use tg_model::outcome::AttemptFailure;
use tg_model::verdict::{Cause, Finding, Grade, Trouble, TroubleKind};

/// One attempt with where to look.
pub struct Attempt<'a> {
    pub world: &'a World<'a>,
    pub failed: &'a AttemptFailed,
    pub own: Source,
    pub window: Window,
}

/// What netfilter drops: its rules, and conntrack (`enum skb_drop_reason`).
pub const BY_NETFILTER: &str = "NETFILTER_DROP";

/// What a cause lacks where an event may be another attempt's.
pub const WHOSE: &str = "a run does not tell from which port it tried: the event may be another attempt's";

pub fn of<'a>(world: &'a World<'a>) -> Vec<Trouble> {
    let windows = world.run.attempts.iter().filter_map(|(_, a)| Window::new(a, world.run.source(a.slot)));
    let mut strays = Strays::new(world, windows);
    let stale = Stale::new(world);
    let mut all = Vec::with_capacity(world.run.attempts.len());
    for (line, failed) in &world.run.attempts {
        let finding = finding(world, *line, failed, &mut strays, &stale);
        let (started_ns, ended_ns) = (signed(failed.started_ns), signed(failed.ended_ns));
        all.push(Trouble { kind: TroubleKind::FailedAttempt, slot: failed.slot, started_ns, ended_ns, finding });
    }
    all
}

fn finding<'a>(
    world: &'a World<'a>,
    line: u64,
    failed: &'a AttemptFailed,
    strays: &mut Strays<'a>,
    stale: &Stale<'a>,
) -> Finding {
    let own = Sources::of_run(line, signed(failed.ended_ns));
    let words = failed.detail.clone().unwrap_or_else(|| format!("the attempt failed: {}", failed.failure));
    let Some(window) = Window::new(failed, world.run.source(failed.slot)) else {
        return Draft::new(&world.sources, Cause::NameResolution).proof(own, words).finish();
    };
    if failed.failure == AttemptFailure::LocalError {
        return Draft::new(&world.sources, Cause::LocalError).proof(own, words).finish();
    }
    let attempt = Attempt { world, failed, own, window };
    let found = attempt
        .no_destination(strays)
        .or_else(|| attempt.refused(strays))
        .or_else(|| attempt.dropped(strays))
        .or_else(|| stale.entry_of(&attempt));
    found.unwrap_or_else(|| {
        let why =
            if attempt.none_ready() { "no endpoint of the service was ready" } else { "no node's journal explains it" };
        let mut finding = Finding::unattributed(vec![why.to_owned()]);
        finding.evidence.push(world.sources.evidence(own, words));
        finding
    })
}

impl<'a> Attempt<'a> {
    pub fn draft(&self, cause: Cause) -> Draft<'a> {
        Draft::new(&self.world.sources, cause)
    }

    /// Some time while it was under way.
    fn at(&self) -> Moment {
        let (from, to) = (self.window.from, self.window.to);
        let took = to.abs_diff(from);
        Moment { ns: from.saturating_add_unsigned(took / 2), error_ns: took.div_ceil(2), late_ns: 0 }
    }

    /// The service's name, where the cluster tells it.
    pub fn service(&self) -> Option<&'a str> {
        self.world.cluster.service(self.window.remote).map(|s| s.name.as_str())
    }

    /// Of the whole time none of the service's endpoints was ready.
    fn none_ready(&self) -> bool {
        let lists = self.service().map_or(&[][..], |name| self.world.cluster.endpoints.in_force(name, self.at()));
        !lists.is_empty() && lists.iter().all(|(_, list)| !has_ready(list))
    }

    /// IPVS had no destination with a weight, though endpoints were ready.
    fn no_destination(&self, strays: &mut Strays<'a>) -> Option<Finding> {
        if self.none_ready() {
            return None;
        }
        let says = |told| said(self.nowhere(&Found { told, doubtful: false }));
        self.nowhere(&strays.take(Kind::Nowhere, self.window, weightless, says)?)
    }

    fn nowhere(&self, found: &Found) -> Option<Finding> {
        let NodeEvent::IpvsDecision(d) = found.told.event().filter(|_| weightless(found.told))? else { return None };
        let node = self.world.nodes.name(found.told.node, Some(&d.netns));
        let (at, endpoints) = (found.told.source.at, &self.world.cluster.endpoints);
        let lists = self.service().map_or(&[][..], |name| endpoints.in_force(name, at));
        let ready = lists.first().filter(|_| lists.iter().all(|(_, list)| has_ready(list))).map(|(source, list)| {
            let n = list.endpoints.iter().filter(|e| e.ready).count();
            (*source, format!("{n} endpoints were ready"))
        });
        let draft = self
            .draft(Cause::IpvsNoDestination)
            .proof(found.told.source, format!("{node} had {} destinations, none with a weight", d.candidates_total))
            .needs(ready, "that endpoints were ready is not known")
            .lacks_if(d.candidates.len() as u64 != u64::from(d.candidates_total), "not every destination was told")
            .lacks_if(found.doubtful, WHOSE);
        Some(draft.finish())
    }

    /// It was led to a pod where nobody listens.
    fn refused(&self, strays: &mut Strays<'a>) -> Option<Finding> {
        if !matches!(self.failed.failure, AttemptFailure::Refused | AttemptFailure::Reset) {
            return None;
        }
        let lag = |told: &Told| {
            let address = refused_at(told)?;
            // It was led there after it began.
            let led = Source { at: Moment::exact(self.window.from), ..self.own };
            Some((address, Lag::new(self.world, address, led, &[])?))
        };
        let found = strays.take(Kind::Refused, self.window, |told| lag(told).is_some(), refused_at)?;
        let (address, lag) = lag(found.told)?;
        let words = match found.told.event() {
            Some(NodeEvent::ProxyConn(_)) => "the backend refused the proxy: nobody listens there",
            _ => "a reset was sent from where nobody listened",
        };
        let draft = lag
            .draft(self.world, address, Moment::exact(self.window.from))
            .proof(found.told.source, words)
            .proof(self.own, "the attempt was refused")
            .lacks_if(found.doubtful, WHOSE);
        Some(draft.finish())
    }

    /// A node dropped a packet of it, for want of room in conntrack's table or of an endpoint of its own.
    fn dropped(&self, strays: &mut Strays<'a>) -> Option<Finding> {
        if self.failed.failure != AttemptFailure::Timeout {
            return None;
        }
        let says = |told| said(self.by_drop(&Found { told, doubtful: false }));
        match strays.take(Kind::Dropped, self.window, |_| true, says) {
            Some(found) => self.by_drop(&found),
            None => full::table(self, None),
        }
    }

    fn by_drop(&self, dropped: &Found) -> Option<Finding> {
        full::table(self, Some(dropped)).or_else(|| local::drained(self, dropped))
    }
}

/// What is to be the same where one event may be another attempt's.
fn said(finding: Option<Finding>) -> Option<(Cause, Grade)> {
    finding.map(|f| (f.cause, f.grade))
}

fn weightless(told: &Told) -> bool {
    matches!(told.event(), Some(NodeEvent::IpvsDecision(d)) if d.candidates.iter().all(|c| c.weight == 0))
}

/// Who refused, at which address.
fn refused_at(told: &Told) -> Option<SocketAddr> {
    match told.event()? {
        NodeEvent::ResetSent(r) => Some(canonical(r.tuple.src)),
        NodeEvent::ProxyConn(c) => Some(canonical(c.backend.dst)),
        _ => None,
    }
}
