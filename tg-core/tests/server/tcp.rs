//! What a TCP client gets back.

use crate::support::Capability;
use crate::{await_end, await_stats, beside_others, connect, connected, listening, on_both_engines, round_trip, serve};
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;
use tg_core::model::wire::{self, Identity};
use tg_core::server::{Config, ServerEngine, start};

pub fn register(suite: &mut crate::support::Suite) {
    on_both_engines!(
        suite,
        only_the_names_length_is_overwritten,
        nothing_comes_before_the_first_64_bytes,
        a_request_is_answered,
        a_ctraffic_like_client_gets_back_what_it_sent,
        one_listener_takes_both_families,
        a_half_closed_connection_is_answered_to_its_end,
        a_reset_ends_its_connection_only,
        a_client_that_does_not_read_costs_one_buffer
    );
    let many = &[Capability::Descriptors];
    suite.test(format!("{}::epoll::a_thousand_connections", module_path!()), many, || {
        beside_others(|| a_thousand_connections(ServerEngine::Epoll));
    });
    let many = &[Capability::Descriptors, Capability::Uring];
    suite.test(format!("{}::uring::a_thousand_connections", module_path!()), many, || {
        beside_others(|| a_thousand_connections(ServerEngine::Uring));
    });
}

fn only_the_names_length_is_overwritten(engine: ServerEngine) {
    let server = serve(engine);
    let echo = round_trip(&mut connect(server.addresses()[0]), &[b'.'; 100]);
    assert_eq!(&echo[..6], b"pod-1.");
    assert_eq!(echo[6..], [b'.'; 94]);
}

fn nothing_comes_before_the_first_64_bytes(engine: ServerEngine) {
    let server = serve(engine);
    let mut stream = connect(server.addresses()[0]);
    for _ in 0..63 {
        stream.write_all(&[0]).unwrap();
    }
    await_stats(&server, "63 bytes received", |s| s.bytes_received == 63);
    assert_eq!(server.stats().bytes_sent, 0);
    stream.write_all(&[0]).unwrap();
    let mut first = [0; 64];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(wire::host_name(&first), Some("pod-1".into()));
}

/// The first packet of a tg client.
fn first_packet(size: usize) -> Vec<u8> {
    let mut packet = vec![0; size];
    packet[wire::NAME_LEN..][..wire::REQUEST_LEN].copy_from_slice(&wire::encode_request(size as u32));
    packet[wire::NAME_LEN + wire::REQUEST_LEN..].fill(0x55);
    packet
}

fn identity(echo: &[u8]) -> Identity {
    Identity::decode(&echo[wire::NAME_LEN..wire::identity_end(echo.len(), false)]).expect("an identity")
}

fn a_request_is_answered(engine: ServerEngine) {
    let server = serve(engine);
    for size in [128, 512, 1024, 100_000] {
        let mut stream = connect(server.addresses()[0]);
        let packet = first_packet(size);
        let echo = round_trip(&mut stream, &packet);
        let identity = identity(&echo);
        assert_eq!(identity.peer, stream.local_addr().unwrap());
        if size > 128 {
            assert_eq!((&*identity.pod, &*identity.pod_uid, &*identity.node), ("pod-1", "u-1", "node-1"));
            assert_eq!(identity.version, env!("CARGO_PKG_VERSION"));
        }
        let end = wire::identity_end(size, false);
        assert!(echo[end..] == packet[end..]);
        // A second request is nothing special.
        assert!(round_trip(&mut stream, &packet) == packet);
    }
}

fn a_ctraffic_like_client_gets_back_what_it_sent(engine: ServerEngine) {
    let server = serve(engine);
    let mut stream = connect(server.addresses()[0]);
    let packet: Vec<u8> = (0..1024u32).map(|i| if i < 64 { 0 } else { i as u8 }).collect();
    for round in 0..20 {
        // Writes that do not fall on packets.
        let cut = 37 * (round + 1) % packet.len();
        stream.write_all(&packet[..cut]).unwrap();
        stream.write_all(&packet[cut..]).unwrap();
        let mut echo = vec![0; packet.len()];
        stream.read_exact(&mut echo).unwrap();
        if round == 0 {
            assert_eq!(wire::host_name(&echo), Some("pod-1".into()));
            echo[..5].fill(0);
        }
        assert_eq!(echo, packet, "round {round}");
    }
}

fn one_listener_takes_both_families(engine: ServerEngine) {
    let server = start(Config { engine, ..listening("[::]:0") }).unwrap();
    let port = server.addresses()[0].port();
    for ip in ["127.0.0.1", "::1"] {
        let mut stream = connect(SocketAddr::new(ip.parse().unwrap(), port));
        let echo = round_trip(&mut stream, &first_packet(1024));
        // As the client sees itself: no mapped address.
        assert_eq!(identity(&echo).peer, stream.local_addr().unwrap());
    }
}

