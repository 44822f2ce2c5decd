//! One lost connection with what is known of it. Changes when causes need to know more.

mod pod_side;

use crate::cluster::Life;
use crate::draft::Draft;
use crate::moment::Moment;
use crate::nodes::{Place, Told, What};
use crate::run::{Conn, End, UDP, canonical};
use crate::source::{Source, Sources};
use crate::world::World;
use std::net::SocketAddr;
use tg_model::node_event::{NodeEvent, SnapshotEntry};
use tg_model::verdict::Cause;

/// Who watches a cluster knows of a pod's end so much later, at most, where all is well.
pub const WATCH_LATE_NS: i64 = 10_000_000_000;

/// Who watches a cluster hears of a pod that is asked to end so much later than its node, at most.
pub const ASKED_LATE_NS: i64 = 250_000_000;
/// The connections of a process that ends end within so long.
const TOGETHER_NS: u64 = 1_000_000_000;

/// See the module.
pub struct Case<'a> {
    pub world: &'a World<'a>,
    pub conn: &'a Conn,
    pub end: &'a End,
    /// What nodes told of it, in the order of time.
    pub told: Vec<&'a Told<'a>>,
    /// The address behind the balancer that it was led to.
    pub destination: Option<SocketAddr>,
    /// Its client as the pod sees it, where that is told.
    peer: Option<SocketAddr>,
    /// Its pod, where the cluster was watched.
    pub life: Option<&'a Life<'a>>,
}

impl<'a> Case<'a> {
    /// The case of a connection that was lost; `None` for any other.
    pub fn new(world: &'a World<'a>, at: usize) -> Option<Case<'a>> {
        let conn = world.run.conns.get(at)?;
        let end = conn.loss()?;
        let told = told_of(world, at);
        let destination = destination(world, conn, &told).or_else(|| inherited(world, conn));
        let life = life(world, conn, destination);
        let mut case = Case { world, conn, end, told, destination, peer: None, life };
        case.peer = case.told_peer();
        Some(case)
    }

    /// When it ended, by its client.
    pub fn ended(&self) -> Moment {
        Moment::exact(self.end.ns)
    }

    pub fn is_udp(&self) -> bool {
        self.world.run.protocol == UDP
    }

    pub fn draft(&self, cause: Cause) -> Draft<'a> {
        Draft::new(&self.world.sources, cause)
    }

    /// The run's own line of its end.
    pub fn own_line(&self) -> Source {
        Sources::of_run(self.end.line, self.end.ns)
    }

    /// Events of it, with their sources, in the order of time.
    pub fn events(&self) -> impl Iterator<Item = (&'a Told<'a>, &'a NodeEvent)> {
        self.told.iter().filter_map(|t| Some((*t, t.event()?)))
    }

    /// Its pod was neither asked to end nor did it end, as far as clocks and the watch can tell, when the
    /// connection did. `false` also where the pod is not known.
    pub fn pod_was_well(&self) -> bool {
        let Some(life) = self.life else { return false };
        let asked = life.terminating.is_some_and(|s| s.at.perhaps_by(self.ended()));
        !asked && self.process_end().is_none()
    }

    /// The end of its pod's process that nobody had asked for, where that was when the connection ended, or before:
    /// then no other connection of that process outlived this one.
    pub fn process_end(&self) -> Option<Source> {
        let by = self.end.ns.saturating_add(WATCH_LATE_NS);
        let life = self.life?;
        let ended = self.end_of_its_process(life).filter(|s| s.at.earliest() <= by)?;
        let asked_before = life.terminating.is_some_and(|asked| asked.at.ns <= ended.at.ns);
        let asked_later = life.terminating.is_some_and(|asked| !asked.at.perhaps_by(self.ended()));
        let due_to_asking = asked_before && asked_later;
        (!due_to_asking && self.pod_went_on() != Some(true)).then_some(ended)
    }

    /// The first end that was told of its pod that can be that of the process which had it: one that began after an
    /// end, or was served after it, was another's.
    fn end_of_its_process(&self, life: &Life) -> Option<Source> {
        let served = self.window().0.saturating_sub_unsigned(TOGETHER_NS);
        let from = self.conn.established_ns.max(served);
        life.ends.iter().find(|s| s.at.latest() >= from).copied()
    }

    /// Nobody may have asked its pod to end before its process ended; `false`: that is not told.
    pub fn unasked_is_told(&self) -> bool {
        let Some(life) = self.life else { return false };
        let to = self.end_of_its_process(life).map_or(i64::MAX, |s| s.at.latest());
        self.world.cluster.tells_all(life.seen.at.earliest(), to)
    }

    /// The process that had it had another connection later; `None`: the run's journal has no end of some.
    pub fn pod_went_on(&self) -> Option<bool> {
        self.conn.host.as_deref().map_or(Some(false), |h| self.world.hosts.outlived(h, self.end.ns, TOGETHER_NS))
    }

    /// Its pod took connections after its end and before the end of a process was told: whether that process had it,
    /// or was started anew by then, is not told.
    pub fn pod_took_more_before(&self, ended: Source) -> bool {
        let took = |h: &str| self.world.hosts.took_between(h, self.end.ns, ended.at.latest());
        self.conn.host.as_deref().is_some_and(took)
    }

    /// A node dropped a packet of it.
    pub fn was_dropped(&self) -> bool {
        self.events().any(|(_, event)| matches!(event, NodeEvent::Drop(_)))
    }

    /// A node that told of it would have told of dropped packets, too.
    pub fn drops_were_watched(&self) -> bool {
        self.told.iter().any(|t| self.world.nodes.all.get(t.node).is_some_and(|n| n.watches("drop")))
    }

    /// Where IPVS balanced it.
    pub fn balancers(&self) -> Vec<Place> {
        let place = |told: &&Told| match told.what {
            What::Event(NodeEvent::IpvsDecision(d)) => Some((told.node, d.netns.inode)),
            What::Event(NodeEvent::IpvsConn(c)) | What::Snapshot(SnapshotEntry::IpvsConn(c)) => {
                Some((told.node, c.netns.inode))
            }
            _ => None,
        };
        self.told.iter().filter_map(place).collect()
    }

    /// Its pod's name, as far as it is known.
    pub fn pod_name(&self) -> String {
        let by_host = || self.conn.host.clone();
        self.life.map(|l| l.pod.name.clone()).or_else(by_host).unwrap_or_else(|| "its pod".into())
    }

    /// The time in which what ended it happened: from the last sign of service on.
    pub fn window(&self) -> (i64, i64) {
        let from = self.end.ns.saturating_sub_unsigned(self.end.detection_ns);
        (from.min(self.end.ns), self.end.ns)
    }
}

