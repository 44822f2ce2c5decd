//! Which destinations a service has, and how those that end go: kube-proxy's graceful termination
//! (pkg/proxy/ipvs/graceful_termination.go of kubernetes/kubernetes). Pure. Changes when kube-proxy's rule does.

use super::commands::Command;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tg_model::plan::Transport;

/// The destinations of one service on one node.
#[derive(Clone, Debug)]
pub struct Destinations {
    transport: Transport,
    /// Those that there are, and whether they take connections.
    there: BTreeMap<SocketAddr, bool>,
}

impl Destinations {
    /// None yet.
    #[must_use]
    pub fn new(transport: Transport) -> Destinations {
        Destinations { transport, there: BTreeMap::new() }
    }

    /// From now on these take connections, in this order where they are new. The others take none: with TCP they
    /// stay with weight 0 until [`Destinations::expire`], with UDP they are deleted at once.
    pub fn take(&mut self, usable: &[SocketAddr]) -> Vec<Command> {
        let mut commands = Vec::new();
        for address in usable {
            match self.there.insert(*address, true) {
                None => commands.push(Command::Add(*address)),
                Some(false) => commands.push(Command::Weigh(*address, 1)),
                Some(true) => {}
            }
        }
        let over: Vec<SocketAddr> = self.there.keys().filter(|a| !usable.contains(a)).copied().collect();
        for address in over {
            match self.transport {
                Transport::Tcp => {
                    if self.there.insert(address, false) == Some(true) {
                        commands.push(Command::Weigh(address, 0));
                    }
                }
                Transport::Udp => {
                    self.there.remove(&address);
                    commands.push(Command::Delete(address));
                }
            }
        }
        commands
    }

    /// Some take no connections any more, and may have none left.
    #[must_use]
    pub fn any_ending(&self) -> bool {
        self.there.values().any(|takes| !takes)
    }

    /// Deletes those that take no connections and have none left, by a count of active and inactive ones.
    pub fn expire(&mut self, connections: impl Fn(SocketAddr) -> u64) -> Vec<Command> {
        let over: Vec<SocketAddr> =
            self.there.iter().filter(|(a, takes)| !**takes && connections(**a) == 0).map(|(a, _)| *a).collect();
        over.iter().for_each(|address| {
            let _ = self.there.remove(address);
        });
        over.into_iter().map(Command::Delete).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn a(n: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], n))
    }

    #[test]
    fn tcp_ends_with_its_last_connection_and_udp_at_once() {
        let mut tcp = Destinations::new(Transport::Tcp);
        assert_eq!(tcp.take(&[a(1), a(2)]), [Command::Add(a(1)), Command::Add(a(2))]);
        assert_eq!(tcp.take(&[a(1), a(2)]), []);
        assert!(!tcp.any_ending());
        assert_eq!(tcp.take(&[a(2), a(3)]), [Command::Add(a(3)), Command::Weigh(a(1), 0)]);
        assert_eq!(tcp.take(&[a(2), a(3)]), [], "once is enough");
        assert!(tcp.any_ending());
        assert_eq!(tcp.expire(|_| 1), []);
        assert_eq!(tcp.expire(|_| 0), [Command::Delete(a(1))]);
        assert_eq!(tcp.take(&[a(1), a(2), a(3)]), [Command::Add(a(1))]);

        let mut udp = Destinations::new(Transport::Udp);
        udp.take(&[a(1), a(2)]);
        assert_eq!(udp.take(&[a(2)]), [Command::Delete(a(1))]);
        assert!(!udp.any_ending());
    }

    #[test]
    fn one_that_comes_back_takes_connections_again() {
        let mut tcp = Destinations::new(Transport::Tcp);
        tcp.take(&[a(1), a(2)]);
        tcp.take(&[a(2)]);
        assert_eq!(tcp.take(&[a(1), a(2)]), [Command::Weigh(a(1), 1)]);
        assert_eq!(tcp.expire(|_| 0), []);
    }

    proptest! {
        /// A kernel that does what it is told has what is usable with weight 1, and nothing else with it.
        #[test]
        fn commands_lead_to_what_was_asked_for(
            udp: bool,
            steps in prop::collection::vec((prop::collection::btree_set(0u16..6, 0..6), any::<u8>()), 1..20),
        ) {
            let mut destinations = Destinations::new(if udp { Transport::Udp } else { Transport::Tcp });
            let mut kernel: BTreeMap<SocketAddr, u32> = BTreeMap::new();
            for (usable, busy) in steps {
                let usable: Vec<SocketAddr> = usable.into_iter().map(a).collect();
                let mut commands = destinations.take(&usable);
                commands.extend(destinations.expire(|e| u64::from(busy >> e.port() & 1)));
                for command in commands {
                    match command {
                        Command::Add(e) => prop_assert_eq!(kernel.insert(e, 1), None),
                        Command::Weigh(e, weight) => prop_assert_ne!(kernel.insert(e, weight), None),
                        Command::Delete(e) => prop_assert_ne!(kernel.remove(&e), None),
                    }
                }
                let takes: Vec<SocketAddr> = kernel.iter().filter(|(_, w)| **w > 0).map(|(e, _)| *e).collect();
                prop_assert_eq!(takes, usable);
                prop_assert!(kernel.iter().all(|(e, w)| *w > 0 || busy >> e.port() & 1 == 1));
            }
        }
    }
}
