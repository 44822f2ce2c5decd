//! What peers do, and what must be recorded of it.

use crate::outcome::Run;
use crate::peers::Faults;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tg_core::engine::simulated::Behaviour;
use tg_model::outcome::{AttemptFailure, EndReason};
use tg_model::plan::{Backoff, Mode, PlanSpec, Rate, Transport};
use tg_model::time::Nanos;

#[derive(Clone)]
pub struct Scenario {
    pub name: &'static str,
    pub transport: Transport,
    pub behaviour: Behaviour,
    /// Echoes come in pieces.
    pub pieces: bool,
    pub faults: Faults,
    pub plan: fn(&mut PlanSpec),
    pub expect: fn(&Run),
}

const CONNS: usize = 4;
const ECONNRESET: i32 = 104;
const ECONNREFUSED: i32 = 111;

/// Time-outs that no busy machine reaches.
const PATIENT: Duration = Duration::from_secs(60);

/// Four connections, 10 packets/s each, for 2 s: longer than a starved machine sends nothing.
pub fn spec() -> PlanSpec {
    PlanSpec {
        conns: CONNS as u32,
        rate: Rate::PerConnection(10.0),
        duration: Some(Duration::from_secs(2)),
        connect_timeout: PATIENT,
        response_timeout: PATIENT,
        backoff: Backoff { min: Duration::from_millis(20), max: Duration::from_millis(80) },
        ..PlanSpec::default()
    }
}

fn tcp(name: &'static str, behaviour: Behaviour, expect: fn(&Run)) -> Scenario {
    let (pieces, faults) = (false, Faults::default());
    Scenario { name, transport: Transport::Tcp, behaviour, pieces, faults, plan: |_| {}, expect }
}

fn udp(name: &'static str, behaviour: Behaviour, faults: Faults, expect: fn(&Run)) -> Scenario {
    Scenario { name, transport: Transport::Udp, behaviour, pieces: false, faults, plan: |_| {}, expect }
}

/// Nothing was lost: all last, echoes came for all that was sent, who answered is known.
fn all_well(run: &Run) {
    assert_eq!((run.lost().len(), run.lasting()), (0, CONNS), "{:?}", run.lost());
    let counts = run.footer().totals.counts;
    // 2 s at 10/s: 20 packets a slot.
    assert_eq!(counts.intended, 20 * CONNS as u64);
    assert_eq!((counts.received, counts.lost_in_flight), (counts.sent, 0));
    assert!(counts.sent > 0);
    run.closed().iter().for_each(|c| assert!(c.host.as_deref().is_some_and(|h| h.starts_with("pod-")), "{c:?}"));
}

fn all_well_and_orderly(run: &Run) {
    all_well(run);
    if let Some((_, peers)) = &run.real {
        let sent = run.footer().totals.counts.sent;
        assert_eq!(peers.seen.received.load(SeqCst), sent * 1024, "bytes by the peers' own count");
    }
}

/// Every attempt failed so, and no connection was ever there.
fn never_up(run: &Run, failure: AttemptFailure, errno: Option<i32>) {
    assert_eq!(run.closed().len(), 0);
    assert!(run.failed().len() >= CONNS);
    run.failed().iter().for_each(|a| assert_eq!((a.failure, a.errno), (failure, errno), "{a:?}"));
    let counts = run.footer().totals.counts;
    assert_eq!(counts.dropped.no_connection, counts.intended);
    assert!(run.outages().iter().all(|o| o.lost.is_none() && !o.over) && run.outages().len() == CONNS);
}

/// Every connection was lost so, and replaced at once by one that knows its predecessor.
fn replaced(run: &Run, reason: EndReason, errno: Option<i32>) {
    run.all_lost_by(reason);
    run.lost().iter().for_each(|c| assert_eq!(c.errno, errno, "{c:?}"));
    let over: Vec<_> = run.outages().into_iter().filter(|o| o.over).collect();
    assert!(!over.is_empty(), "no replacement carried a packet");
    for outage in over {
        assert_eq!(outage.replacement.and_then(|r| r.predecessor()), outage.lost);
        assert_eq!(outage.failed_attempts, 0);
    }
    if run.header.plan.transport == Transport::Tcp && run.header.engine != "simulated" {
        run.lost().iter().for_each(|c| assert!(c.tcp.is_some_and(|t| t.bytes_sent > 0), "{c:?}"));
    }
}

pub fn all() -> Vec<Scenario> {
    let mut all = streams();
    all.extend(plans());
    all.extend(datagrams());
    all
}

