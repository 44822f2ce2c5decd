//! The stand-ins against each other, so that tests of tg may trust them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod standin;

use standin::behaviour::Behaviour;
use standin::client::{Client, Options, Report};
use standin::link::check_echo;
use standin::random::Random;
use standin::server::{self, Counts, Server, Stop};
use standin::{NAME_LEN, Transport};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

const V4: &str = "127.0.0.1:0";
const V6: &str = "[::1]:0";

fn server_at(bind: &str, transport: Transport, behaviour: Behaviour) -> Server {
    let bind: SocketAddr = bind.parse().unwrap();
    Server::start(server::Options { transport, behaviour, ..server::Options::new("pod-1", bind) }).unwrap()
}

fn client_of(server: &Server, transport: Transport) -> Options {
    Options { transport, ..Options::new(server.addr()) }
}

/// One connection, a packet at a time.
fn against(transport: Transport, behaviour: Behaviour, change: impl FnOnce(&mut Options)) -> (Report, Counts) {
    let server = server_at(V4, transport, behaviour);
    let mut options = Options { conns: 1, join: 1, ..client_of(&server, transport) };
    change(&mut options);
    let report = Client::start(&options).join();
    (report, server.stop(Stop::Fin).1)
}

#[test]
fn all_echoes_return_over_both_transports_and_families_whatever_the_seed() {
    for (transport, bind) in [(Transport::Tcp, V4), (Transport::Tcp, V6), (Transport::Udp, V4), (Transport::Udp, V6)] {
        for seed in 1..4 {
            let server = server_at(bind, transport, Behaviour::Echo);
            let options = Options { seed, packet_size: 64 + seed as usize * 333, ..client_of(&server, transport) };
            let report = Client::start(&options).join();
            assert_eq!((report.connections.len(), report.failed_connects), (4, 0));
            for c in &report.connections {
                assert_eq!((c.error.as_str(), c.host.as_str(), c.sent, c.received), ("", "pod-1", 20, 20));
                assert_eq!(c.local.map(|a| a.is_ipv6()), Some(bind == V6));
            }
            let bytes = 80 * options.packet_size as u64;
            let want = match transport {
                Transport::Tcp => Counts { connections: 4, bytes, datagrams: 0, unclean: 0 },
                Transport::Udp => Counts { connections: 4, bytes, datagrams: 80, unclean: 0 },
            };
            assert_eq!(server.stop(Stop::Fin).1, want);
        }
    }
}

#[test]
fn the_server_writes_its_name_and_nothing_else() {
    let server = server_at(V6, Transport::Tcp, Behaviour::Echo);
    let mut raw = TcpStream::connect(server.addr()).unwrap();
    let sent: Vec<u8> = (0..=255).collect();
    raw.write_all(&sent).unwrap();
    raw.shutdown(Shutdown::Write).unwrap();
    let mut echo = Vec::new();
    raw.read_to_end(&mut echo).unwrap();
    assert_eq!(echo, [b"pod-1", &sent[5..]].concat());
    assert_eq!(server.stop(Stop::Fin).1, Counts { connections: 1, bytes: 256, datagrams: 0, unclean: 1 });
}

#[test]
fn nothing_is_echoed_before_the_first_64_bytes_are_there() {
    let server = server_at(V4, Transport::Tcp, Behaviour::Echo);
    let mut raw = TcpStream::connect(server.addr()).unwrap();
    raw.write_all(&[0; NAME_LEN - 1]).unwrap();
    raw.shutdown(Shutdown::Write).unwrap();
    let mut echo = Vec::new();
    assert_eq!(raw.read_to_end(&mut echo).unwrap(), 0);
    assert_eq!(server.counts().bytes, 63);
}

#[test]
fn a_host_needs_a_name_that_ends_within_64_bytes() {
    for (len, want) in [(0, 0), (1, 1), (63, 63), (64, 0), (99, 0)] {
        for transport in [Transport::Tcp, Transport::Udp] {
            let name = "n".repeat(len);
            let options = server::Options { transport, ..server::Options::new(&name, V4.parse().unwrap()) };
            let server = Server::start(options).unwrap();
            let report = Client::start(&Options { conns: 1, ..client_of(&server, transport) }).join();
            let c = &report.connections[0];
            assert_eq!((c.error.as_str(), c.received, c.host.len()), ("", 20, want), "{transport:?} {len}");
        }
    }
}

