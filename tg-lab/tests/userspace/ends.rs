//! TCP: bytes, and each way to end.

use crate::stage::{Seen, Stage, fin, passes, reset, seen, until};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use tg_lab::lab::{Ground, NetworkFault};
use tg_model::lab_plan::{LabFamily, SchedulerKind};
use tg_model::node_event::ProxyEnd;

#[test]
fn a_pods_fin_is_a_fin_and_the_client_may_still_send() {
    let mut stage = Stage::new(|_| {});
    let pod = stage.listener();
    let (mut client, mut server) = stage.pair(&pod);
    passes(&mut client, &mut server, b"ping");
    passes(&mut server, &mut client, b"pong");
    fin(&server);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    passes(&mut client, &mut server, b"late");
    fin(&client);
    assert_eq!(seen(&mut server), Seen::Fin);
    let told = stage.finish();
    assert_eq!((told.decisions.len(), told.made(), told.ends()), (1, 1, vec![ProxyEnd::BackendClosed]));
}

#[test]
fn a_pods_reset_is_a_reset() {
    let mut stage = Stage::new(|_| {});
    let pod = stage.listener();
    let (mut client, mut server) = stage.pair(&pod);
    passes(&mut client, &mut server, b"ping");
    reset(server);
    assert_eq!(seen(&mut client), Seen::Reset);
    assert_eq!(stage.finish().ends(), [ProxyEnd::BackendReset]);
}

#[test]
fn a_clients_fin_and_reset_are_the_same_for_the_pod() {
    let mut stage = Stage::new(|_| {});
    let pod = stage.listener();
    let (client, mut server) = stage.pair(&pod);
    fin(&client);
    assert_eq!(seen(&mut server), Seen::Fin);
    let (mut other, mut second) = stage.pair(&pod);
    passes(&mut other, &mut second, b"ping");
    reset(other);
    assert_eq!(seen(&mut second), Seen::Reset);
    assert_eq!(stage.finish().ends(), [ProxyEnd::ClientClosed, ProxyEnd::ClientReset]);
}

#[test]
fn a_pod_that_refuses_is_a_reset_and_is_told_as_what_it_was() {
    let mut stage = Stage::new(|_| {});
    let nobody = stage.pod();
    let mut client = stage.client();
    assert_eq!(seen(&mut client), Seen::Reset);
    let told = stage.finish();
    assert_eq!((told.made(), told.ends()), (0, vec![ProxyEnd::BackendRefused]));
    assert_eq!(told.decisions[0].chosen, Some(nobody));
    assert_eq!(told.connections[0].backend.src.port(), 0, "the proxy had no end of it");
}

#[test]
fn without_a_ready_pod_a_client_is_reset_and_the_decision_says_so() {
    let mut stage = Stage::new(|_| {});
    let pod = stage.listener();
    let (client, server) = stage.pair(&pod);
    stage.tell(|_| false);
    let mut refused = stage.client();
    assert_eq!(seen(&mut refused), Seen::Reset);
    let (mut client, mut server) = (client, server);
    passes(&mut client, &mut server, b"it stays");
    drop((client, server));
    let told = stage.finish();
    assert_eq!(told.decisions[1].chosen, None);
    let candidate = &told.decisions[1].candidates[0];
    assert_eq!((candidate.weight, candidate.active), (0, 1));
}

#[test]
fn who_does_not_read_stops_who_writes_and_nothing_is_lost() {
    let mut stage = Stage::new(|s| s.family = LabFamily::Ipv6);
    let pod = stage.listener();
    let (mut client, mut server) = stage.pair(&pod);
    client.set_nonblocking(true).unwrap();
    let chunk: Vec<u8> = (0..100_003u32).map(|n| (n % 251) as u8).collect();
    let mut sent = 0;
    // Kernels hold some megabytes for a connection; the proxy must not hold more and more.
    until("the client is stopped", || {
        match client.write(&chunk[sent % chunk.len()..]) {
            Ok(n) => sent += n,
            Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock),
        }
        assert!(sent < 200_000_000, "it takes whatever comes");
        let before = sent;
        std::thread::sleep(std::time::Duration::from_millis(20));
        sent += client.write(&chunk[sent % chunk.len()..]).unwrap_or(0);
        sent == before
    });
    fin(&client);
    let mut got = Vec::new();
    server.read_to_end(&mut got).unwrap();
    assert_eq!(got.len(), sent);
    assert!(got.iter().zip(chunk.iter().cycle()).all(|(a, b)| a == b));
}

