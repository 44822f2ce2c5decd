//! Which pod a connection gets, by the kernel's own balancers.

use crate::support::together;
use crate::support::{Capability, Suite};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;
use tg_lab::director::namespaces::Namespaces;
use tg_lab::lab::{Ground, NetworkFault, PodPlace};
use tg_lab::network::{Netns, within};
use tg_model::cluster_event::Endpoint;
use tg_model::lab_plan::{DirectorKind, LabFamily, LabPlan, LabSpec, SchedulerKind};
use tg_model::plan::Transport;

const NEEDS: [Capability; 3] = [Capability::Netns, Capability::Root, Capability::Nft];
/// Longer than anything that comes takes.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn add(suite: &mut Suite) {
    let tests: [(&str, fn()); 7] = [
        ("nft_takes_each_in_turn", nft_takes_each_in_turn),
        ("nft_chooses_at_random_among_those_that_are_ready", nft_chooses_at_random),
        ("without_endpoints_a_connection_is_refused", without_endpoints_a_connection_is_refused),
        ("a_flow_of_datagrams_leaves_a_pod_that_is_gone", a_flow_of_datagrams_leaves_a_pod_that_is_gone),
        ("ecmp_spreads_connections_over_nodes", ecmp_spreads_connections_over_nodes),
        ("a_reset_storm_resets_and_a_new_connection_is_welcome", a_reset_storm_resets),
        ("a_changed_route_moves_connections_to_a_node_that_does_not_know_them", a_changed_route_moves_connections),
    ];
    for (name, body) in tests {
        suite.test(format!("balance::{name}"), &NEEDS, together(body));
    }
    let of_ipvs: [(&str, fn()); 5] = [
        ("rr_takes_each_in_turn", rr_takes_each_in_turn),
        ("lc_takes_the_one_with_the_fewest", lc_takes_the_one_with_the_fewest),
        ("a_destination_that_ends_goes_with_its_last_connection", a_destination_goes_with_its_last_connection),
        ("without_endpoints_a_connection_is_refused", ipvs_refuses_without_endpoints),
        ("nodes_count_their_own_connections", nodes_count_their_own_connections),
    ];
    let needs = [&NEEDS[..], &[Capability::Ipvs]].concat();
    for (name, body) in of_ipvs {
        suite.test(format!("ipvs::{name}"), &needs, together(body));
    }
}

/// A lab's ground with pods that answer by their names.
struct Bed {
    ground: Namespaces,
    endpoints: Vec<Endpoint>,
    // Its journals.
    _folder: tempfile::TempDir,
}

impl Bed {
    fn new(change: impl FnOnce(&mut LabSpec)) -> Bed {
        let mut spec = LabSpec { director: DirectorKind::Nft, ..LabSpec::default() };
        change(&mut spec);
        let folder = tempfile::tempdir().unwrap();
        let plan = LabPlan::try_from(spec).unwrap();
        Bed { ground: Namespaces::start(&plan, folder.path(), None).unwrap(), endpoints: Vec::new(), _folder: folder }
    }

    fn pod(&mut self, name: &str, node: u8) {
        let place = PodPlace { name: name.into(), uid: name.into(), node: format!("node-{node}") };
        let home = self.ground.add_pod(&place).unwrap();
        let netns = self.ground.pod(name).unwrap();
        for address in &home.listen {
            answers(&netns, *address, name);
        }
        let of = |address: &SocketAddr| Endpoint {
            address: *address,
            pod_uid: name.into(),
            ready: true,
            serving: true,
            terminating: false,
        };
        self.endpoints.extend(home.listen.iter().map(of));
        self.publish();
    }

    /// A pod that is to end: connections stay, new ones go elsewhere.
    fn ends(&mut self, name: &str) {
        for endpoint in self.endpoints.iter_mut().filter(|e| e.pod_uid == name) {
            (endpoint.ready, endpoint.terminating) = (false, true);
        }
        self.publish();
    }

    fn publish(&mut self) {
        self.ground.set_endpoints(&self.endpoints).unwrap();
    }

    fn vip(&self) -> SocketAddr {
        self.ground.vips()[0]
    }