#[test]
fn a_wrong_echo_is_told_by_its_first_wrong_byte() {
    let mut sent = vec![7; 100];
    sent[..NAME_LEN].fill(0);
    let mut echo = sent.clone();
    echo[..3].copy_from_slice(b"pod");
    assert_eq!(check_echo(&sent, &echo, true), Ok(Some("pod".into())));
    assert_eq!(check_echo(&sent, &echo, false), Err("echo differs at byte 0".into()));
    assert_eq!(check_echo(&sent, &sent, true), Ok(None));
    assert_eq!(check_echo(&sent, &sent, false), Ok(None));
    for at in [4, 63, 64, 99] {
        let mut wrong = echo.clone();
        wrong[at] ^= 1;
        assert_eq!(check_echo(&sent, &wrong, true), Err(format!("echo differs at byte {at}")));
    }
    assert_eq!(check_echo(&sent, &echo[..99], true), Err("echo of 99 bytes for 100".into()));
}

#[test]
fn pieces_are_all_of_the_bytes_split_and_whole() {
    let mut lengths = Vec::new();
    for seed in 0..200 {
        let pieces = Random::new(seed, 0).pieces(1024);
        assert_eq!(pieces.iter().sum::<usize>(), 1024);
        assert!(pieces.iter().all(|p| *p > 0));
        assert_eq!(pieces, Random::new(seed, 0).pieces(1024));
        lengths.push(pieces.len());
    }
    assert!(lengths.contains(&1), "never whole");
    assert!(lengths.iter().any(|n| *n > 4), "never split");
    assert_ne!(Random::new(1, 0).number(), Random::new(1, 1).number());
}

#[test]
fn a_trickle_is_slow_and_right() {
    let (report, counts) = against(Transport::Tcp, Behaviour::Trickle, |_| {});
    let c = &report.connections[0];
    assert_eq!((c.error.as_str(), c.host.as_str(), c.received), ("", "pod-1", 20));
    assert_eq!(counts.bytes, 20 * 1024);
}

#[test]
fn a_silent_server_is_a_timeout() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let server = server_at(V4, transport, Behaviour::Silent);
        let deadline = Duration::from_millis(50);
        let report = Client::start(&Options { conns: 1, join: 1, deadline, ..client_of(&server, transport) }).join();
        let c = &report.connections[0];
        assert_eq!((c.error.as_str(), c.host.as_str(), c.sent, c.received), ("timeout", "", 1, 0));
        // It may come to it only now.
        server.wait_until(|c| c.bytes == 1024);
    }
}

#[test]
fn bytes_too_many_are_seen_in_mid_run_and_at_the_end() {
    let (report, _) = against(Transport::Tcp, Behaviour::TooMuch { after: 1500 }, |_| {});
    let c = &report.connections[0];
    assert_eq!((c.error.as_str(), c.received), ("echo differs at byte 476", 1));
    let (report, _) = against(Transport::Tcp, Behaviour::TooMuch { after: 1024 }, |o| o.packets = Some(1));
    let c = &report.connections[0];
    assert_eq!((c.error.as_str(), c.received), ("100 bytes too many", 1));
    let (report, _) = against(Transport::Udp, Behaviour::TooMuch { after: 0 }, |_| {});
    let c = &report.connections[0];
    assert_eq!((c.error.as_str(), c.received), ("echo differs at byte 64", 1));
}

#[test]
fn something_else_is_seen_where_it_begins() {
    // From byte 0 on the name has no end: the first byte behind it is the one that is seen.
    for (after, at) in [(0, 64), (10, 10), (64, 64), (1000, 1000), (1024 + 7, 7)] {
        let (report, _) = against(Transport::Tcp, Behaviour::SomethingElse { after }, |_| {});
        let c = &report.connections[0];
        assert_eq!((c.error.clone(), c.received), (format!("echo differs at byte {at}"), after / 1024));
    }
    let (report, _) = against(Transport::Udp, Behaviour::SomethingElse { after: 0 }, |_| {});
    assert_eq!(report.connections[0].error, "echo differs at byte 64");
}

#[test]
fn a_half_close_is_an_eof_and_a_reset_is_a_reset_in_mid_packet() {
    let cases = [(Behaviour::HalfClose { after: 1500 }, "EOF"), (Behaviour::Reset { after: 1500 }, "reset")];
    for (behaviour, error) in cases {
        let (report, counts) = against(Transport::Tcp, behaviour, |_| {});
        let c = &report.connections[0];
        assert_eq!((c.error.as_str(), c.host.as_str(), c.received), (error, "pod-1", 1), "{behaviour:?}");
        assert_eq!(counts.connections, 1);
    }
}

#[test]
fn a_half_closed_connection_is_still_read_from() {
    let server = server_at(V4, Transport::Tcp, Behaviour::HalfClose { after: 64 });
    let mut raw = TcpStream::connect(server.addr()).unwrap();
    raw.write_all(&[0; NAME_LEN]).unwrap();
    let mut echo = Vec::new();
    raw.read_to_end(&mut echo).unwrap();
    assert_eq!(echo.len(), NAME_LEN);
    raw.write_all(&[1; 5000]).unwrap();
    server.wait_until(|c| c.bytes == 5064);
}

