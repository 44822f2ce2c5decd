//! Ends of connections: by the peer, by us, and of the engine itself.

use super::connect::black_hole;
use super::stream::pair;
use super::*;
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};

use std::time::Duration;
use tg_core::engine::Closing;

crate::all_need_uring!(
    the_peers_fin,
    the_peers_rst,
    an_orderly_close_sends_what_was_submitted_and_a_fin,
    an_orderly_close_sends_a_fin_although_bytes_came_that_nobody_took,
    a_reset_sends_an_rst_although_a_receive_is_pending,
    a_reset_of_an_attempt_that_has_just_succeeded,
    closing_ends_a_message_that_waits_for_room,
    the_slots_next_socket_is_not_confused_with_the_one_being_closed,
    closing_with_bytes_under_way_loses_no_buffer,
    an_engine_dropped_with_everything_under_way_releases_its_sockets
);

fn the_peers_fin() {
    let mut rig = rig(1, 64);
    let mut peer = pair(&mut rig);
    peer.write_all(b"bye").unwrap();
    drop(peer);
    assert_eq!(rig.receive(3), b"bye");
    assert_eq!(rig.event(), Event::PeerClosed);
    rig.engine.submit(Op::Close(token(0, 0), Closing::Orderly));
    let Event::Closed { info: Some(info) } = rig.event() else { panic!() };
    assert_eq!(info.state, 8, "CLOSE_WAIT");
    assert_eq!(rig.engine.closing(), 0, "nothing was under way");
}

fn the_peers_rst() {
    let mut rig = rig(1, 64);
    let peer = pair(&mut rig);
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    assert_eq!(rig.event(), Event::Failed { errno: libc::ECONNRESET });
    rig.engine.submit(Op::Send(token(0, 0), bytes(64)));
    assert_eq!(rig.event(), Event::Unsent { errno: Some(libc::EPIPE) });
    rig.engine.submit(Op::Close(token(0, 0), Closing::Orderly));
    assert!(matches!(rig.settle()[..], [Completion { event: Event::Closed { info: Some(_) }, .. }]));
}

fn an_orderly_close_sends_what_was_submitted_and_a_fin() {
    let mut rig = rig(1, 64);
    let mut peer = pair(&mut rig);
    rig.engine.submit(Op::Send(token(0, 0), bytes(64)));
    rig.engine.submit(Op::Close(token(0, 0), Closing::Orderly));
    let mut got = Vec::new();
    peer.read_to_end(&mut got).unwrap();
    assert_eq!(got, *rig.payload);
    let came = rig.settle();
    let [Completion { event: Event::Closed { info: Some(info) }, .. }] = &came[..] else { panic!("{came:?}") };
    assert_eq!((info.state, info.bytes_sent), (1, 64), "ESTABLISHED");
}

fn an_orderly_close_sends_a_fin_although_bytes_came_that_nobody_took() {
    let mut rig = rig(1, 64);
    let mut peer = pair(&mut rig);
    peer.write_all(&[7; 10_000]).unwrap();
    // The kernel has them now; a close with bytes unread would send an RST.
    rig.engine.submit(Op::Close(token(0, 0), Closing::Orderly));
    let came = rig.settle();
    assert!(matches!(came[..], [Completion { event: Event::Closed { .. }, .. }]), "{came:?}");
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
}