fn streams() -> Vec<Scenario> {
    let after = 3000;
    vec![
        tcp("echo", Behaviour::Echo, all_well_and_orderly),
        Scenario { pieces: true, ..tcp("echo_in_pieces", Behaviour::Echo, all_well) },
        tcp("refused", Behaviour::Refuse, |r| never_up(r, AttemptFailure::Refused, Some(ECONNREFUSED))),
        Scenario {
            plan: |s| s.connect_timeout = Duration::from_millis(300),
            ..tcp("black_hole", Behaviour::Ignore, |r| never_up(r, AttemptFailure::Timeout, None))
        },
        tcp("unreachable", Behaviour::Unreachable, |r| never_up(r, AttemptFailure::Unreachable, Some(101))),
        tcp("reset_connect", Behaviour::ResetConnect, |r| never_up(r, AttemptFailure::Reset, Some(ECONNRESET))),
        tcp("reset", Behaviour::Reset { after }, |r| replaced(r, EndReason::Reset, Some(ECONNRESET))),
        tcp("half_close", Behaviour::Close { after }, |r| replaced(r, EndReason::ClosedByPeer, None)),
        tcp("garbage", Behaviour::Garbage { after }, |r| replaced(r, EndReason::Protocol, None)),
        tcp("too_much", Behaviour::TooMuch { after }, |r| replaced(r, EndReason::Protocol, None)),
        Scenario {
            plan: |s| s.response_timeout = Duration::from_millis(250),
            ..tcp("says_nothing", Behaviour::Stall { after: 0 }, |r| {
                r.all_lost_by(EndReason::ResponseTimeout);
                let timeout = Nanos::from(r.header.plan.response_timeout).0;
                r.lost().iter().for_each(|c| assert!(c.detection_ns >= timeout && c.host.is_none(), "{c:?}"));
            })
        },
        Scenario {
            // The two echoes come by then.
            plan: |s| s.response_timeout = Duration::from_secs(1),
            ..tcp("stall", Behaviour::Stall { after }, |r| {
                r.all_lost_by(EndReason::ResponseTimeout);
                assert!(r.lost().iter().all(|c| c.counts.lost_in_flight > 0 && c.counts.received == 2));
            })
        },
    ]
}

fn plans() -> Vec<Scenario> {
    let idle: fn(&mut PlanSpec) = |s| s.rate = Rate::PerConnection(1.0);
    let delay = Nanos::from_millis(100);
    vec![
        // One packet a second: the end is known when it happens, not when the next packet is due.
        Scenario {
            plan: idle,
            ..tcp("reset_while_idle", Behaviour::ResetLater { delay }, |r| r.all_lost_by(EndReason::Reset))
        },
        Scenario {
            plan: idle,
            ..tcp("close_while_idle", Behaviour::CloseLater { delay }, |r| r.all_lost_by(EndReason::ClosedByPeer))
        },
        Scenario {
            plan: |s| s.reconnect = false,
            ..tcp("no_reconnect", Behaviour::Reset { after: 3000 }, |r| {
                assert_eq!((r.lost().len(), r.lasting()), (CONNS, 0));
                assert_eq!(r.footer().totals.attempts, CONNS as u64);
                assert!(r.footer().totals.counts.dropped.no_connection > 0);
            })
        },
        Scenario {
            plan: |s| (s.size, s.rate) = (1 << 20, Rate::PerConnection(3.0)),
            ..tcp("packets_larger_than_the_buffer", Behaviour::Echo, |r| {
                assert_eq!(r.lost().len(), 0, "{:?}", r.lost());
                assert!(r.footer().totals.counts.received > 0);
            })
        },
        Scenario {
            plan: |s| (s.mode, s.rate) = (Mode::ClosedLoop, Rate::Unlimited),
            ..tcp("closed_loop_unlimited", Behaviour::Echo, |r| {
                let counts = r.footer().totals.counts;
                assert_eq!((r.lost().len(), counts.dropped.total()), (0, 0));
                assert!(counts.received > 2 * CONNS as u64);
            })
        },
        Scenario {
            plan: |s| s.threads = 3,
            ..tcp("three_threads", Behaviour::Echo, |r| {
                all_well(r);
                let slots = r.lines.iter().filter(|l| matches!(l, tg_model::journal::Line::Slot(_)));
                assert_eq!(slots.count(), CONNS);
            })
        },
    ]
}

fn datagrams() -> Vec<Scenario> {
    let none = Faults::default();
    vec![
        udp("echo", Behaviour::Echo, none, all_well),
        udp("refused", Behaviour::Refuse, none, |r| never_up(r, AttemptFailure::Refused, Some(ECONNREFUSED))),
        Scenario {
            plan: |s| s.connect_timeout = Duration::from_millis(300),
            ..udp("black_hole", Behaviour::Ignore, none, |r| never_up(r, AttemptFailure::Timeout, None))
        },
        Scenario {
            // At the end they are awaited for so long; a flow is lost when nothing comes for so long.
            plan: |s| s.response_timeout = Duration::from_secs(2),
            ..udp("lost_ones_are_no_loss_of_the_flow", Behaviour::Echo, Faults { lose_every: 9, ..none }, |r| {
                assert_eq!(r.lost().len(), 0, "{:?}", r.lost());
                assert!(r.footer().totals.counts.lost_in_flight > 0);
            })
        },
        udp("doubled", Behaviour::Echo, Faults { double_every: 3, ..none }, |r| {
            all_well(r);
            assert!(r.footer().totals.counts.duplicate > 0);
        }),
        udp("another_host", Behaviour::Echo, Faults { rename_every: 5, ..none }, |r| {
            all_well(r);
            assert!(r.footer().totals.counts.other_host > 0);
        }),
    ]
}