#[test]
fn a_refusing_server_has_the_port_and_refuses() {
    for bind in [V4, V6] {
        let server = server_at(bind, Transport::Tcp, Behaviour::Refuse);
        let report = Client::start(&Options { conns: 2, ..client_of(&server, Transport::Tcp) }).join();
        assert_eq!(report.failed_connects, 2);
        assert!(report.connections.iter().all(|c| c.error == "refused" && c.local.is_none() && c.sent == 0));

        let server = server_at(bind, Transport::Udp, Behaviour::Refuse);
        let report = Client::start(&Options { conns: 2, ..client_of(&server, Transport::Udp) }).join();
        assert!(report.connections.iter().all(|c| c.error == "refused" && c.received == 0));
    }
}

#[test]
fn what_udp_does_not_have_is_refused_at_the_start() {
    for behaviour in [Behaviour::Trickle, Behaviour::HalfClose { after: 0 }, Behaviour::Reset { after: 0 }] {
        let options = server::Options {
            transport: Transport::Udp,
            behaviour,
            ..server::Options::new("pod-1", V4.parse().unwrap())
        };
        assert!(Server::start(options).is_err());
    }
}

/// Runs four connections until stopped, and replaces the server in between.
fn restarted(transport: Transport, bind: &str, how: Stop) -> Report {
    let server = server_at(bind, transport, Behaviour::Echo);
    let client = Client::start(&Options {
        packets: None,
        reconnect: true,
        deadline: Duration::from_secs(5),
        ..client_of(&server, transport)
    });
    // More than a first packet of each: all are established and named.
    let busy = |c: &Counts| c.bytes >= 400 * 1024 && c.connections == 4;
    server.wait_until(busy);
    let (mut options, before) = server.stop(how);
    assert_eq!(before.unclean, 0);
    client.wait_until_lost(4);
    options.name = "pod-2".into();
    let server = Server::start(options).unwrap();
    server.wait_until(busy);
    let report = client.stop();
    assert_eq!(server.stop(Stop::Fin).1.unclean, 0);
    report
}

#[test]
fn a_server_stops_although_nobody_reads_its_echoes() {
    for (how, end) in [(Stop::Fin, None), (Stop::Reset, Some(ErrorKind::ConnectionReset))] {
        let server = server_at(V4, Transport::Tcp, Behaviour::Echo);
        let mut raw = TcpStream::connect(server.addr()).unwrap();
        raw.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        // Until both directions are full.
        while raw.write_all(&[0; 65536]).is_ok() {}
        server.stop(how);
        let result = raw.read_to_end(&mut Vec::new());
        if let Some(kind) = end {
            assert_eq!(result.unwrap_err().kind(), kind);
        }
    }
}

#[test]
fn a_server_restarted_in_mid_run_loses_each_connection_once() {
    for (bind, how) in [(V4, Stop::Fin), (V6, Stop::Fin), (V4, Stop::Reset), (V6, Stop::Reset)] {
        let report = restarted(Transport::Tcp, bind, how);
        let (lost, lasting): (Vec<_>, Vec<_>) =
            report.connections.iter().filter(|c| c.local.is_some()).partition(|c| !c.error.is_empty());
        assert_eq!((lost.len(), lasting.len()), (4, 4), "{report:?}");
        assert!(lasting.iter().all(|c| c.host == "pod-2" && c.sent == c.received));
        for c in lost {
            assert_eq!(c.host, "pod-1");
            let as_reset = c.error == "reset";
            let as_fin = c.error == "EOF" || c.error == "broken pipe";
            assert!(if how == Stop::Reset { as_reset } else { as_fin }, "{how:?}: {c:?}");
        }
    }
}

#[test]
fn a_udp_server_restarted_in_mid_run_loses_each_flow_once() {
    for bind in [V4, V6] {
        let report = restarted(Transport::Udp, bind, Stop::Fin);
        let heard: Vec<_> = report.connections.iter().filter(|c| c.received > 0).collect();
        let (lost, lasting): (Vec<_>, Vec<_>) = heard.into_iter().partition(|c| !c.error.is_empty());
        assert_eq!((lost.len(), lasting.len()), (4, 4), "{report:?}");
        assert!(lost.iter().all(|c| c.host == "pod-1"));
        // A datagram that the dying server had not read yet is lost in silence.
        assert!(lost.iter().all(|c| c.error == "refused" || c.error == "timeout"), "{lost:?}");
        assert!(lasting.iter().all(|c| c.host == "pod-2" && c.sent == c.received));
    }
}