fn a_reset_sends_an_rst_although_a_receive_is_pending() {
    let mut rig = rig(1, 64);
    let mut peer = pair(&mut rig);
    rig.engine.submit(Op::Close(token(0, 0), Closing::Reset));
    assert_eq!(rig.engine.closing(), 1);
    assert!(matches!(rig.settle()[..], [Completion { event: Event::Closed { .. }, .. }]));
    assert_eq!(peer.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

fn a_reset_of_an_attempt_that_has_just_succeeded() {
    let mut rig = rig(1, 64);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rig.engine.submit(Op::Connect(token(0, 0), to(listener.local_addr().unwrap(), Transport::Tcp)));
    let deadline = rig.engine.now() + PATIENCE;
    rig.engine.wait(deadline, Nanos::ZERO).unwrap();
    // The completion is there, and not taken.
    rig.engine.submit(Op::Close(token(0, 0), Closing::Reset));
    let came = rig.settle();
    assert!(matches!(came[..], [Completion { event: Event::Closed { .. }, .. }]), "{came:?}");
    let mut peer = accept(&listener);
    assert_eq!(peer.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

fn closing_ends_a_message_that_waits_for_room() {
    for closing in [Closing::Orderly, Closing::Reset] {
        let mut rig = rig_for(1, 1024, 64 << 20, false);
        let mut peer = pair(&mut rig);
        rig.engine.submit(Op::Send(token(0, 0), bytes(64 << 20)));
        assert_eq!(rig.event(), Event::Sent { whole: false });
        rig.engine.submit(Op::Close(token(0, 0), closing));
        let came = rig.settle();
        assert!(matches!(came[..], [Completion { event: Event::Closed { .. }, .. }]), "{came:?}");
        let mut got = Vec::new();
        let end = peer.read_to_end(&mut got);
        assert_eq!(end.is_ok(), closing == Closing::Orderly, "{end:?}");
        assert!(*got == rig.payload[..got.len()]);
    }
}

fn the_slots_next_socket_is_not_confused_with_the_one_being_closed() {
    let mut rig = rig(1, 64);
    let mut old = pair(&mut rig);
    old.write_all(&[1; 5000]).unwrap();
    rig.engine.submit(Op::Close(token(0, 0), Closing::Reset));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rig.engine.submit(Op::Connect(token(0, 1), to(listener.local_addr().unwrap(), Transport::Tcp)));
    assert_eq!(rig.engine.closing(), 1);
    let (closed, connected) = (rig.next().0, rig.next().0);
    accept(&listener).write_all(&[2; 64]).unwrap();
    assert!(closed.token == token(0, 0) && matches!(closed.event, Event::Closed { .. }));
    assert!(connected.token == token(0, 1) && matches!(connected.event, Event::Connected { .. }));
    assert_eq!(rig.receive(64), [2; 64]);
    assert_eq!(rig.event(), Event::PeerClosed);
    rig.settle();
}

fn closing_with_bytes_under_way_loses_no_buffer() {
    let mut rig = rig(1, 64);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = to(listener.local_addr().unwrap(), Transport::Tcp);
    // Five buffers each time, of 64.
    for generation in 0..40 {
        rig.connect(token(0, generation), there);
        let mut peer = accept(&listener);
        peer.write_all(&[0; 10_000]).unwrap();
        rig.engine.submit(Op::Close(token(0, generation), Closing::Orderly));
        rig.settle();
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    }
    rig.connect(token(0, 40), there);
    accept(&listener).write_all(&[1; 64]).unwrap();
    assert_eq!(rig.receive(64), [1; 64]);
}

fn an_engine_dropped_with_everything_under_way_releases_its_sockets() {
    let mut rig = rig_for(4, 1024, 64 << 20, false);
    let (_listener, _fillers, nowhere) = black_hole();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = to(listener.local_addr().unwrap(), Transport::Tcp);
    let mut peers: Vec<TcpStream> = (0..3)
        .map(|slot| {
            rig.connect(token(slot, 0), there);
            accept(&listener)
        })
        .collect();
    // A message that waits for room; bytes that were not taken; one that is being closed; one that
    // connects; and operations that the kernel has not even seen.
    rig.engine.submit(Op::Send(token(0, 0), bytes(64 << 20)));
    assert_eq!(rig.event(), Event::Sent { whole: false });
    rig.engine.submit(Op::Connect(token(3, 0), to(nowhere, Transport::Tcp)));
    peers[1].write_all(&[0; 5000]).unwrap();
    let deadline = rig.engine.now() + PATIENCE;
    rig.engine.wait(deadline, Nanos::ZERO).unwrap();
    rig.engine.submit(Op::Close(token(2, 0), Closing::Reset));
    rig.engine.submit(Op::Send(token(1, 0), bytes(64)));
    drop(rig);
    for peer in &mut peers {
        // Ends, one way or the other: nothing keeps the socket.
        let end = peer.read_to_end(&mut Vec::new()).map_err(|e| e.kind());
        assert!(matches!(end, Ok(_) | Err(ErrorKind::ConnectionReset)), "{end:?}");
    }
}