    /// Active connections, as the balancer has them.
    fn loads(&mut self) -> BTreeMap<String, usize> {
        self.ground.loads().into_iter().map(|(pod, count)| (pod, usize::try_from(count).unwrap())).collect()
    }

    /// How many destinations IPVS has at each pod's address, on the first node.
    fn destinations(&self) -> BTreeMap<String, usize> {
        let mut of = BTreeMap::new();
        for held in held(&self.ground.node_namespaces()[0]) {
            let endpoint = self.endpoints.iter().find(|e| e.address == held.destination).unwrap();
            *of.entry(endpoint.pod_uid.clone()).or_default() += 1;
        }
        of
    }

    /// Does it where the client is.
    fn as_client<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let enter = self.ground.client().unwrap();
        let there = || {
            enter().unwrap();
            work()
        };
        std::thread::scope(|scope| scope.spawn(there).join().unwrap())
    }

    fn connect(&self, vip: SocketAddr) -> std::io::Result<Connection> {
        self.as_client(|| {
            let stream = TcpStream::connect_timeout(&vip, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(Connection { stream })
        })
    }

    /// The pods that so many new connections get, with how many of them each; and the connections.
    fn connections(&self, count: usize) -> (BTreeMap<String, usize>, Vec<Connection>) {
        let mut connections: Vec<Connection> = (0..count).map(|_| self.connect(self.vip()).unwrap()).collect();
        let mut pods = BTreeMap::new();
        for connection in &mut connections {
            *pods.entry(connection.pod().unwrap()).or_default() += 1;
        }
        (pods, connections)
    }
}

struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// Asks the pod for its name.
    fn pod(&mut self) -> std::io::Result<String> {
        self.stream.write_all(b"?")?;
        let mut name = [0; 8];
        let length = self.stream.read(&mut name)?;
        Ok(String::from_utf8_lossy(&name[..length]).into_owned())
    }
}

/// A pod that answers each byte, and each datagram, with its name, for as long as its sockets are.
fn answers(netns: &Netns, address: SocketAddr, name: &str) {
    let (listener, socket) =
        within(netns, || (TcpListener::bind(address).unwrap(), UdpSocket::bind(address).unwrap())).unwrap();
    let (name, for_datagrams) = (name.to_owned(), name.to_owned());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let name = name.clone();
            std::thread::spawn(move || {
                while stream.read_exact(&mut [0]).is_ok() && stream.write_all(name.as_bytes()).is_ok() {}
            });
        }
    });
    std::thread::spawn(move || {
        while let Ok((_, from)) = socket.recv_from(&mut [0; 8]) {
            let _ = socket.send_to(for_datagrams.as_bytes(), from);
        }
    });
}

