//! What a stop does, as the clients see it, and what is left of it for the next server.

use crate::tcp::stall;
use crate::{await_end, await_that, config, connect, connected, listening, on_both_engines, once, round_trip, serve};
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use tg_core::server::{Config, Drain, Protocol, ServerEngine, ServerError, ServerHandle, start};

pub fn register(suite: &mut crate::support::Suite) {
    on_both_engines!(
        suite,
        close_ends_an_idle_connection_with_an_end_of_file,
        close_resets_a_connection_with_unread_bytes,
        dropping_the_handle_closes,
        reset_resets,
        wait_serves_those_that_are_there,
        wait_ends_when_its_time_is_up,
        wait_can_be_cut_short,
        the_next_server_binds_at_once,
        a_live_server_keeps_its_port,
        nobody_is_accepted_after_a_stop
    );
    once!(suite, what_contradicts_itself_is_refused_as_usage, an_address_of_another_host_is_an_error_that_names_it);
}

const LONG: Drain = Drain::Wait(Duration::from_secs(3600));

fn with(engine: ServerEngine, drain: Drain) -> ServerHandle {
    start(Config { engine, drain, ..config() }).unwrap()
}

/// How a connection ends: what the first read gives that is no data.
fn end(stream: &mut TcpStream) -> Option<ErrorKind> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(e) => return Some(e.kind()),
        }
    }
}

fn await_refusal(address: SocketAddr) {
    await_that("a refused connect", || match TcpStream::connect(address) {
        Err(e) if e.kind() == ErrorKind::ConnectionRefused => Some(()),
        _ => None,
    });
}

fn close_ends_an_idle_connection_with_an_end_of_file(engine: ServerEngine) {
    let server = with(engine, Drain::Close);
    let mut streams = [connected(&server), connected(&server)];
    server.stop();
    for stream in &mut streams {
        assert_eq!(end(stream), None);
    }
    let stats = await_end(server);
    assert_eq!((stats.connections, stats.connections_total), (0, 2));
}

fn close_resets_a_connection_with_unread_bytes(engine: ServerEngine) {
    let server = with(engine, Drain::Close);
    let mut stream = connect(server.addresses()[0]);
    stall(&server, &mut stream);
    server.stop();
    assert_eq!(end(&mut stream), Some(ErrorKind::ConnectionReset));
    let stats = await_end(server);
    assert_eq!((stats.connections, stats.bytes_pending, stats.connections_paused), (0, 0, 0));
}

fn dropping_the_handle_closes(engine: ServerEngine) {
    let server = with(engine, LONG);
    let address = server.addresses()[0];
    let mut stream = connected(&server);
    drop(server);
    assert_eq!(end(&mut stream), None);
    // The drop waited for the end.
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

fn reset_resets(engine: ServerEngine) {
    let server = with(engine, Drain::Reset);
    let mut streams = [connected(&server), connected(&server)];
    server.stop();
    for stream in &mut streams {
        assert_eq!(end(stream), Some(ErrorKind::ConnectionReset));
    }
    assert_eq!(await_end(server).connections, 0);
}

fn wait_serves_those_that_are_there(engine: ServerEngine) {
    let server = with(engine, LONG);
    let mut stream = connected(&server);
    server.stop();
    await_refusal(server.addresses()[0]);
    assert_eq!(round_trip(&mut stream, b"still served"), b"still served");
    assert!(!server.is_finished());
    drop(stream);
    // It does not take the hour.
    let stats = await_end(server);
    assert_eq!((stats.connections, stats.bytes_sent), (0, 64 + 12));
}

fn wait_ends_when_its_time_is_up(engine: ServerEngine) {
    let server = with(engine, Drain::Wait(Duration::from_millis(20)));
    let mut stream = connected(&server);
    server.stop();
    assert_eq!(end(&mut stream), None);
    assert_eq!(await_end(server).connections, 0);
}

fn wait_can_be_cut_short(engine: ServerEngine) {
    let server = with(engine, LONG);
    let mut stream = connected(&server);
    let stopper = server.stopper();
    stopper.stop();
    await_refusal(server.addresses()[0]);
    stopper.close_now();
    assert_eq!(end(&mut stream), None);
    await_end(server);
}

fn the_next_server_binds_at_once(engine: ServerEngine) {
    let mut server = serve(engine);
    for drain in [Drain::Close, Drain::Reset, Drain::Wait(Duration::ZERO)].into_iter().cycle().take(12) {
        // One that is open, and one that the server closes first, so that it lingers on its side.
        let _open = [connected(&server), connected(&server)];
        let again = Config { engine, drain, listen: server.addresses().to_vec(), ..config() };
        server.stop();
        await_end(server);
        server = start(again).unwrap();
    }
}

fn a_live_server_keeps_its_port(engine: ServerEngine) {
    let server = serve(engine);
    let taken = server.addresses()[0];
    let listen = vec!["127.0.0.1:0".parse().unwrap(), taken];
    match start(Config { engine, listen, ..config() }) {
        Err(e @ ServerError::AddressInUse { protocol: Protocol::Tcp, address }) => {
            assert_eq!(address, taken);
            assert!(!e.is_usage());
            assert_eq!(e.to_string(), format!("listen on tcp {taken}: the address is in use"));
        }
        other => panic!("{other:?}"),
    }
    connected(&server);
}

fn nobody_is_accepted_after_a_stop(engine: ServerEngine) {
    let server = with(engine, Drain::Close);
    let address = server.addresses()[0];
    connected(&server);
    server.stop();
    await_end(server);
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

fn what_contradicts_itself_is_refused_as_usage() {
    let twice = vec!["127.0.0.1:5999".parse().unwrap(); 2];
    for config in [
        Config { name: String::new(), ..config() },
        Config { udp: true, engine: ServerEngine::Uring, ..config() },
        Config { listen: twice, ..config() },
    ] {
        assert!(start(config).unwrap_err().is_usage());
    }
}

fn an_address_of_another_host_is_an_error_that_names_it() {
    // TEST-NET-1: nobody's.
    let error = start(listening("192.0.2.200:5999")).unwrap_err();
    assert!(matches!(error, ServerError::Listen { .. }), "{error:?}");
    assert!(error.to_string().starts_with("listen on tcp 192.0.2.200:5999: "), "{error}");
}
