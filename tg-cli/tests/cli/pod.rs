//! `serve` as a pod. Changes when what a test can do to a pod does.

use super::case::Case;
use super::process::{Process, Signal};
use std::net::SocketAddr;

/// A running `serve`.
pub struct Pod {
    pub process: Process,
    pub address: SocketAddr,
}

impl Pod {
    /// At a free port of the case's family, or at `address`; with epoll where not told otherwise.
    pub fn start(case: Case, name: &str, address: Option<SocketAddr>, more: &[&str]) -> Pod {
        let listen = address.unwrap_or(SocketAddr::new(case.ip(), 0)).to_string();
        let mut args = vec!["serve", "--name", name, "--listen", &listen];
        args.extend(case.udp.then_some("--udp"));
        args.extend(more);
        let process = Process::start(&args);
        let start = format!("{name} listens on {} ", if case.udp { "udp" } else { "tcp" });
        let said = process.wait_for_line(|l| l.starts_with(&start));
        let address = said[start.len()..].parse().unwrap();
        Pod { process, address }
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for its end, in good order, and gives what it said then.
    pub fn finish(self) -> String {
        self.process.finish().with(0).stderr.pop().unwrap()
    }

    /// Whether nobody comes in any more; one who does leaves at once.
    pub fn refuses(&self) -> bool {
        std::net::TcpStream::connect(self.address).is_err()
    }
}

/// How many connections, and datagrams, the last line of a server tells of.
pub fn served(name: &str, connections: u64, datagrams: Option<u64>) -> String {
    let datagrams = datagrams.map_or(String::new(), |n| format!(", {n} datagrams"));
    format!("{name} served {connections} connections{datagrams}")
}
