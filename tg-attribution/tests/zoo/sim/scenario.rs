//! What can happen in a simulated run, and where.

use super::balance::Director;
use super::faults::*;
use super::{MS, Sim, attempts, ipvs, udp};
use tg_model::cluster_event::TrafficPolicy;
use tg_model::outcome::EndReason;
use tg_model::verdict::Cause;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    Upgrade,
    /// An upgrade whose endpoints balancers hear of late.
    Lag,
    /// An upgrade while healthy servers close some connections, and others are reset from outside.
    Mixed,
    PodKill,
    PodFreeze,
    PodBlackhole,
    NodeLoss,
    ResetStorm,
    ServerClose,
    ConntrackFlush,
    ConntrackInvalid,
    EcmpChange,
    NodeFlap,
    DestinationDeleted,
    ProxyRestart,
    Starved,
    LocalError,
    /// An upgrade whose endpoints balancers hear of seconds later.
    Stall,
    /// Every pod is asked to end: balancers lead to those that still serve.
    ScaleDown,
    /// A port is used again while IPVS still has its entry, of a destination that drains.
    PortReuse,
    /// The same port, of which nobody saw that IPVS made a new entry for it.
    PortReuseUnseen,
    /// IPVS' weights are all 0, though endpoints are ready.
    NoDestination,
    /// A SYN is sent again, on a kernel whose IPVS drops the first one of a port that is used again.
    SynDrop,
    /// The same on one that does not.
    SynLost,
    NoName,
    /// Conntrack of the first node has no room.
    ConntrackFull,
    /// Conntrack is nearly full, and a firewall drops what comes.
    Firewall,
    /// A node without pods of its own, of a service that stays on the node.
    DrainLocal,
    /// The same, and whether the service stays on the node is not told.
    DrainUntold,
    UdpUpgrade,
    /// A fixed port meets an entry that leads to a pod that is gone.
    UdpStale,
    /// The same port, and the plan does not say that it is fixed.
    UdpStaleUntold,
    /// The entry is destroyed, and nobody answers all the same.
    UdpSilent,
    /// A proxy is started and destroys the entries.
    UdpMoved,
    /// Entries are destroyed, and no proxy was started.
    UdpFlushed,
    /// Its pod is asked to end, and its flows go to another.
    UdpDrained,
    /// A firewall drops what comes, and conntrack is full only after that.
    FirewallThenFull,
    /// A node without pods of its own, whose conntrack has no room either.
    DrainedWhileFull,
    /// Conntrack of the first node has no room, and the second has no pods of its own.
    FullAndDrained,
    /// A pod's process ends, unasked, and is started anew; servers close some connections after that, and an
    /// upgrade comes.
    PodRestart,
}

impl Scenario {
    pub const ALL: [Scenario; 40] = [
        Scenario::Upgrade,
        Scenario::Lag,
        Scenario::Mixed,
        Scenario::PodKill,
        Scenario::PodFreeze,
        Scenario::PodBlackhole,
        Scenario::NodeLoss,
        Scenario::ResetStorm,
        Scenario::ServerClose,
        Scenario::ConntrackFlush,
        Scenario::ConntrackInvalid,
        Scenario::EcmpChange,
        Scenario::NodeFlap,
        Scenario::DestinationDeleted,
        Scenario::ProxyRestart,
        Scenario::Starved,
        Scenario::LocalError,
        Scenario::Stall,
        Scenario::ScaleDown,
        Scenario::PortReuse,
        Scenario::PortReuseUnseen,
        Scenario::NoDestination,
        Scenario::SynDrop,
        Scenario::SynLost,
        Scenario::NoName,
        Scenario::ConntrackFull,
        Scenario::Firewall,
        Scenario::DrainLocal,
        Scenario::DrainUntold,
        Scenario::UdpUpgrade,
        Scenario::UdpStale,
        Scenario::UdpStaleUntold,
        Scenario::UdpSilent,
        Scenario::UdpMoved,
        Scenario::UdpFlushed,
        Scenario::UdpDrained,
        Scenario::FirewallThenFull,
        Scenario::DrainedWhileFull,
        Scenario::FullAndDrained,
        Scenario::PodRestart,
    ];

    /// Whether such a thing can happen behind that director, with so many nodes.
    pub fn can_be(self, director: Director, nodes: u32, masquerade: bool) -> bool {
        let kernel = director != Director::Proxy;
        match self {
            Scenario::NodeFlap | Scenario::DestinationDeleted => director == Director::Ipvs,
            Scenario::ConntrackFlush => director == Director::Rules,
            Scenario::ConntrackInvalid => director == Director::Rules && !masquerade,
            Scenario::EcmpChange | Scenario::NodeLoss => kernel && nodes > 1,
            Scenario::PodBlackhole | Scenario::ConntrackFull | Scenario::Firewall => kernel,
            Scenario::FirewallThenFull => kernel,
            Scenario::FullAndDrained => director == Director::Rules && nodes > 1,
            Scenario::DrainLocal | Scenario::DrainUntold | Scenario::DrainedWhileFull => {
                director == Director::Rules && nodes > 1
            }
            Scenario::PortReuse | Scenario::PortReuseUnseen | Scenario::NoDestination => director == Director::Ipvs,
            Scenario::SynDrop | Scenario::SynLost => director == Director::Ipvs,
            Scenario::UdpStale | Scenario::UdpStaleUntold | Scenario::UdpSilent => kernel,
            Scenario::UdpMoved | Scenario::UdpFlushed | Scenario::UdpDrained => kernel,
            _ => true,
        }
    }

