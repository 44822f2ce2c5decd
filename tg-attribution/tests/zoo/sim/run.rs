//! What the run's own journal tells: connections, attempts, samples. What really happened is kept beside.

use super::balance::Director;
use super::traffic::Live;
use super::{MS, Sim, Truth, US};
use std::net::SocketAddr;
use tg_model::counts::Counts;
use tg_model::histogram::Histogram;
use tg_model::id::{ConnId, SlotId};
use tg_model::journal::{AttemptFailed, Closed, Established, Identified, Line, Sample, Totals};
use tg_model::node_event::{ConntrackPhase, TcpState, Tuple};
use tg_model::outcome::{AttemptFailure, EndReason};
use tg_model::tcp_info::TcpInfo;
use tg_model::verdict::{Cause, TroubleKind};

impl Sim {
    /// The run tells of an attempt that failed; the truth is kept.
    pub fn fail(
        &mut self,
        slot: u32,
        from: u64,
        to: u64,
        failure: AttemptFailure,
        remote: Option<SocketAddr>,
        cause: Cause,
    ) {
        let (started_ns, ended_ns) = (Sim::run_ns(from), Sim::run_ns(to));
        self.tried.entry(slot).or_insert((from, 0)).1 += 1;
        let detail = remote.is_none().then(|| "failed to lookup address information".to_owned());
        let slot = SlotId(slot);
        let line = AttemptFailed { slot, started_ns, ended_ns, failure, errno: None, detail, remote };
        self.told.run.push((to, Line::AttemptFailed(line)));
        self.troubles.insert((TroubleKind::FailedAttempt, slot, started_ns as i64), cause);
    }

    /// A connection came to be.
    pub fn established(&mut self, slot: u32, at: u64, node: usize, pod: usize, client: Tuple, behind: Tuple) {
        let nth = self.next_nth.entry(slot).or_default();
        let conn = ConnId { slot: SlotId(slot), nth: *nth };
        *nth += 1;
        let up = at + 180 * US;
        let (first_attempt, failed_attempts) = self.tried.remove(&slot).unwrap_or((at, 0));
        let established = Established {
            conn,
            first_attempt_ns: Sim::run_ns(first_attempt),
            attempt_ns: Sim::run_ns(at),
            established_ns: Sim::run_ns(up),
            failed_attempts,
            local: client.src,
            remote: client.dst,
        };
        self.told.run.push((up, Line::Established(established.clone())));
        let host = Some(self.pods[pod].told.name.clone());
        let identified = Identified { conn, at_ns: Sim::run_ns(up + 400 * US), host, identity: None };
        self.told.run.push((up + 400 * US, Line::Identified(identified)));
        if self.setup.director != Director::Proxy {
            self.state(pod, at + 120 * US, behind, TcpState::SynRecv, TcpState::Established);
        }
        let (placed_by, avoidable) = self.placing(conn, pod, at);
        let live = Live { established, node, pod, client, behind, placed_by, avoidable, moved: None };
        self.live.insert(slot, live);
    }

    /// The run tells of a loss; the truth is kept, the balancer forgets it.
    pub fn lost(&mut self, slot: u32, at: u64, reason: EndReason, detection: u64, tcp: Option<TcpInfo>, cause: Cause) {
        let Some(live) = self.live.remove(&slot) else { return };
        if let Some(c) = self.balancers[live.node].at(live.behind.dst) {
            c.active = c.active.saturating_sub(1);
        }
        let tcp_end = self.setup.director == Director::Rules && !self.setup.scenario.is_udp();
        if tcp_end && cause == Cause::PodTerminated {
            self.conntrack(live.node, at + 900 * MS, ConntrackPhase::Destroyed, live.client, live.behind);
        }
        let conn = live.established.conn;
        self.truth.insert(conn, Truth { ended_by: cause, placed_by: live.placed_by, avoidable: live.avoidable });
        self.closed(live, at, reason, detection, tcp);
        self.now = self.now.max(at) + 20 * US;
    }

    fn closed(&mut self, live: Live, at: u64, reason: EndReason, detection_ns: u64, tcp: Option<TcpInfo>) {
        if let Some(cause) = live.moved {
            let e = &live.established;
            self.troubles.insert((TroubleKind::Moved, e.conn.slot, e.established_ns as i64), cause);
        }
        let other_host = u64::from(live.moved.is_some());
        let closed = Closed {
            established: live.established,
            ended_ns: Sim::run_ns(at),
            reason,
            errno: None,
            detail: None,
            detection_ns,
            host: Some(self.pods[live.pod].told.name.clone()),
            identity: None,
            counts: Counts { other_host, ..Counts::default() },
            tcp,
        };
        self.told.run.push((at, Line::Closed(Box::new(closed))));
    }

    /// The plan's end.
    pub fn complete(&mut self, slot: u32) {
        if let Some(live) = self.live.remove(&slot) {
            let at = self.now;
            self.closed(live, at, EndReason::Completed, 0, None);
        }
    }

    /// The generator was late in the 1.5 s that end now.
    pub fn was_late(&mut self, late_ns: u64) {
        let to = Sim::run_ns(self.now);
        let from = to.saturating_sub(1_500 * MS);
        self.sample(from, to, late_ns);
        self.was_late = Some((from, to));
    }

    /// A sample each second up to now, but for the time of which there is one.
    pub fn samples(&mut self) {
        let (from, to) = self.was_late.unwrap_or_default();
        let mut before = 0;
        while before < Sim::run_ns(self.now) {
            let mut next = before + 1_000 * MS;
            if before < to && next > from {
                next = from.max(before);
            }
            if next > before {
                self.sample(before, next, 1);
            }
            before = if next == from { to } else { next };
        }
    }

    fn sample(&mut self, since_ns: u64, at_ns: u64, late_ns: u64) {
        let mut lateness = Histogram::default();
        lateness.record(30_000);
        lateness.record(late_ns.max(1));
        let none = Histogram::default().encode();
        let sample = Sample {
            at_ns,
            since_ns,
            realtime_ns: 0,
            active: 0,
            connecting: 0,
            totals: Totals::default(),
            latency: none.clone(),
            service_time: none,
            lateness: lateness.encode(),
        };
        self.told.run.push((at_ns + super::journals::RUN_START, Line::Sample(Box::new(sample))));
    }

    /// The slot's connection has taken since then to be established.
    pub fn slow(&mut self, slot: u32, began: u64, cause: Cause) {
        let conn = self.live[&slot].established.conn;
        let of_it = self.told.run.iter_mut().filter_map(|(_, line)| match line {
            Line::Established(e) if e.conn == conn => Some(e),
            _ => None,
        });
        let live = self.live.get_mut(&slot).unwrap();
        of_it.chain([&mut live.established]).for_each(|e| e.attempt_ns = Sim::run_ns(began));
        let happened = (TroubleKind::SlowConnect, conn.slot, Sim::run_ns(began) as i64);
        self.troubles.insert(happened, cause);
    }

    /// The slot's flow of UDP goes to another pod from now on.
    pub fn moves(&mut self, slot: u32, cause: Cause) {
        let mut live = self.live[&slot].clone();
        let candidates = self.balancers[live.node].list.clone();
        let Some(chosen) = self.balancers[live.node].choose(live.client.src, &mut self.random) else { return };
        let pod = self.pod_at(chosen);
        let behind = Tuple { dst: chosen, ..live.behind };
        self.tell_binding(live.node, self.now + US, live.client, behind, candidates);
        if pod != live.pod {
            live.moved = Some(cause);
        }
        (live.pod, live.behind) = (pod, behind);
        self.live.insert(slot, live);
    }
}
