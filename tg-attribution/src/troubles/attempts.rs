//! Attempts to connect that failed. A run does not tell their ports, so a node's events are matched by the service
//! and the time: an event explains one attempt. Changes when the evidence for a cause does.

use crate::case::{led_to, pod_at};
use crate::draft::Draft;
use crate::moment::{Moment, signed};
use crate::nodes::{Told, What};
use crate::run::{UDP, canonical};
use crate::source::{Source, Sources};
use crate::words::{after, span};
use crate::world::World;
use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use tg_model::journal::AttemptFailed;
use tg_model::node_event::{NodeEvent, ProxyEnd, SnapshotEntry};
use tg_model::outcome::AttemptFailure;
use tg_model::verdict::{Cause, Finding, Trouble, TroubleKind};

/// Events that no established connection has, by time.
struct Strays<'a> {
    by_time: BTreeMap<(i64, usize), &'a Told<'a>>,
    clients: HashSet<IpAddr>,
}

/// One attempt with where to look.
struct Attempt<'a> {
    world: &'a World<'a>,
    failed: &'a AttemptFailed,
    own: Source,
    remote: SocketAddr,
}

pub fn of(world: &World) -> Vec<Trouble> {
    let strays = world.joined.orphans.iter().map(|at| (*at, &world.nodes.told[*at]));
    let by_time = strays.map(|(at, told)| ((told.source.at.ns, at), told)).collect();
    let clients = world.run.conns.iter().map(|c| c.local.ip()).collect();
    let mut strays = Strays { by_time, clients };
    let mut all = Vec::with_capacity(world.run.attempts.len());
    for (line, failed) in &world.run.attempts {
        let finding = finding(world, *line, failed, &mut strays);
        let (started_ns, ended_ns) = (signed(failed.started_ns), signed(failed.ended_ns));
        all.push(Trouble { kind: TroubleKind::FailedAttempt, slot: failed.slot, started_ns, ended_ns, finding });
    }
    all
}

fn finding(world: &World, line: u64, failed: &AttemptFailed, strays: &mut Strays) -> Finding {
    let own = Sources::of_run(line, signed(failed.ended_ns));
    let words = failed.detail.clone().unwrap_or_else(|| format!("the attempt failed: {}", failed.failure));
    let Some(remote) = failed.remote.map(canonical) else {
        return Draft::new(&world.sources, Cause::NameResolution).proof(own, words).finish();
    };
    if failed.failure == AttemptFailure::LocalError {
        return Draft::new(&world.sources, Cause::LocalError).proof(own, words).finish();
    }
    let attempt = Attempt { world, failed, own, remote };
    let found = attempt.no_destination(strays).or_else(|| attempt.refused(strays)).or_else(|| attempt.stale_entry());
    found.unwrap_or_else(|| {
        let mut finding = Finding::unattributed(vec!["no node's journal explains it".to_owned()]);
        finding.evidence.push(world.sources.evidence(own, words));
        finding
    })
}

impl Strays<'_> {
    /// Takes the first event in a span that fits: it explains one attempt only.
    fn take<T>(&mut self, span: (i64, i64), fits: impl Fn(&Told) -> Option<T>) -> Option<(Source, T)> {
        let mut in_span = self.by_time.range((span.0, 0)..=(span.1, usize::MAX));
        let (key, source, found) = in_span.find_map(|(key, told)| Some((*key, told.source, fits(told)?)))?;
        self.by_time.remove(&key);
        Some((source, found))
    }
}

