//! SYN, FIN and RST on an interface: as many as a capture has, for each flow and each way.

use crate::network::{Captured, KINDS, Kind, Network, within};
use crate::support::{Capability, Suite};
use socket2::SockRef;
use std::collections::BTreeMap;
use std::io::Read;
use std::net::{Shutdown, TcpStream};

const NEEDS: &[Capability] = &[Capability::Bpf, Capability::Nft, Capability::Netns, Capability::Capture];
const CONNECTIONS: usize = 5;

pub fn add(suite: &mut Suite) {
    for kind in KINDS {
        let needs = if kind.v6 { [NEEDS, &[Capability::Ipv6]].concat() } else { NEEDS.to_vec() };
        for (name, suffix) in [("tcx", ""), ("xdp", "=xdp")] {
            suite.test(format!("segments::{name}::{kind}"), &needs, move || as_a_capture(kind, suffix));
        }
    }
}

/// SYN, FIN, RST by flow: `src > dst`.
type Totals = BTreeMap<String, [u64; 3]>;

fn as_a_capture(kind: Kind, suffix: &str) {
    let network = Network::new(kind);
    let listener = network.listener();
    let capture = network.capture("n1", "tcp-syn|tcp-fin|tcp-rst");
    let observer = network.observe(&format!("--interface {}/n1{suffix}", network.node()));
    for _ in 0..CONNECTIONS {
        let mut client = within(&network.client(), || TcpStream::connect(network.vip()).unwrap());
        // Closed by the pod first, then by the client.
        drop(listener.accept().unwrap());
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
    }
    // Not only dropped: a process that another test starts at this moment has it open, too, until it runs.
    SockRef::from(&listener).shutdown(Shutdown::Both).unwrap();
    let refused = within(&network.client(), || TcpStream::connect(network.vip()).unwrap_err());
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    // SYN, its answer and two FINs of each; a SYN and a reset.
    let count = CONNECTIONS * 4 + 2;
    let captured = totals(&capture.end(count, |_| true));
    let lines = observer.end();
    let mut told = Totals::new();
    for line in lines.iter().filter(|l| l["event"] == "segments") {
        assert_eq!(line["netns"]["name"], network.node());
        assert_eq!(line["interface"], "n1");
        let from_pod = line["tuple"]["src"] == network.pod().to_string();
        // The pod's packets come as they were sent, the client's were forwarded.
        let (direction, ttl) = if from_pod { ("in", 64) } else { ("out", 63) };
        assert_eq!((&line["direction"], &line["ttl"]), (&direction.into(), &ttl.into()), "{line}");
        let flow = format!("{} > {}", line["tuple"]["src"].as_str().unwrap(), line["tuple"]["dst"].as_str().unwrap());
        // Each line has the totals so far.
        told.insert(flow, ["syn", "fin", "rst"].map(|flag| line[flag].as_u64().unwrap()));
    }
    assert_eq!(told, captured);
}

fn totals(captured: &[Captured]) -> Totals {
    let mut totals = Totals::new();
    for segment in captured {
        let flow = totals.entry(format!("{} > {}", segment.src, segment.dst)).or_default();
        for (total, flag) in flow.iter_mut().zip(['S', 'F', 'R']) {
            *total += u64::from(segment.flags.contains(flag));
        }
    }
    totals
}