fn counts(of: &[(&str, usize)]) -> BTreeMap<String, usize> {
    of.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn nft_takes_each_in_turn() {
    for family in [LabFamily::Ipv4, LabFamily::Ipv6] {
        for masquerade in [false, true] {
            let mut bed = Bed::new(|s| (s.family, s.masquerade) = (family, masquerade));
            ["a", "b", "c"].into_iter().for_each(|name| bed.pod(name, 1));
            let (pods, mut connections) = bed.connections(6);
            assert_eq!(pods, counts(&[("a", 2), ("b", 2), ("c", 2)]), "{family:?} {masquerade}");
            bed.ends("b");
            let old: Vec<String> = connections.iter_mut().map(|c| c.pod().unwrap()).collect();
            assert_eq!(old.iter().filter(|pod| *pod == "b").count(), 2, "its connections stay");
            assert_eq!(bed.connections(4).0, counts(&[("a", 2), ("c", 2)]));
        }
    }
}

fn nft_chooses_at_random() {
    let mut bed = Bed::new(|s| s.scheduler = SchedulerKind::Random);
    ["a", "b", "c"].into_iter().for_each(|name| bed.pod(name, 1));
    bed.ends("a");
    // That one of two is never chosen in 40 times happens once in 10¹² runs.
    let (pods, _) = bed.connections(40);
    assert_eq!(pods.keys().collect::<Vec<_>>(), ["b", "c"]);
}

fn without_endpoints_a_connection_is_refused() {
    let mut bed = Bed::new(|_| {});
    let refused = |bed: &Bed| bed.connect(bed.vip()).err().map(|e| e.kind());
    assert_eq!(refused(&bed), Some(std::io::ErrorKind::ConnectionRefused));
    bed.pod("a", 1);
    assert_eq!(refused(&bed), None);
    bed.endpoints.clear();
    bed.publish();
    assert_eq!(refused(&bed), Some(std::io::ErrorKind::ConnectionRefused));
}

fn a_flow_of_datagrams_leaves_a_pod_that_is_gone() {
    for (family, any) in [(LabFamily::Ipv4, "0.0.0.0:0"), (LabFamily::Ipv6, "[::]:0")] {
        let mut bed = Bed::new(|s| (s.transport, s.family) = (Transport::Udp, family));
        let vip = bed.vip();
        let socket = || {
            let socket = bed.as_client(|| UdpSocket::bind(any).unwrap());
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        };
        let ask = |socket: &UdpSocket| {
            socket.send_to(b"?", vip).unwrap();
            let mut name = [0; 8];
            let (length, _) = socket.recv_from(&mut name).unwrap();
            String::from_utf8_lossy(&name[..length]).into_owned()
        };
        let (first, second, third) = (socket(), socket(), socket());
        bed.pod("a", 1);
        assert_eq!(ask(&first), "a");
        bed.pod("b", 1);
        assert_eq!(ask(&first), "a", "it stays where it is");
        assert_eq!([ask(&second), ask(&third)], ["a", "b"]);
        bed.pod("c", 1);
        bed.ends("a");
        // Of b and c in turn: a flow that was forgotten as well would be the second to choose.
        assert_eq!([ask(&first), ask(&third)], ["b", "b"], "a flow to another pod stays, {family:?}");
        assert_eq!(ask(&second), "c");
    }
}

fn ecmp_spreads_connections_over_nodes() {
    let mut bed = Bed::new(|s| (s.nodes, s.ecmp, s.family) = (2, true, LabFamily::Ipv6));
    bed.pod("a", 1);
    bed.pod("b", 2);
    let (pods, connections) = bed.connections(40);
    assert_eq!(pods.keys().collect::<Vec<_>>(), ["a", "b"]);
    // Each node has entries of its own: the chance that one of two has none is that of 40 tosses of a coin.
    let mut tracked = 0;
    for node in bed.ground.node_namespaces() {
        let text = within(node, || std::fs::read_to_string("/proc/thread-self/net/stat/nf_conntrack")).unwrap();
        let entries = text.unwrap().lines().nth(1).map(|l| l.split(' ').next().unwrap().to_owned()).unwrap();
        let entries = usize::from_str_radix(&entries, 16).unwrap();
        assert!(entries > 0);
        tracked += entries;
    }
    assert!(tracked >= connections.len());
    // A kernel before 5.18 is without it.
    let rehash = bed.as_client(|| std::fs::read_to_string("/proc/sys/net/core/txrehash"));
    assert!(rehash.is_err() || rehash.unwrap().trim() == "0", "a time-out would move a connection to another node");
}

fn a_reset_storm_resets() {
    let mut bed = Bed::new(|_| {});
    bed.pod("a", 1);
    let (_, mut connections) = bed.connections(2);
    bed.ground.inject(&NetworkFault::ResetStorm { pod: "a".into() }).unwrap();
    for connection in &mut connections {
        assert_eq!(connection.pod().unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    }
    assert_eq!(bed.connections(1).0, counts(&[("a", 1)]));
}

fn a_changed_route_moves_connections() {
    let mut bed = Bed::new(|s| (s.nodes, s.ecmp) = (2, true));
    bed.pod("a", 1);
    let (_, mut connections) = bed.connections(40);
    bed.ground.inject(&NetworkFault::EcmpChange).unwrap();
    let alive = connections.iter_mut().filter_map(|c| c.pod().ok()).count();
    assert!(0 < alive && alive < 40, "those of node-1 stay, those of node-2 do not: {alive}");
    bed.ground.heal(&NetworkFault::EcmpChange).unwrap();
    assert_eq!(bed.connections(4).0, counts(&[("a", 4)]));
}

fn ipvs(scheduler: SchedulerKind, change: impl FnOnce(&mut LabSpec)) -> Bed {
    Bed::new(|s| {
        (s.director, s.scheduler) = (DirectorKind::Ipvs, scheduler);
        change(s);
    })
}

fn rr_takes_each_in_turn() {
    for family in [LabFamily::Ipv4, LabFamily::Ipv6] {
        for masquerade in [false, true] {
            let mut bed = ipvs(SchedulerKind::Rr, |s| (s.family, s.masquerade) = (family, masquerade));
            ["a", "b", "c"].into_iter().for_each(|name| bed.pod(name, 1));
            let (pods, mut connections) = bed.connections(6);
            assert_eq!(pods, counts(&[("a", 2), ("b", 2), ("c", 2)]), "{family:?} {masquerade}");
            bed.ends("b");
            let old: Vec<String> = connections.iter_mut().map(|c| c.pod().unwrap()).collect();
            assert_eq!(old.iter().filter(|pod| *pod == "b").count(), 2, "its connections stay");
            assert_eq!(bed.connections(4).0, counts(&[("a", 2), ("c", 2)]));
        }
    }
}

fn lc_takes_the_one_with_the_fewest() {
    let mut bed = ipvs(SchedulerKind::Lc, |_| {});
    ["a", "b"].into_iter().for_each(|name| bed.pod(name, 1));
    let (pods, connections) = bed.connections(6);
    assert_eq!(pods, counts(&[("a", 3), ("b", 3)]));
    bed.pod("c", 1);
    let (pods, more) = bed.connections(3);
    assert_eq!(pods, counts(&[("c", 3)]));
    assert_eq!(bed.loads(), counts(&[("a", 3), ("b", 3), ("c", 3)]));
    drop((connections, more));
}

fn a_destination_goes_with_its_last_connection() {
    let mut bed = ipvs(SchedulerKind::Rr, |_| {});
    ["a", "b"].into_iter().for_each(|name| bed.pod(name, 1));
    let (_, connections) = bed.connections(2);
    bed.ends("a");
    bed.publish();
    assert_eq!(bed.destinations(), counts(&[("a", 1), ("b", 1)]), "it has a connection");
    // One that never had any goes with the next change.
    bed.pod("c", 1);
    bed.ends("c");
    bed.publish();
    assert_eq!(bed.destinations(), counts(&[("a", 1), ("b", 1)]));
    drop(connections);
}

fn ipvs_refuses_without_endpoints() {
    let mut bed = ipvs(SchedulerKind::Rr, |_| {});
    let refused = |bed: &Bed| bed.connect(bed.vip()).err().map(|e| e.kind());
    assert_eq!(refused(&bed), Some(std::io::ErrorKind::ConnectionRefused));
    bed.pod("a", 1);
    assert_eq!(refused(&bed), None);
}

/// Two nodes with one connection each, both on the first destination: least connections of its own is what each
/// node takes.
fn nodes_count_their_own_connections() {
    let mut bed = ipvs(SchedulerKind::Lc, |s| (s.nodes, s.ecmp) = (2, true));
    bed.pod("a", 1);
    bed.pod("b", 2);
    let (pods, _connections) = bed.connections(40);
    assert_eq!(pods.keys().collect::<Vec<_>>(), ["a", "b"]);
    for node in bed.ground.node_namespaces() {
        let held: Vec<u64> = held(node).iter().map(|h| h.active).collect();
        assert_eq!(held.len(), 2);
        assert!(held[0].abs_diff(held[1]) <= 1 && held[0] + held[1] > 0, "{held:?}");
    }
}

fn held(node: &Netns) -> Vec<tg_lab::director::ipvs::Held> {
    let text = within(node, || std::fs::read_to_string("/proc/thread-self/net/ip_vs").unwrap()).unwrap();
    tg_lab::director::ipvs::held(&text)
}