/// What nodes told of a connection.
pub fn told_of<'a>(world: &'a World<'a>, at: usize) -> Vec<&'a Told<'a>> {
    let events = world.joined.events.get(at).map_or(&[][..], Vec::as_slice);
    events.iter().map(|event| &world.nodes.told[*event]).collect()
}

/// Where an event says that a connection was led to.
pub fn led_to(told: &Told) -> Option<SocketAddr> {
    let address = match told.what {
        What::Event(NodeEvent::IpvsConn(c)) | What::Snapshot(SnapshotEntry::IpvsConn(c)) => c.destination,
        What::Event(NodeEvent::Conntrack(e)) | What::Snapshot(SnapshotEntry::Conntrack(e)) => {
            if e.reply.src == e.original.dst {
                return None;
            }
            e.reply.src
        }
        What::Event(NodeEvent::ProxyConn(c)) => c.backend.dst,
        What::Event(NodeEvent::IpvsDecision(d)) => d.chosen?,
        What::Event(NodeEvent::ProxyDecision(d)) => d.chosen?,
        _ => return None,
    };
    Some(canonical(address))
}

/// The last hop's destination, by what was told up to its establishment; by what was told later, where that is all.
/// Where the pod said who it is, no other address is it.
fn destination(world: &World, conn: &Conn, told: &[&Told]) -> Option<SocketAddr> {
    let up = Moment::exact(conn.established_ns);
    let pod = pod_of(world, conn).and_then(|at| world.cluster.pods.all.get(at)).map(|life| life.pod);
    let is_its = |a: &SocketAddr| {
        pod.is_none_or(|p| p.addresses.is_empty() || p.addresses.iter().any(|own| own.to_canonical() == a.ip()))
    };
    let of = |told: &&&Told| led_to(told).filter(is_its).map(|address| (told.source.at.perhaps_by(up), address));
    let all: Vec<(bool, SocketAddr)> = told.iter().filter_map(|t| of(&t)).collect();
    let early = all.iter().filter(|(early, _)| *early).map(|(_, a)| *a);
    let mut addresses: Vec<SocketAddr> = early.collect();
    if addresses.is_empty() {
        addresses.extend(all.first().map(|(_, a)| *a));
    }
    let is_pod = |a: &&SocketAddr| pod_at(world, **a, conn.established_ns).is_some();
    addresses.iter().rev().find(is_pod).or(addresses.last()).copied()
}

/// Where the connection before it with the same two ends was led to, where that is its pod: the entry is there still.
fn inherited(world: &World, conn: &Conn) -> Option<SocketAddr> {
    let before = world.run.same_ends_before(conn).filter(|at| !follows_untold(world, *at, conn))?;
    let pod = world.cluster.pods.all.get(pod_of(world, conn)?)?.pod;
    let to = told_of(world, before).iter().rev().find_map(|t| led_to(t))?;
    pod.addresses.iter().any(|a| a.to_canonical() == to.ip()).then_some(to)
}

/// Whether there may have been others with the same two ends between the two.
pub fn follows_untold(world: &World, before: usize, conn: &Conn) -> bool {
    let ended = world.run.conns.get(before).and_then(|c| c.end.as_ref()).map_or(i64::MIN, |e| e.ns);
    world.run.untold.touches(ended, conn.attempt_ns)
}

/// The pod that has an address.
pub fn pod_at(world: &World, address: SocketAddr, ns: i64) -> Option<usize> {
    let by_endpoint = world.cluster.endpoints.pod_uid(address, ns).and_then(|uid| world.cluster.pods.by_uid(uid));
    by_endpoint.or_else(|| world.cluster.pods.by_ip(address.ip(), ns))
}

fn life<'a>(world: &'a World<'a>, conn: &Conn, destination: Option<SocketAddr>) -> Option<&'a Life<'a>> {
    let at = pod_of(world, conn).or_else(|| pod_at(world, destination?, conn.established_ns))?;
    world.cluster.pods.all.get(at)
}

/// The pod that answered on a connection, by what it said of itself.
pub fn pod_of(world: &World, conn: &Conn) -> Option<usize> {
    let uid = conn.identity.as_ref().map(|i| i.pod_uid.as_str()).filter(|uid| !uid.is_empty());
    let by_uid = uid.and_then(|uid| world.cluster.pods.by_uid(uid));
    by_uid.or_else(|| world.cluster.pods.by_name(conn.host.as_deref()?, conn.established_ns))
}