fn a_half_closed_connection_is_answered_to_its_end(engine: ServerEngine) {
    let server = serve(engine);
    // Whole; in mid-request, which is echoed as it came; in mid-name, of which nothing is.
    let request = &first_packet(1024)[..90];
    for (sent, echoed) in [(&[0; 5000][..], 5000), (request, 90), (&[0; 63], 0)] {
        let mut stream = connect(server.addresses()[0]);
        stream.write_all(sent).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut echo = Vec::new();
        stream.read_to_end(&mut echo).unwrap();
        assert_eq!(echo.len(), echoed);
        assert!(echoed == 0 || echo[5..] == sent[5..]);
    }
    await_stats(&server, "all connections gone", |s| s.connections == 0 && s.connections_total == 3);
}

fn a_reset_ends_its_connection_only(engine: ServerEngine) {
    let server = serve(engine);
    let (mut stays, goes) = (connected(&server), connected(&server));
    SockRef::from(&goes).set_linger(Some(Duration::ZERO)).unwrap();
    drop(goes);
    await_stats(&server, "one connection gone", |s| s.connections == 1);
    assert_eq!(round_trip(&mut stays, b"still here"), b"still here");
}

/// Writes until the kernel takes no more; gives how much it took.
fn fill(stream: &mut TcpStream, from: usize, limit: usize) -> usize {
    let mut sent = from;
    while sent < limit {
        let chunk: Vec<u8> = (sent..sent + 4096).map(byte_at).collect();
        match stream.write(&chunk) {
            Ok(n) => sent += n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            Err(e) => panic!("{e}"),
        }
    }
    sent - from
}

fn byte_at(offset: usize) -> u8 {
    if offset < 64 { 0 } else { (offset % 251) as u8 }
}

/// Fills a connection until the server has stopped reading from it; gives how much was sent.
pub fn stall(server: &tg_core::server::ServerHandle, stream: &mut TcpStream) -> usize {
    // Far more than the buffers of both kernels' sockets hold: a server that goes on reading is found out.
    const TOO_MUCH: usize = 256 << 20;
    stream.set_nonblocking(true).unwrap();
    let (mut sent, mut idle) = (0, 0);
    // Several looks in a row find nothing moving: the buffers between are full.
    while idle < 20 {
        let more = fill(stream, sent, TOO_MUCH);
        sent += more;
        idle = if more == 0 && server.stats().connections_paused == 1 { idle + 1 } else { 0 };
        assert!(sent < TOO_MUCH, "the server takes without end what its client does not take back");
        std::thread::sleep(Duration::from_millis(5));
    }
    stream.set_nonblocking(false).unwrap();
    sent
}

fn a_client_that_does_not_read_costs_one_buffer(engine: ServerEngine) {
    let server = serve(engine);
    let mut stream = connect(server.addresses()[0]);
    let sent = stall(&server, &mut stream);
    let stats = server.stats();
    assert!(0 < stats.bytes_pending && stats.bytes_pending <= 64 * 1024 + 512, "{stats:?}");
    // Others are served meanwhile.
    connected(&server);
    // And nothing is lost of it.
    stream.shutdown(Shutdown::Write).unwrap();
    let mut echo = Vec::new();
    stream.read_to_end(&mut echo).unwrap();
    assert_eq!(echo.len(), sent);
    let wrong = (5..sent).find(|&at| echo[at] != byte_at(at));
    assert_eq!(wrong, None);
    let stats = await_stats(&server, "all connections gone", |s| s.connections == 0);
    assert_eq!((stats.bytes_pending, stats.connections_paused), (0, 0));
}

fn a_thousand_connections(engine: ServerEngine) {
    let server = serve(engine);
    let mut streams: Vec<_> = (0..1000).map(|_| connect(server.addresses()[0])).collect();
    for round in 0..3 {
        for stream in &mut streams {
            stream.write_all(&first_packet(200)).unwrap();
        }
        for stream in &mut streams {
            let mut echo = [0; 200];
            stream.read_exact(&mut echo).unwrap();
            if round == 0 {
                assert_eq!(identity(&echo).peer, stream.local_addr().unwrap());
            }
        }
    }
    let stats = server.stats();
    assert_eq!((stats.connections, stats.connections_total, stats.accept_errors), (1000, 1000, 0));
    assert_eq!(stats.bytes_received, 3 * 1000 * 200);
    server.stop();
    let stats = await_end(server);
    assert_eq!((stats.connections, stats.bytes_pending), (0, 0));
    for stream in &mut streams {
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
}
