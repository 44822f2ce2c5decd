//! Who reaches whom.

use crate::support::together;
use crate::support::{Capability, Suite};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use tg_lab::network::{Family, Netns, Network, Shape, within};

const NEEDS: [Capability; 2] = [Capability::Netns, Capability::Root];
const PORT: u16 = 5003;
/// Long beside what a packet takes here; what is awaited never comes.
const NEVER: Duration = Duration::from_millis(300);

pub fn add(suite: &mut Suite) {
    let tests: [(&str, fn()); 4] = [
        ("a_client_reaches_pods_on_each_node", a_client_reaches_pods_on_each_node),
        ("pods_reach_each_other_across_nodes", pods_reach_each_other_across_nodes),
        ("an_unplugged_pod_is_silent_until_it_is_plugged_in", an_unplugged_pod_is_silent),
        ("an_unplugged_node_is_silent_until_it_is_plugged_in", an_unplugged_node_is_silent),
    ];
    for (name, body) in tests {
        suite.test(format!("reach::{name}"), &NEEDS, together(body));
    }
}

pub fn network(nodes: u8) -> Network {
    Network::new(&Shape { families: vec![Family::V4, Family::V6], nodes, ecmp: false }).unwrap()
}

/// Long enough for anything that comes at all, a repeated SYN or search for a neighbour included.
const AT_LAST: Duration = Duration::from_secs(20);

/// Whether one connects from there to an address, and gets an answer, so soon.
fn reaches(from: &Netns, to: IpAddr, within_time: Duration) -> bool {
    within(from, || {
        let to = SocketAddr::new(to, PORT);
        let Ok(mut stream) = TcpStream::connect_timeout(&to, within_time) else { return false };
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.read_exact(&mut [0]).is_ok()
    })
    .unwrap()
}

/// Says a byte to whoever comes, until the test ends.
fn answers(at: &Netns, address: IpAddr) {
    let listener = within(at, || TcpListener::bind((address, PORT)).unwrap()).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.and_then(|mut stream| stream.write_all(b"!"));
        }
    });
}

fn a_client_reaches_pods_on_each_node() {
    let mut network = network(2);
    for (name, node) in [("a", 1), ("b", 1), ("c", 2)] {
        let pod = network.add_pod(name, node).unwrap();
        assert_eq!(pod.addresses.len(), 2);
        for address in pod.addresses {
            answers(&pod.netns, address);
            assert!(reaches(network.client(), address, AT_LAST), "{name} at {address}");
        }
    }
}

fn pods_reach_each_other_across_nodes() {
    let mut network = network(2);
    let (a, b) = (network.add_pod("a", 1).unwrap(), network.add_pod("b", 2).unwrap());
    for address in b.addresses {
        answers(&b.netns, address);
        assert!(reaches(&a.netns, address, AT_LAST), "{address}");
    }
    network.remove_pod("b").unwrap();
    assert!(network.remove_pod("b").is_err());
}

fn an_unplugged_pod_is_silent() {
    let mut network = network(1);
    let pod = network.add_pod("a", 1).unwrap();
    for address in pod.addresses.clone() {
        answers(&pod.netns, address);
        network.unplug_pod("a").unwrap();
        assert!(!reaches(network.client(), address, NEVER), "{address}");
        network.plug_pod("a").unwrap();
        assert!(reaches(network.client(), address, AT_LAST), "{address}");
    }
}

fn an_unplugged_node_is_silent() {
    let mut network = network(2);
    let pod = network.add_pod("a", 2).unwrap();
    for address in pod.addresses.clone() {
        answers(&pod.netns, address);
        network.unplug_node(2).unwrap();
        assert!(!reaches(network.client(), address, NEVER), "{address}");
        network.plug_node(2).unwrap();
        assert!(reaches(network.client(), address, AT_LAST), "{address}");
    }
}
