//! Which connection of the run each event of a node belongs to, through NAT. Changes when how that is found does.
//!
//! A tuple is used again in time, and each translation gives a connection one more: so of each tuple the uses are
//! kept, by when they began, and an event belongs to the last use that began before it. Where clocks do not tell
//! whether that was the next one already, the event is of nobody: a verdict must not rest on it.

mod tuples;
mod uses;

pub use tuples::{Hop, plain};
pub use uses::{Owner, Uses};

use crate::cluster::Cluster;
use crate::nodes::Nodes;
use crate::run::{Conn, Run, canonical};
use crate::spans::Spans;
use tg_model::node_event::Tuple;

/// A packet is translated by so many places at most.
const HOPS: usize = 4;

/// Events by connection.
#[derive(Debug, Default)]
pub struct Joined {
    /// Of each connection, in the order of `Run::conns`: places in `Nodes::told`, in the order of time.
    pub events: Vec<Vec<usize>>,
    /// Events that belong to no connection that was established.
    pub orphans: Vec<usize>,
    /// Events of which the clocks do not tell whose they are.
    pub doubtful: u64,
}

impl Joined {
    pub fn new(run: &Run, nodes: &Nodes, cluster: &Cluster) -> Joined {
        let uses = uses_of(run, nodes, cluster);
        let mut joined = Joined { events: vec![Vec::new(); run.conns.len()], ..Joined::default() };
        for (at, told) in nodes.told.iter().enumerate() {
            match tuples::owner(told, &uses) {
                // An attempt's that came after it with the same port, of which the run does not tell.
                Owner::One(conn) if tuples::begins(told) && uses.is_over(conn, told.source.at) => {
                    joined.orphans.push(at);
                }
                Owner::One(conn) => {
                    let heir = uses.heir(conn, told.source.at);
                    match heir.filter(|heir| !uses.is_untold(*heir, told.source.at)) {
                        Some(heir) => joined.events[heir].push(at),
                        None => joined.doubtful += 1,
                    }
                }
                Owner::Doubtful => joined.doubtful += 1,
                Owner::None => joined.orphans.push(at),
            }
        }
        joined
    }
}

/// The tuples of each connection: its own, and what translations make of it.
fn uses_of(run: &Run, nodes: &Nodes, cluster: &Cluster) -> Uses {
    let holes = nodes.all.iter().flat_map(|n| &n.holes);
    let lost = Spans::new(holes.map(|h| (h.from.earliest(), h.to.latest())).collect());
    let mut uses = Uses::new(&run.conns, run.untold.clone(), lost);
    for (at, conn) in run.conns.iter().enumerate() {
        let own = Tuple { src: conn.local, dst: conn.remote };
        uses.own(run.protocol, own, conn.attempt_ns);
        if let Some(seen) = seen_by_server(conn, cluster) {
            uses.client(run.protocol, seen, conn.attempt_ns, at);
        }
    }
    uses.sort();
    let mut hops: Vec<Hop> = nodes.told.iter().filter_map(Hop::of).collect();
    for _ in 0..HOPS {
        let before = hops.len();
        hops.retain(|hop| !uses.follow(hop));
        if hops.len() == before {
            break;
        }
    }
    uses
}

/// The tuple that the server says it sees, where it does, and where its address is known.
fn seen_by_server(conn: &Conn, cluster: &Cluster) -> Option<Tuple> {
    let identity = conn.identity.as_ref()?;
    let addresses = cluster.endpoints.of_pod(&identity.pod_uid);
    let endpoint = addresses.iter().find(|a| a.is_ipv4() == identity.peer.ip().to_canonical().is_ipv4())?;
    Some(Tuple { src: canonical(identity.peer), dst: *endpoint })
}
