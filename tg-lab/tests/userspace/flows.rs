//! UDP: a flow keeps its pod, and moves when that is gone.

use crate::stage::{Stage, until};
use std::net::UdpSocket;
use std::time::Duration;
use tg_lab::lab::{Ground, NetworkFault};
use tg_model::lab_plan::LabFamily;
use tg_model::node_event::ProxyEnd;
use tg_model::plan::Transport;

fn client(stage: &Stage) -> UdpSocket {
    let any = if stage.vip().is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).unwrap();
    socket.connect(stage.vip()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    socket
}

/// The pod gets it, and its answer gets back to the client from the service's address.
fn echoed(client: &UdpSocket, pod: &UdpSocket, bytes: &[u8]) {
    let mut buffer = [0; 100];
    client.send(bytes).unwrap();
    let (len, proxy) = pod.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..len], bytes);
    pod.send_to(bytes, proxy).unwrap();
    let len = client.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..len], bytes);
}

#[test]
fn a_flow_keeps_its_pod_also_when_that_is_not_ready_and_moves_when_it_is_gone() {
    for family in [LabFamily::Ipv4, LabFamily::Ipv6] {
        let mut stage = Stage::new(|s| (s.transport, s.family) = (Transport::Udp, family));
        let first = stage.socket();
        let one = client(&stage);
        echoed(&one, &first, b"one");
        let second = stage.socket();
        stage.tell(|pod| pod == "pod-1");
        echoed(&client(&stage), &second, b"another");
        echoed(&one, &first, b"still here");
        drop(first);
        // Its first datagram finds nobody: an ICMP error, at which the flow ends. A later one begins another.
        until("the flow has moved", || {
            one.send(b"again").unwrap();
            second.set_nonblocking(true).unwrap();
            std::thread::sleep(Duration::from_millis(20));
            let arrived = second.recv(&mut [0; 10]).is_ok_and(|n| n == 5);
            second.set_nonblocking(false).unwrap();
            arrived
        });
        let told = stage.finish();
        assert!(told.ends().contains(&ProxyEnd::BackendRefused), "{:?}", told.ends());
        assert!(told.decisions.iter().all(|d| d.protocol == 17 && d.service.is_ipv4() == (family == LabFamily::Ipv4)));
    }
}

#[test]
fn flows_of_a_pod_that_is_no_endpoint_any_more_end() {
    let mut stage = Stage::new(|s| s.transport = Transport::Udp);
    let pod = stage.socket();
    let one = client(&stage);
    echoed(&one, &pod, b"one");
    stage.director.set_endpoints(&[]).unwrap();
    until("it is counted no longer", || stage.director.loads().iter().all(|(_, n)| *n == 0));
    assert_eq!(stage.finish().ends(), [ProxyEnd::Proxy]);
}

#[test]
fn a_blackhole_loses_what_is_sent_meanwhile_and_the_flow_goes_on_after_it() {
    let mut stage = Stage::new(|s| s.transport = Transport::Udp);
    let pod = stage.socket();
    let one = client(&stage);
    echoed(&one, &pod, b"before");
    let hole = NetworkFault::PodBlackhole { pod: "pod-0".into() };
    stage.director.inject(&hole).unwrap();
    one.send(b"lost").unwrap();
    // Of another client, so that it is known to have been taken: a flow is counted at its first datagram.
    let other = client(&stage);
    other.send(b"lost, too").unwrap();
    until("the other's flow", || stage.director.loads().iter().all(|(_, n)| *n == 2));
    stage.director.heal(&hole).unwrap();
    echoed(&one, &pod, b"after");
    echoed(&other, &pod, b"after");
    assert_eq!(stage.finish().decisions.len(), 2);
}
