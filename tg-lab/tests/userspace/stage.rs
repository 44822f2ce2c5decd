//! A director with pods that the test plays itself. Changes when what a test can do does.

use std::fs;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tg_lab::director::userspace::Userspace;
use tg_lab::lab::{Ground, PodPlace, node_file};
use tg_model::cluster_event::Endpoint;
use tg_model::lab_plan::{LabPlan, LabSpec};
use tg_model::node_event::{NodeEvent, NodeLine, NodeReader, ProxyConn, ProxyConnPhase, ProxyDecision, ProxyEnd};

/// Nothing that a test waits for takes this long: it would be stuck.
const STUCK: Duration = Duration::from_secs(60);

/// See the module.
pub struct Stage {
    pub director: Userspace,
    pub folder: TempDir,
    pods: Vec<(String, Vec<SocketAddr>)>,
}

/// What the director told.
#[derive(Debug, Default)]
pub struct Told {
    pub decisions: Vec<ProxyDecision>,
    pub connections: Vec<ProxyConn>,
}

impl Stage {
    pub fn new(change: impl FnOnce(&mut LabSpec)) -> Stage {
        let mut spec = LabSpec::default();
        change(&mut spec);
        let plan = LabPlan::try_from(spec).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let director = Userspace::start(&plan, folder.path(), &[]).unwrap();
        Stage { director, folder, pods: Vec::new() }
    }

    /// A place for a pod, which is ready from now on; nobody listens there yet.
    pub fn pod(&mut self) -> SocketAddr {
        let name = format!("pod-{}", self.pods.len());
        let place = PodPlace { name: name.clone(), uid: name.clone(), node: "node-1".into() };
        let listen = self.director.add_pod(&place).unwrap().listen;
        self.pods.push((name, listen.clone()));
        self.tell(|_| true);
        listen[0]
    }

    /// A pod that listens.
    pub fn listener(&mut self) -> TcpListener {
        TcpListener::bind(self.pod()).unwrap()
    }

    /// A pod that answers datagrams.
    pub fn socket(&mut self) -> UdpSocket {
        let socket = UdpSocket::bind(self.pod()).unwrap();
        socket.set_read_timeout(Some(STUCK)).unwrap();
        socket
    }

    /// The director hears which pods are ready.
    pub fn tell(&mut self, is_ready: impl Fn(&str) -> bool) {
        let mut endpoints = Vec::new();
        for (name, addresses) in &self.pods {
            let ready = is_ready(name);
            endpoints.extend(addresses.iter().map(|address| Endpoint {
                address: *address,
                pod_uid: name.clone(),
                ready,
                serving: true,
                terminating: !ready,
            }));
        }
        self.director.set_endpoints(&endpoints).unwrap();
    }

    pub fn vip(&self) -> SocketAddr {
        self.director.vips()[0]
    }

    pub fn client(&self) -> TcpStream {
        patient(TcpStream::connect(self.vip()).unwrap())
    }

    /// A client's connection and the pod's end of it.
    pub fn pair(&self, pod: &TcpListener) -> (TcpStream, TcpStream) {
        (self.client(), self.accept(pod))
    }

    /// The pod's end of a connection.
    pub fn accept(&self, pod: &TcpListener) -> TcpStream {
        pod.set_nonblocking(true).unwrap();
        let mut server = None;
        until("the pod gets the connection", || {
            server = pod.accept().ok();
            server.is_some()
        });
        let server = server.unwrap().0;
        server.set_nonblocking(false).unwrap();
        patient(server)
    }

    /// Ends the director; what it told.
    pub fn finish(mut self) -> Told {
        self.director.finish().unwrap();
        let nodes = self.director.nodes();
        let mut told = Told::default();
        for node in nodes {
            let file = fs::File::open(self.folder.path().join(node_file(&node))).unwrap();
            let mut reader = NodeReader::open(BufReader::new(file)).unwrap();
            while let Some(numbered) = reader.next_line().unwrap() {
                if let NodeLine::Event(observed) = numbered.line {
                    match observed.event {
                        NodeEvent::ProxyDecision(d) => told.decisions.push(d),
                        NodeEvent::ProxyConn(c) => told.connections.push(c),
                        other => panic!("{other:?}"),
                    }
                }
            }
            assert_eq!(reader.notes().unreadable_count, 0);
            assert!(!reader.notes().cut);
        }
        told
    }
}

impl Told {
    pub fn made(&self) -> usize {
        self.connections.iter().filter(|c| c.phase == ProxyConnPhase::Made).count()
    }

    pub fn ends(&self) -> Vec<ProxyEnd> {
        self.connections.iter().filter_map(|c| c.end).collect()
    }
}

pub fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(STUCK)).unwrap();
    stream.set_write_timeout(Some(STUCK)).unwrap();
    stream
}

/// Sends bytes one way.
pub fn passes(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) {
    from.write_all(bytes).unwrap();
    let mut got = vec![0; bytes.len()];
    to.read_exact(&mut got).unwrap();
    assert_eq!(got, bytes);
}

/// How the other end went.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    Fin,
    Reset,
}

pub fn seen(stream: &mut TcpStream) -> Seen {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => Seen::Fin,
        Err(e) if e.kind() == ErrorKind::ConnectionReset => Seen::Reset,
        Err(e) => panic!("{e}"),
    }
}

pub fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

pub fn fin(stream: &TcpStream) {
    stream.shutdown(Shutdown::Write).unwrap();
}

/// Looks again and again until it is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < STUCK, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
