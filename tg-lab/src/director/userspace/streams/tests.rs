//! Events, turn by turn, without the worker's thread.

use super::super::journal::Journal;
use super::super::nodes::Node;
use super::super::service::Service;
use super::*;
use mio::{Events, Poll};
use std::net::TcpListener as Listener;
use std::net::TcpStream as Client;
use tg_model::cluster_event::Endpoint;
use tg_model::lab_plan::SchedulerKind;

const STUCK: Duration = Duration::from_secs(20);

/// All that the worker has, and an address of the service.
struct Bench {
    poll: Poll,
    streams: Streams,
    nodes: Nodes,
    vip: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let vip = listener.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let services = vec![Service::new(vip, 6, SchedulerKind::Rr, 1).unwrap()];
        let journal = Journal::create(folder.path(), "node-1", &[vip], &[]).unwrap();
        let poll = Poll::new().unwrap();
        let streams = Streams::new(vec![listener], poll.registry()).unwrap();
        Bench { poll, streams, nodes: Nodes::new(vec![Node { services, journal }], 1), vip, _folder: folder }
    }

    /// The one backend that takes connections.
    fn lead_to(&mut self, address: SocketAddr) {
        let (ready, serving, terminating) = (true, true, false);
        self.nodes.set_endpoints(&[Endpoint { address, pod_uid: "pod".into(), ready, serving, terminating }]);
    }

    /// Takes events in until it is so.
    fn until(&mut self, is_so: impl Fn(&Streams) -> bool) {
        while !is_so(&self.streams) {
            self.take_events();
        }
    }

    fn take_events(&mut self) {
        let mut events = Events::with_capacity(8);
        self.poll.poll(&mut events, Some(STUCK)).unwrap();
        assert!(!events.is_empty(), "waited in vain");
        for event in &events {
            self.streams.event(event, &mut self.nodes, self.poll.registry());
        }
    }
}

#[test]
fn an_event_of_a_connection_that_ended_is_none_of_another() {
    let mut bench = Bench::new();
    let taken = Listener::bind("127.0.0.1:0").unwrap();
    // Bound, and nobody listens: it refuses.
    let refuses = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    refuses.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    bench.lead_to(refuses.local_addr().unwrap().as_socket().unwrap());
    let refused = Client::connect(bench.vip).unwrap();
    // It is no connection any more, but its half is still there.
    bench.until(|streams| streams.refused.len() == 1);
    let backend = taken.local_addr().unwrap();
    bench.lead_to(backend);
    bench.streams.cut_off(&[backend], true, &mut bench.nodes, bench.poll.registry());
    let _other = Client::connect(bench.vip).unwrap();
    bench.until(|streams| streams.connections.len() == 1);
    drop(refused);
    bench.take_events();
    assert_eq!((bench.streams.connections.len(), bench.nodes.loads()[&backend]), (1, 1));
}
