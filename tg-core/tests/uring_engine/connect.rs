//! Attempts: those that succeed, fail, are given up, and come in great numbers.

use super::*;
use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::HashMap;
use std::io::{Read, Write};

use tg_core::engine::Closing;

crate::all_need_uring!(
    tells_the_local_address,
    a_refused_attempt_fails_with_its_errno_and_leaves_the_slot_free,
    an_address_that_is_not_ours_fails_at_once,
    an_attempt_that_hangs_can_be_given_up,
    a_token_is_of_a_slot,
    five_hundred_connections_at_once,
    more_operations_at_once_than_the_queue_holds,
    more_completions_at_once_than_the_queue_holds,
    a_slot_that_reconnects_as_fast_as_it_can
);

/// A listener whose queue is full: further attempts hang. Keep both.
pub fn black_hole() -> (Socket, Vec<Socket>, SocketAddr) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SockAddr::from(SocketAddr::from(([127, 0, 0, 1], 0)))).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let fillers = (0..8)
        .map(|_| {
            let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            filler.set_nonblocking(true).unwrap();
            let _ = filler.connect(&address);
            filler
        })
        .collect();
    (listener, fillers, address.as_socket().unwrap())
}

fn tells_the_local_address() {
    let mut rig = rig(2, 64);
    let mut peers = Vec::new();
    for (slot, address) in ["127.0.0.1:0", "[::1]:0"].into_iter().enumerate() {
        let listener = TcpListener::bind(address).unwrap();
        let local = rig.connect(token(slot as u32, 0), to(listener.local_addr().unwrap(), Transport::Tcp));
        peers.push(listener.accept().unwrap());
        assert_eq!(peers[slot].1, local);
    }
}

