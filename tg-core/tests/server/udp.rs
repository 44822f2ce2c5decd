//! What a UDP client gets back, and from where. The io_uring server has no UDP.

use crate::{PATIENCE, await_stats, config, connected, listening, once};
use socket2::{Domain, Socket, Type};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;
use tg_core::model::wire::{self, Identity};
use tg_core::server::{Config, Drain, Protocol, ServerError, ServerHandle, start};

pub fn register(suite: &mut crate::support::Suite) {
    once!(
        suite,
        datagrams_of_any_length_come_back_with_the_name,
        a_request_is_answered_and_the_sequence_number_comes_back,
        an_answer_comes_from_the_address_that_was_asked,
        both_protocols_have_the_same_port_and_each_has_it_alone,
        a_drain_answers_datagrams_until_its_time_is_up
    );
}

fn serve(drain: Drain) -> ServerHandle {
    start(Config { udp: true, drain, ..config() }).unwrap()
}

fn client(to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(if to.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" }).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Sends a datagram; the answer and where it came from.
fn round_trip(socket: &UdpSocket, to: SocketAddr, datagram: &[u8]) -> (Vec<u8>, SocketAddr) {
    socket.send_to(datagram, to).unwrap();
    let mut answer = vec![0; 1 << 16];
    let (len, from) = socket.recv_from(&mut answer).unwrap();
    answer.truncate(len);
    (answer, from)
}

fn datagrams_of_any_length_come_back_with_the_name() {
    let server = serve(Drain::Close);
    let to = server.addresses()[0];
    let socket = client(to);
    for len in [0, 1, 5, 64, 1024, 65_507] {
        let (answer, _) = round_trip(&socket, to, &vec![b'.'; len]);
        let name = len.min(5);
        assert_eq!(answer[..name], b"pod-1"[..name]);
        assert!(answer[name..] == vec![b'.'; len - name], "{len} bytes");
    }
    let stats = await_stats(&server, "6 answers", |s| s.datagrams_sent == 6);
    assert_eq!((stats.datagrams_received, stats.datagrams_failed, stats.datagrams_truncated), (6, 0, 0));
}

fn a_request_is_answered_and_the_sequence_number_comes_back() {
    let server = serve(Drain::Close);
    let to = server.addresses()[0];
    let socket = client(to);
    for size in [128, 1024] {
        let mut packet = vec![0; size];
        packet[wire::NAME_LEN..][..wire::REQUEST_LEN].copy_from_slice(&wire::encode_request(size as u32));
        packet[size - wire::SEQUENCE_LEN..].copy_from_slice(&77u64.to_be_bytes());
        let (answer, _) = round_trip(&socket, to, &packet);
        assert_eq!(wire::host_name(&answer), Some("pod-1".into()));
        let identity = Identity::decode(&answer[wire::NAME_LEN..wire::identity_end(size, true)]).unwrap();
        assert_eq!(identity.peer, socket.local_addr().unwrap());
        assert_eq!(answer[size - wire::SEQUENCE_LEN..], 77u64.to_be_bytes());
    }
}

fn an_answer_comes_from_the_address_that_was_asked() {
    // The last one: IPv4 on a socket of IPv6.
    for (listen, ip) in [("0.0.0.0:0", "127.0.0.2"), ("[::]:0", "::1"), ("[::]:0", "127.0.0.3")] {
        let server = start(Config { udp: true, ..listening(listen) }).unwrap();
        let to = SocketAddr::new(ip.parse().unwrap(), server.addresses()[0].port());
        let (_, from) = round_trip(&client(to), to, b"from where?");
        assert_eq!(from, to, "listening on {listen}");
    }
}

fn both_protocols_have_the_same_port_and_each_has_it_alone() {
    let server = serve(Drain::Close);
    let taken = server.addresses()[0];
    connected(&server);
    round_trip(&client(taken), taken, b"x");
    // The UDP port alone taken.
    let again = Config { udp: true, listen: vec![taken], ..config() };
    drop(server);
    // One that would share: the server must not.
    let holder = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    holder.set_reuse_address(true).unwrap();
    holder.bind(&taken.into()).unwrap();
    match start(again.clone()) {
        Err(ServerError::AddressInUse { protocol: Protocol::Udp, address }) => assert_eq!(address, taken),
        result => panic!("{result:?}"),
    }
    drop(holder);
    start(again).unwrap();
}

fn a_drain_answers_datagrams_until_its_time_is_up() {
    let server = serve(Drain::Wait(Duration::from_secs(3600)));
    let to = server.addresses()[0];
    let socket = client(to);
    server.stop();
    crate::await_that("a refused connect", || std::net::TcpStream::connect(to).err());
    assert_eq!(round_trip(&socket, to, b"12345678").0, b"pod-1678");
    assert!(!server.is_finished());
    drop(server);
    UdpSocket::bind(to).unwrap();
}
