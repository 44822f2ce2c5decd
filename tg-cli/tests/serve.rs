//! `tg-cli serve` as a process: what it says, what signals do to it, its exit code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod standin;

use standin::Transport;
use standin::client::{Client, Options};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Tests that count on a port that was given back have a loopback address of their own.
struct Server {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Server {
    fn start(args: &[&str]) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tg-cli"))
            .arg("serve")
            .args(args)
            .env("POD_NAME", "pod-1")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Server { child, stderr }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The address in the next line, which says that it listens.
    fn address(&mut self, protocol: &str) -> SocketAddr {
        let line = self.line();
        let address = line.split_once(&format!(" listens on {protocol} "));
        address.unwrap_or_else(|| panic!("{line:?}")).1.parse().unwrap()
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Its exit status and the rest of what it says.
    fn end(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended where the test passed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn connected(address: SocketAddr) -> (TcpStream, [u8; 64]) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(&[0; 64]).unwrap();
    let mut first = [0; 64];
    stream.read_exact(&mut first).unwrap();
    (stream, first)
}

#[test]
fn it_says_where_it_listens_and_ends_well_by_either_signal() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&["--listen", "127.0.0.1:0", "[::1]:0", "--udp", "--name", "a"]);
        let tcp = [server.address("tcp"), server.address("tcp")];
        assert_eq!([server.address("udp"), server.address("udp")], tcp);
        let (mut stream, first) = connected(tcp[1]);
        assert_eq!(&first[..2], b"a\0");
        server.signal(signal);
        assert_eq!(stream.read(&mut first.clone()).unwrap(), 0);
        let (status, rest) = server.end();
        assert_eq!((status.code(), &*rest), (Some(0), "a served 1 connection\n"));
    }
}

#[test]
fn a_second_signal_ends_a_drain() {
    let mut server = Server::start(&["--listen", "127.2.0.1:0", "--drain", "wait", "1h"]);
    let address = server.address("tcp");
    let (mut stream, _) = connected(address);
    server.signal("TERM");
    // The drain has begun when new clients are refused.
    while TcpStream::connect(address).is_ok() {}
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    server.signal("INT");
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    assert_eq!(server.end().0.code(), Some(0));
}

#[test]
fn a_killed_server_can_be_replaced_at_once() {
    let mut server = Server::start(&["--listen", "127.2.0.2:0"]);
    let address = server.address("tcp");
    let (mut stream, _) = connected(address);
    server.signal("KILL");
    assert_eq!(server.end().0.code(), None);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    let mut next = Server::start(&["--listen", &address.to_string()]);
    assert_eq!(next.address("tcp"), address);
    connected(address);
}

#[test]
fn a_taken_port_is_exit_code_1_and_says_which() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let (status, said) = Server::start(&["--listen", &address]).end();
    assert_eq!(status.code(), Some(1));
    assert!(said.contains(&address) && said.contains("in use") && said.contains("--listen"), "{said}");
}

#[test]
fn bad_arguments_are_exit_code_2() {
    for args in [
        &["--listen", "nonsense"][..],
        &["--listen", "127.0.0.1:1", "127.0.0.1:1"],
        &["--drain", "later"],
        &["--udp", "--engine", "uring"],
        &["--name", ""],
    ] {
        let (status, said) = Server::start(args).end();
        assert_eq!(status.code(), Some(2), "{args:?}: {said}");
        assert!(said.starts_with("error: "), "{said}");
    }
}

#[test]
fn a_ctraffic_client_finds_a_ctraffic_server() {
    for (ip, transport) in [
        ("127.0.0.1", Transport::Tcp),
        ("[::1]", Transport::Tcp),
        ("127.0.0.1", Transport::Udp),
        ("[::1]", Transport::Udp),
    ] {
        let listen = format!("{ip}:0");
        let mut args = vec!["--listen", &listen, "--name", "pod-1"];
        if transport == Transport::Udp {
            args.push("--udp");
        }
        let mut server = Server::start(&args);
        let line = server.line();
        let address = line.strip_prefix("pod-1 listens on tcp ").unwrap().parse().unwrap();
        for seed in 1..4 {
            let packet_size = 64 + seed as usize * 333;
            let report = Client::start(&Options { transport, seed, packet_size, ..Options::new(address) }).join();
            assert_eq!((report.connections.len(), report.failed_connects), (4, 0));
            for c in &report.connections {
                assert_eq!((c.error.as_str(), c.host.as_str(), c.sent, c.received), ("", "pod-1", 20, 20));
            }
        }
    }
}
