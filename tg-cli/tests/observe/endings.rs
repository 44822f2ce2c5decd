//! Every way that a connection can be ended in: each is told with the right tuple, namespace, reason and
//! client's connection, and nothing else is.

use crate::faults_support::eventually;
use crate::network::{Captured, KINDS, Kind, Network, Observer, POD, tuple, within};
use crate::support::{Capability, Suite};
use serde_json::Value;
use socket2::{SockRef, Socket};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const NEEDS: &[Capability] = &[Capability::Bpf, Capability::Nft, Capability::Netns, Capability::Capture];

#[allow(dead_code, reason = "tests/vm takes some of them")]
pub fn add(suite: &mut Suite) {
    for kind in KINDS {
        let needs = if kind.v6 { [NEEDS, &[Capability::Ipv6]].concat() } else { NEEDS.to_vec() };
        let mut test = |name: &str, body: fn(Kind)| {
            suite.test(format!("endings::{name}::{kind}"), &needs, move || body(kind));
        };
        test("unread_data", unread_data);
        test("linger_0", linger_0);
        test("closed_port", closed_port);
        test("firewall", firewall);
        test("half_open", half_open);
        test("orderly", orderly);
        test("user_timeout", user_timeout);
        test("black_hole", black_hole);
    }
}

/// Those that a guest runs, too, where another kernel is: `tests/vm`.
#[allow(dead_code, reason = "only tests/vm uses it")]
pub fn in_a_guest(suite: &mut Suite) {
    let [v4, _, _, v6] = KINDS;
    let mut test = |name: &str, kind: Kind, body: fn(Kind)| {
        suite.test(format!("endings::{name}::{kind}"), NEEDS, move || body(kind));
    };
    test("unread_data", v6, unread_data);
    test("linger_0", v4, linger_0);
    test("firewall", v6, firewall);
    test("orderly", v4, orderly);
    test("user_timeout", v4, user_timeout);
    test("black_hole", v6, black_hole);
    // Before, there is no event of a reset that no socket sends.
    if gives_reasons() {
        test("closed_port", v6, closed_port);
        test("half_open", v4, half_open);
    }
}

/// A connection through the service, with both its ends.
struct Connection {
    client: TcpStream,
    pod: TcpStream,
}

impl Connection {
    fn new(network: &Network, listener: &TcpListener) -> Connection {
        let client = within(&network.client(), || TcpStream::connect(network.vip()).unwrap());
        Connection { client, pod: listener.accept().unwrap().0 }
    }

    /// The connection as the client has it.
    fn of_client(&self) -> Value {
        tuple(self.client.local_addr().unwrap(), self.client.peer_addr().unwrap())
    }
}

/// The reset that the capture on the pod's link has.
fn reset_of(segments: &[Captured]) -> (SocketAddr, SocketAddr) {
    let resets: Vec<_> = segments.iter().filter(|s| s.flags.contains('R')).collect();
    let [reset] = resets.as_slice() else { panic!("not one reset: {segments:?}") };
    (reset.src, reset.dst)
}

fn events<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|l| l["kind"] == "node-event" && l["event"] == event).collect()
}

/// Kernels since 6.10 give a reason.
fn gives_reasons() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map_while(|n| n.trim().parse::<u32>().ok());
    (numbers.next().unwrap(), numbers.next().unwrap()) >= (6, 10)
}

/// One reset, sent by the pod and received by the client, and nothing lost.
#[track_caller]
fn holds(network: &Network, lines: &[Value], on_the_wire: (SocketAddr, SocketAddr), client: &Value, reason: &str) {
    let [sent] = events(lines, "reset-sent")[..] else { panic!("not one reset sent: {lines:#?}") };
    assert_eq!(sent["tuple"], tuple(on_the_wire.0, on_the_wire.1));
    assert_eq!(sent["netns"]["name"], network.pod_netns());
    assert_eq!(&sent["client"], client);
    assert_eq!(sent["reason"].as_str(), gives_reasons().then_some(reason));
    received(network, lines, client);
}

#[track_caller]
fn received(network: &Network, lines: &[Value], client: &Value) {
    let [received] = events(lines, "reset-received")[..] else { panic!("not one reset received: {lines:#?}") };
    assert_eq!((&received["tuple"]["dst"], &received["tuple"]["src"]), (&client["src"], &client["dst"]));
    assert_eq!(received["netns"]["name"], network.client());
    assert_eq!(&received["client"], client);
    assert!(!lines.iter().any(|l| l["kind"] == "node-gap"), "{lines:#?}");
}