fn a_refused_attempt_fails_with_its_errno_and_leaves_the_slot_free() {
    let mut rig = rig(1, 64);
    // An address that no other test has: the port stays free.
    let listener = TcpListener::bind("127.1.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    rig.engine.submit(Op::Connect(token(0, 0), to(address, Transport::Tcp)));
    assert_eq!(rig.event(), Event::ConnectFailed { errno: libc::ECONNREFUSED });
    let listener = TcpListener::bind(address).unwrap();
    rig.connect(token(0, 1), to(listener.local_addr().unwrap(), Transport::Tcp));
}

fn an_address_that_is_not_ours_fails_at_once() {
    let mut rig = rig(1, 64);
    let elsewhere = Some(SocketAddr::from(([192, 0, 2, 1], 0)));
    for (generation, transport) in [Transport::Tcp, Transport::Udp].into_iter().enumerate() {
        let connect = Connect { local: elsewhere, ..to(SocketAddr::from(([127, 0, 0, 1], 1)), transport) };
        rig.engine.submit(Op::Connect(token(0, generation as u32), connect));
        assert_eq!(rig.engine.next().unwrap().event, Event::ConnectFailed { errno: libc::EADDRNOTAVAIL });
    }
    // Closed before its failure was taken: it is the close that is told.
    let connect = Connect { local: elsewhere, ..to(SocketAddr::from(([127, 0, 0, 1], 1)), Transport::Tcp) };
    rig.engine.submit(Op::Connect(token(0, 2), connect));
    rig.engine.submit(Op::Close(token(0, 2), Closing::Orderly));
    assert_eq!(rig.event(), Event::Closed { info: None });
    assert_eq!(rig.engine.next(), None);
}

fn an_attempt_that_hangs_can_be_given_up() {
    let mut rig = rig(1, 64);
    let (_listener, _fillers, address) = black_hole();
    for (generation, closing) in [Closing::Orderly, Closing::Reset].into_iter().enumerate() {
        let token = token(0, generation as u32);
        rig.engine.submit(Op::Connect(token, to(address, Transport::Tcp)));
        let soon = rig.engine.now() + Nanos::from_millis(20);
        rig.engine.wait(soon, Nanos::ZERO).unwrap();
        assert_eq!(rig.engine.next(), None);
        rig.engine.submit(Op::Close(token, closing));
        assert_eq!(rig.engine.closing(), 1);
        let came = rig.settle();
        assert_eq!(came.len(), 1, "{came:?}");
        let Event::Closed { info: Some(info) } = &came[0].event else { panic!("{came:?}") };
        assert_eq!((came[0].token, info.state), (token, 2), "SYN_SENT");
    }
}

fn a_token_is_of_a_slot() {
    let mut rig = rig(1, 64);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = to(listener.local_addr().unwrap(), Transport::Tcp);
    rig.connect(token(0, 0), there);
    rig.engine.submit(Op::Connect(token(9, 0), there));
    assert_eq!(rig.event(), Event::ConnectFailed { errno: libc::EISCONN });
    for other in [token(0, 1), token(9, 0)] {
        rig.engine.submit(Op::Send(other, bytes(64)));
        assert_eq!(rig.event(), Event::Unsent { errno: Some(libc::ENOTCONN) });
    }
}

fn five_hundred_connections_at_once() {
    let mut rig = rig(500, 1000);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = to(listener.local_addr().unwrap(), Transport::Tcp);
    let server = std::thread::spawn(move || {
        let peers: Vec<TcpStream> = (0..500).map(|_| listener.accept().unwrap().0).collect();
        for mut peer in &peers {
            let mut packet = [0; 1000];
            peer.read_exact(&mut packet).unwrap();
            peer.write_all(&packet).unwrap();
        }
        peers
    });
    (0..500).for_each(|slot| rig.engine.submit(Op::Connect(token(slot, 0), there)));
    let mut got: HashMap<Token, Vec<u8>> = HashMap::new();
    let (mut sent, mut whole) = (0, 0);
    while whole < 500 {
        let (completion, bytes_came) = rig.next();
        match completion.event {
            Event::Connected { .. } => rig.engine.submit(Op::Send(completion.token, bytes(1000))),
            Event::Sent { whole: true } => sent += 1,
            Event::Received => {
                let echo = got.entry(completion.token).or_default();
                echo.extend(bytes_came);
                whole += usize::from(echo.len() == 1000);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(sent, 500);
    assert!(got.values().all(|echo| **echo == *rig.payload));
    (0..500).for_each(|slot| rig.engine.submit(Op::Close(token(slot, 0), Closing::Orderly)));
    let closed = rig.settle();
    assert_eq!(closed.iter().filter(|c| matches!(c.event, Event::Closed { .. })).count(), 500);
    drop(server.join().unwrap());
}

fn more_operations_at_once_than_the_queue_holds() {
    // As many slots as the smallest queue has places.
    const SLOTS: u32 = 64;
    let mut rig = rig(SLOTS as usize, 64);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = to(listener.local_addr().unwrap(), Transport::Tcp);
    let connect_all = |rig: &mut Rig, generation| {
        (0..SLOTS).for_each(|slot| rig.engine.submit(Op::Connect(token(slot, generation), there)));
    };
    connect_all(&mut rig, 0);
    (0..SLOTS).for_each(|_| assert!(matches!(rig.event(), Event::Connected { .. })));
    // Each close queues a cancellation, each attempt itself.
    (0..SLOTS).for_each(|slot| rig.engine.submit(Op::Close(token(slot, 0), Closing::Reset)));
    connect_all(&mut rig, 1);
    let came = rig.settle();
    let (closed, mut rest): (Vec<_>, Vec<_>) = came.into_iter().partition(|c| c.token.generation == 0);
    assert!(closed.len() == SLOTS as usize && closed.iter().all(|c| matches!(c.event, Event::Closed { .. })));
    while rest.len() < SLOTS as usize {
        rest.push(rig.next().0);
    }
    assert!(rest.iter().all(|c| matches!(c.event, Event::Connected { .. })));
}

fn more_completions_at_once_than_the_queue_holds() {
    let mut rig = rig(1, 64);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = to(listener.local_addr().unwrap(), Transport::Tcp);
    // Each leaves two completions or more, and nobody takes any: the queue has 256 places.
    for generation in 0..300 {
        rig.engine.submit(Op::Connect(token(0, generation), there));
        rig.engine.submit(Op::Close(token(0, generation), Closing::Orderly));
    }
    let came = rig.settle();
    assert!(came.iter().all(|c| matches!(c.event, Event::Closed { .. })));
    assert!(came.iter().map(|c| c.token.generation).eq(0..300));
}

fn a_slot_that_reconnects_as_fast_as_it_can() {
    let mut rig = rig(1, 64);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        // Each connection gets a byte and is dropped, which resets those that have sent something.
        for peer in listener.incoming() {
            let Ok(mut peer) = peer else { continue };
            if peer.write_all(b"x").is_err() {
                continue;
            }
            if peer.peer_addr().is_ok_and(|a| a.ip() == SocketAddr::from(([127, 0, 0, 2], 0)).ip()) {
                return;
            }
        }
    });
    // Each eighth generation runs until its first byte; the others are closed without a wait.
    let mut told: HashMap<Token, Vec<Event>> = HashMap::new();
    for generation in 0..600 {
        let token = token(0, generation);
        rig.engine.submit(Op::Connect(token, to(address, Transport::Tcp)));
        while generation % 8 == 0 && !matches!(told.get(&token).and_then(|e| e.last()), Some(Event::Received)) {
            let (completion, _) = rig.next();
            let connected = matches!(completion.event, Event::Connected { .. });
            told.entry(completion.token).or_default().push(completion.event);
            if connected {
                rig.engine.submit(Op::Send(token, bytes(64)));
            }
        }
        let closing = if generation % 3 == 0 { Closing::Reset } else { Closing::Orderly };
        rig.engine.submit(Op::Close(token, closing));
    }
    for completion in rig.settle() {
        told.entry(completion.token).or_default().push(completion.event);
    }
    assert_eq!(told.len(), 600);
    for (token, events) in told {
        let closed = |e: &Event| matches!(e, Event::Closed { .. });
        assert!(events.last().is_some_and(closed), "{token:?} {events:?}");
        assert_eq!(events.iter().filter(|e| closed(e)).count(), 1, "{token:?} {events:?}");
        assert!(token.generation % 8 == 0 || events.len() == 1, "{token:?} {events:?}");
    }
    let last = Connect { local: Some(SocketAddr::from(([127, 0, 0, 2], 0))), ..to(address, Transport::Tcp) };
    rig.connect(token(0, 600), last);
    server.join().unwrap();
}