#[test]
fn lc_gives_new_connections_to_the_new_pod_until_it_has_as_many() {
    let mut stage = Stage::new(|s| s.scheduler = SchedulerKind::Lc);
    let old = stage.listener();
    let first: Vec<_> = (0..4).map(|_| stage.pair(&old)).collect();
    let new = stage.listener();
    let second: Vec<_> = (0..4).map(|_| stage.pair(&new)).collect();
    let loads = stage.director.loads();
    until("all are counted", || stage.director.loads().iter().all(|(_, n)| *n == 4));
    assert_eq!(loads.len(), 2);
    drop((first, second));
    let told = stage.finish();
    let new = new.local_addr().unwrap();
    assert_eq!(told.decisions.iter().filter(|d| d.chosen == Some(new)).count(), 4);
    assert_eq!(told.ends().len(), 8);
}

#[test]
fn a_reset_storm_resets_a_pods_connections_on_both_sides_and_no_others() {
    let mut stage = Stage::new(|_| {});
    let (one, other) = (stage.listener(), stage.listener());
    stage.tell(|pod| pod == "pod-0");
    let (mut hit, mut on_one) = stage.pair(&one);
    stage.tell(|pod| pod == "pod-1");
    let (mut spared, mut on_other) = stage.pair(&other);
    stage.director.inject(&NetworkFault::ResetStorm { pod: "pod-0".into() }).unwrap();
    assert_eq!((seen(&mut hit), seen(&mut on_one)), (Seen::Reset, Seen::Reset));
    passes(&mut spared, &mut on_other, b"ping");
    assert_eq!(stage.finish().ends(), [ProxyEnd::Proxy, ProxyEnd::Proxy], "the other one at the very end");
}

fn hole() -> NetworkFault {
    NetworkFault::PodBlackhole { pod: "pod-0".into() }
}

/// Nothing is there to be read, no byte and no end.
fn hears_nothing(stream: &mut TcpStream) {
    stream.set_nonblocking(true).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock, "it was told");
    stream.set_nonblocking(false).unwrap();
}

#[test]
fn a_blackhole_tells_the_pod_nothing_of_clients_that_are_gone() {
    let mut stage = Stage::new(|_| {});
    let pod = stage.listener();
    let (mut client, mut server) = stage.pair(&pod);
    passes(&mut client, &mut server, b"ping");
    stage.director.inject(&hole()).unwrap();
    client.write_all(b"never sent again").unwrap();
    let during = stage.client();
    reset(during);
    reset(client);
    until("the clients' ends are counted", || stage.director.loads().iter().all(|(_, n)| *n == 0));
    hears_nothing(&mut server);
    stage.director.heal(&hole()).unwrap();
    let (mut after, mut second) = stage.pair(&pod);
    passes(&mut after, &mut second, b"ping");
    hears_nothing(&mut server);
    drop((after, second));
    let told = stage.finish();
    assert_eq!((told.made(), &told.ends()[..2]), (2, &[ProxyEnd::ClientReset, ProxyEnd::ClientReset][..]));
}

#[test]
fn what_is_sent_into_a_blackhole_comes_once_it_is_healed() {
    let mut stage = Stage::new(|_| {});
    let pod = stage.listener();
    let (mut client, mut server) = stage.pair(&pod);
    let (mut leaving, mut left) = stage.pair(&pod);
    passes(&mut client, &mut server, b"ping");
    stage.director.inject(&hole()).unwrap();
    client.write_all(b"request").unwrap();
    server.write_all(b"answer").unwrap();
    leaving.write_all(b"last").unwrap();
    fin(&leaving);
    let mut during = stage.client();
    during.write_all(b"early").unwrap();
    until("the end of the one that left is counted", || stage.director.loads().iter().all(|(_, n)| *n == 2));
    [&mut server, &mut left, &mut client].into_iter().for_each(hears_nothing);
    pod.set_nonblocking(true).unwrap();
    assert_eq!(pod.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    stage.director.heal(&hole()).unwrap();
    for (to, bytes) in [(&mut server, &b"request"[..]), (&mut client, b"answer"), (&mut left, b"last")] {
        let mut got = vec![0; bytes.len()];
        to.read_exact(&mut got).unwrap();
        assert_eq!(got, bytes);
    }
    assert_eq!(seen(&mut left), Seen::Fin);
    let mut accepted = stage.accept(&pod);
    let mut got = [0; 5];
    accepted.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"early");
    passes(&mut accepted, &mut during, b"pong");
    passes(&mut client, &mut server, b"ping");
    drop((client, server, during, accepted, leaving));
    assert_eq!(stage.finish().made(), 3);
}