    pub fn is_udp(self) -> bool {
        let udp = [
            Scenario::UdpUpgrade,
            Scenario::UdpStale,
            Scenario::UdpStaleUntold,
            Scenario::UdpSilent,
            Scenario::UdpMoved,
            Scenario::UdpFlushed,
            Scenario::UdpDrained,
        ];
        udp.contains(&self)
    }

    /// Each slot has one port.
    pub fn has_fixed_ports(self) -> bool {
        let fixed = [
            Scenario::PortReuse,
            Scenario::PortReuseUnseen,
            Scenario::SynDrop,
            Scenario::SynLost,
            Scenario::UdpStale,
            Scenario::UdpStaleUntold,
            Scenario::UdpSilent,
        ];
        fixed.contains(&self)
    }

    /// And the plan says so.
    pub fn tells_ports(self) -> bool {
        self.has_fixed_ports() && self != Scenario::UdpStaleUntold
    }

    /// Of the nodes.
    pub fn kernel(self) -> &'static str {
        if self == Scenario::SynDrop { "5.4.0-26-generic" } else { "6.18" }
    }

    /// What the cluster tells of the service.
    pub fn policy(self) -> Option<TrafficPolicy> {
        match self {
            Scenario::DrainLocal | Scenario::DrainedWhileFull | Scenario::FullAndDrained => Some(TrafficPolicy::Local),
            Scenario::DrainUntold => None,
            _ => Some(TrafficPolicy::Cluster),
        }
    }
}

/// Plays it.
pub fn play(sim: &mut Sim) {
    sim.now += 3_000 * MS;
    match sim.setup.scenario {
        Scenario::Upgrade => upgrade(sim, |_| {}, |_| {}),
        Scenario::Lag => {
            sim.lag = 1_300 * MS;
            // Some come again while a pod drains of which balancers have not heard yet.
            upgrade(sim, |_| {}, |sim| some(sim, 20, server_closes));
        }
        Scenario::Mixed => {
            let mixed = |sim: &mut Sim| {
                some(sim, 10, server_closes);
                some(sim, 10, third_party);
            };
            upgrade(sim, mixed, |_| {});
        }
        Scenario::PodKill => kill(sim),
        Scenario::PodRestart => restart(sim),
        Scenario::PodFreeze => silent(sim, freeze),
        Scenario::PodBlackhole => silent(sim, blackhole),
        Scenario::NodeLoss => node_loss(sim),
        Scenario::ResetStorm => some(sim, 60, third_party),
        Scenario::ServerClose => some(sim, 60, server_closes),
        Scenario::ConntrackFlush => some(sim, 60, flushed),
        Scenario::ConntrackInvalid => some(sim, 60, untranslated),
        Scenario::EcmpChange => some(sim, 60, rehashed),
        Scenario::NodeFlap => ipvs::deleted(sim, true),
        Scenario::DestinationDeleted => ipvs::deleted(sim, false),
        Scenario::ProxyRestart => proxy_restart(sim),
        Scenario::Starved => starved(sim),
        Scenario::LocalError => some(sim, 60, |sim, slot| {
            let at = sim.now;
            sim.lost(slot, at, EndReason::LocalError, 0, None, Cause::LocalError);
        }),
        Scenario::Stall => {
            sim.lag = 8_000 * MS;
            upgrade(sim, |_| {}, |_| {});
            sim.now += sim.lag;
            sim.catch_up();
        }
        Scenario::ScaleDown => scale_down(sim),
        Scenario::PortReuse => ipvs::port_reuse(sim, true),
        Scenario::PortReuseUnseen => ipvs::port_reuse(sim, false),
        Scenario::NoDestination => ipvs::no_destination(sim),
        Scenario::SynDrop => ipvs::slow(sim, Cause::IpvsReuseSynDrop),
        Scenario::SynLost => ipvs::slow(sim, Cause::Unattributed),
        Scenario::NoName => attempts::no_name(sim),
        Scenario::ConntrackFull => attempts::conntrack_full(sim),
        Scenario::Firewall => attempts::firewall(sim),
        Scenario::DrainLocal | Scenario::DrainUntold => attempts::drain_local(sim),
        Scenario::FirewallThenFull => attempts::firewall_then_full(sim),
        Scenario::FullAndDrained => attempts::full_and_drained(sim),
        Scenario::DrainedWhileFull => attempts::drained_while_full(sim),
        Scenario::UdpUpgrade => udp::upgrade(sim),
        Scenario::UdpStale | Scenario::UdpStaleUntold => udp::stale(sim, false),
        Scenario::UdpSilent => udp::stale(sim, true),
        Scenario::UdpMoved => udp::moved(sim, Cause::UdpMoved),
        Scenario::UdpFlushed => udp::moved(sim, Cause::Unattributed),
        Scenario::UdpDrained => udp::drained(sim),
    }
}