impl<'a> Attempt<'a> {
    fn draft(&self, cause: Cause) -> Draft<'a> {
        Draft::new(&self.world.sources, cause)
    }

    fn span(&self) -> (i64, i64) {
        (signed(self.failed.started_ns), signed(self.failed.ended_ns))
    }

    /// IPVS had no destination with a weight.
    fn no_destination(&self, strays: &mut Strays) -> Option<Finding> {
        let (source, words) = strays.take(self.span(), |told| match told.event()? {
            NodeEvent::IpvsDecision(d)
                if d.chosen.is_none() && d.service.address.is_none_or(|s| canonical(s) == self.remote) =>
            {
                let weightless = d.candidates.iter().all(|c| c.weight == 0);
                let node = self.world.nodes.name(told.node, Some(&d.netns));
                weightless.then(|| format!("{node} had {} destinations, none with a weight", d.candidates_total))
            }
            _ => None,
        })?;
        let list = self.world.cluster.endpoints.lists.iter().rev().find(|(s, _)| s.at.ns <= source.at.ns);
        let ready = list.and_then(|(s, list)| {
            let n = list.endpoints.iter().filter(|e| e.ready).count();
            (n > 0).then(|| (*s, format!("{n} endpoints were ready")))
        });
        let draft = self.draft(Cause::IpvsNoDestination).proof(source, words);
        Some(draft.needs(ready, "that endpoints were ready is not known").finish())
    }

    /// It was led to a pod where nobody listens.
    fn refused(&self, strays: &mut Strays) -> Option<Finding> {
        if !matches!(self.failed.failure, AttemptFailure::Refused | AttemptFailure::Reset) {
            return None;
        }
        let world = self.world;
        let clients = std::mem::take(&mut strays.clients);
        let found = strays.take(self.span(), |told| match told.event()? {
            NodeEvent::ResetSent(r) if !r.socket && world.cluster.watched => {
                let from = canonical(r.tuple.src);
                // As the client has it, or by the pod that sent it.
                let of_service = r.client.is_some_and(|c| canonical(c.dst) == self.remote);
                let of_pod = pod_at(world, from, told.source.at.ns).is_some();
                (of_service || of_pod).then_some((from, "a reset was sent from where nobody listened"))
            }
            NodeEvent::ProxyConn(c) if c.end == Some(ProxyEnd::BackendRefused) => {
                let ours = canonical(c.client.dst) == self.remote
                    && (clients.is_empty() || clients.contains(&canonical(c.client.src).ip()));
                ours.then_some((canonical(c.backend.dst), "the backend refused the proxy: nobody listens there"))
            }
            _ => None,
        });
        strays.clients = clients;
        let (source, (address, words)) = found?;
        let since = world.cluster.endpoints.not_ready_since(address, Moment::exact(self.span().0))?;
        let lag = span(self.span().0.abs_diff(since.source.at.ns));
        let draft = self
            .draft(Cause::EndpointLag)
            .proof(since.source, format!("the endpoint {address} was not ready any more, for {lag}"))
            .proof(source, words);
        Some(draft.proof(self.own, "the attempt was refused").finish())
    }

    /// UDP: an entry leads to a pod that is gone.
    fn stale_entry(&self) -> Option<Finding> {
        if self.world.run.protocol != UDP {
            return None;
        }
        let (started, ended) = self.span();
        let world = self.world;
        let mut entries = world.nodes.told.iter().filter(|t| t.source.at.ns <= ended).filter_map(|told| {
            let service = match told.what {
                What::Event(NodeEvent::Conntrack(e)) | What::Snapshot(SnapshotEntry::Conntrack(e)) => e.original.dst,
                What::Event(NodeEvent::IpvsConn(c)) | What::Snapshot(SnapshotEntry::IpvsConn(c)) => c.service,
                _ => return None,
            };
            (canonical(service) == self.remote).then_some((told, led_to(told)?))
        });
        let (told, to, gone) = entries.find_map(|(told, to)| {
            let life = world.cluster.pods.all.get(pod_at(world, to, told.source.at.ns)?)?;
            let gone = life.ended().filter(|s| s.at.surely_by(Moment::exact(started)))?;
            Some((told, to, gone))
        })?;
        let draft = self
            .draft(Cause::UdpStaleEntry)
            .proof(told.source, format!("an entry leads to {to}"))
            .proof(gone, format!("its pod had ended, {}", after(started, gone.at.ns)))
            .lacks("a run does not tell from which port it tried: the entry may be another flow's");
        Some(draft.finish())
    }
}