fn awaits_reset(observer: &Observer) {
    observer.awaits("a reset is received", |l| l["event"] == "reset-received");
    observer.awaits("a reset is sent", |l| l["event"] == "reset-sent");
}

/// A process that closes, or dies, with data that it did not read.
fn unread_data(kind: Kind) {
    let network = Network::new(kind);
    let (listener, capture, observer) = (network.listener(), network.capture("n1", "tcp-rst"), network.observe(""));
    let mut connection = Connection::new(&network, &listener);
    connection.client.write_all(b"unread").unwrap();
    assert_eq!(connection.pod.peek(&mut [0; 6]).unwrap(), 6);
    let client = connection.of_client();
    let Connection { client: mut socket, pod } = connection;
    drop(pod);
    assert_eq!(socket.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    awaits_reset(&observer);
    let wire = reset_of(&capture.end(1, |_| true));
    holds(&network, &observer.end(), wire, &client, "TCP_ABORT_ON_CLOSE");
}

/// A process that closes with SO_LINGER 0.
fn linger_0(kind: Kind) {
    let network = Network::new(kind);
    let (listener, capture, observer) = (network.listener(), network.capture("n1", "tcp-rst"), network.observe(""));
    let connection = Connection::new(&network, &listener);
    let client = connection.of_client();
    let Connection { client: mut socket, pod } = connection;
    SockRef::from(&pod).set_linger(Some(Duration::ZERO)).unwrap();
    drop(pod);
    assert_eq!(socket.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    awaits_reset(&observer);
    let wire = reset_of(&capture.end(1, |_| true));
    holds(&network, &observer.end(), wire, &client, "TCP_STATE");
}

/// Nobody listens: also the first connection to a pod is watched from its first packet on.
fn closed_port(kind: Kind) {
    let network = Network::new(kind);
    let (capture, observer) = (network.capture("n1", "tcp-rst"), network.observe(""));
    let local = within(&network.client(), || {
        let socket = Socket::new(socket2::Domain::for_address(network.vip()), socket2::Type::STREAM, None).unwrap();
        let any = if kind.v6 { "[::]:0" } else { "0.0.0.0:0" };
        socket.bind(&any.parse::<SocketAddr>().unwrap().into()).unwrap();
        let port = socket.local_addr().unwrap().as_socket().unwrap().port();
        let refused = socket.connect(&network.vip().into()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        SocketAddr::new(network.address(1, 2), port)
    });
    awaits_reset(&observer);
    let wire = reset_of(&capture.end(1, |_| true));
    let lines = observer.end();
    holds(&network, &lines, wire, &tuple(local, network.vip()), "NO_SOCKET");
    assert_eq!(events(&lines, "reset-sent")[0]["socket"], false);
}

/// A firewall's reset goes through no socket: it only arrives.
fn firewall(kind: Kind) {
    let network = Network::new(kind);
    let (listener, observer) = (network.listener(), network.observe(""));
    let mut connection = Connection::new(&network, &listener);
    let client = connection.of_client();
    network.reject();
    connection.client.write_all(b"rejected").unwrap();
    assert_eq!(connection.client.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    observer.awaits("a reset is received", |l| l["event"] == "reset-received");
    let lines = observer.end();
    assert_eq!(events(&lines, "reset-sent"), Vec::<&Value>::new());
    received(&network, &lines, &client);
}

/// A black hole: the client's TCP gives up, and nobody sends a reset.
fn user_timeout(kind: Kind) {
    let network = Network::new(kind);
    let (listener, observer) = (network.listener(), network.observe(""));
    let mut connection = Connection::new(&network, &listener);
    let client = connection.of_client();
    SockRef::from(&connection.client).set_tcp_user_timeout(Some(Duration::from_millis(200))).unwrap();
    network.lose(&format!("tcp dport {POD}"));
    connection.client.write_all(b"vanishes").unwrap();
    assert_eq!(connection.client.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::TimedOut);
    let name = network.client();
    let closed = observer.awaits("the socket is closed", |l| {
        l["event"] == "tcp-state" && l["netns"]["name"] == *name && l["from"] == "established" && l["to"] == "close"
    });
    assert_eq!((&closed["tuple"], &closed["client"]), (&client, &client));
    let lines = observer.end();
    assert_eq!(events(&lines, "reset-received"), Vec::<&Value>::new());
    assert_eq!(events(&lines, "reset-sent"), Vec::<&Value>::new());
    let drops = events(&lines, "drop");
    assert!(drops.iter().any(|d| d["client"] == client && d["reason"] == "NETFILTER_DROP"), "{drops:#?}");
}

/// The pod's end is gone, and the reset that told so was lost: the client's next segment is answered by a reset of
/// whoever listens there now.
fn half_open(kind: Kind) {
    let network = Network::new(kind);
    let (listener, capture, observer) = (network.listener(), network.capture("n1", "tcp-rst"), network.observe(""));
    let Connection { client: mut socket, pod } = Connection::new(&network, &listener);
    let client = tuple(socket.local_addr().unwrap(), socket.peer_addr().unwrap());
    network.lose("tcp flags rst");
    SockRef::from(&pod).set_linger(Some(Duration::ZERO)).unwrap();
    drop(pod);
    observer.awaits("the lost reset is dropped", |l| l["event"] == "drop" && l["reason"] == "NETFILTER_DROP");
    network.pass();
    socket.write_all(b"anybody there?").unwrap();
    assert_eq!(socket.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    eventually("the second reset is sent", || (events(&observer.lines(), "reset-sent").len() == 2).then_some(()));
    observer.awaits("a reset is received", |l| l["event"] == "reset-received");
    let captured = capture.end(2, |_| true);
    let wire: Vec<Value> = captured.iter().map(|s| tuple(s.src, s.dst)).collect();
    let lines = observer.end();
    let sent = events(&lines, "reset-sent");
    assert_eq!(sent.iter().map(|s| s["tuple"].clone()).collect::<Vec<_>>(), wire);
    // The second is a listener's, which has no connection for such a segment.
    for (sent, reason) in sent.into_iter().zip(["TCP_STATE", "TCP_FLAGS"]) {
        assert_eq!((&sent["netns"]["name"], &sent["client"]), (&network.pod_netns().into(), &client));
        assert_eq!(sent["reason"].as_str(), gives_reasons().then_some(reason));
    }
    received(&network, &lines, &client);
}

/// Closed by the pod, then by the client: nobody resets it, and both ends' states tell who was first.
fn orderly(kind: Kind) {
    let network = Network::new(kind);
    let (listener, observer) = (network.listener(), network.observe(""));
    let Connection { client: mut socket, pod } = Connection::new(&network, &listener);
    let client = tuple(socket.local_addr().unwrap(), socket.peer_addr().unwrap());
    drop(pod);
    assert_eq!(socket.read(&mut [0; 1]).unwrap(), 0);
    drop(socket);
    let names = [network.pod_netns(), network.client()];
    let changes = [("established", "fin-wait-1"), ("established", "close-wait")];
    for (name, (from, to)) in names.iter().zip(changes) {
        let change = observer.awaits(to, |l| l["netns"]["name"] == **name && l["from"] == from && l["to"] == to);
        assert_eq!(change["client"], client);
    }
    observer.awaits("the client's socket is closed", |l| {
        l["netns"]["name"] == *names[1] && l["from"] == "last-ack" && l["to"] == "close"
    });
    let lines = observer.end();
    assert_eq!(events(&lines, "reset-sent").len() + events(&lines, "reset-received").len(), 0, "{lines:#?}");
}

/// Segments vanish, and the client's TCP does not give up: nothing ends, and each loss is told with its reason.
fn black_hole(kind: Kind) {
    let network = Network::new(kind);
    let (listener, observer) = (network.listener(), network.observe(""));
    let mut connection = Connection::new(&network, &listener);
    let client = connection.of_client();
    network.lose(&format!("tcp dport {POD}"));
    connection.client.write_all(b"vanishes").unwrap();
    let is_drop = |l: &Value| l["event"] == "drop" && l["reason"] == "NETFILTER_DROP" && l["client"] == client;
    eventually("the segment was sent again, and vanished again", || {
        (observer.lines().iter().filter(|l| is_drop(l)).count() >= 2).then_some(())
    });
    let lines = observer.end();
    assert_eq!(events(&lines, "reset-sent").len() + events(&lines, "reset-received").len(), 0, "{lines:#?}");
    let ends = |l: &&Value| l["from"] == "established" && l["client"] == client;
    assert_eq!(events(&lines, "tcp-state").into_iter().find(ends), None);
    assert_eq!(SockRef::from(&connection.client).take_error().unwrap().map(|e| e.kind()), None);
}
