//! Sending and receiving streams.

use super::*;
use std::io::{Read, Write};

crate::all_need_uring!(
    a_message_is_told_as_sent_before_its_echo_comes,
    a_piece_from_the_middle_of_the_payload,
    the_rest_of_a_message_goes_out_as_room_comes,
    a_full_buffer_loses_nothing_and_repeats_nothing,
    a_failure_ends_a_message_that_waits_for_room_and_is_told_once,
    more_bytes_than_there_are_buffers
);

/// A connected slot 0 and its peer.
pub fn pair(rig: &mut Rig) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rig.connect(token(0, 0), to(listener.local_addr().unwrap(), Transport::Tcp));
    accept(&listener)
}

fn a_message_is_told_as_sent_before_its_echo_comes() {
    let mut rig = rig(1, 1024);
    let mut peer = pair(&mut rig);
    let server = std::thread::spawn(move || {
        let mut packet = [0; 1024];
        while peer.read_exact(&mut packet).is_ok() {
            peer.write_all(&packet).unwrap();
        }
    });
    for _ in 0..100 {
        let before = rig.engine.now();
        rig.engine.submit(Op::Send(token(0, 0), bytes(1024)));
        let (sent, _) = rig.next();
        assert_eq!(sent.event, Event::Sent { whole: true });
        assert!(rig.engine.received().is_empty());
        let (received, echo) = rig.next();
        assert_eq!(received.event, Event::Received);
        assert!(before <= sent.at && sent.at <= received.at && received.at <= rig.engine.now());
        let rest = rig.receive(1024 - echo.len());
        assert_eq!([echo, rest].concat(), *rig.payload);
    }
    drop(rig);
    server.join().unwrap();
}

fn a_piece_from_the_middle_of_the_payload() {
    let mut rig = rig(1, 1024);
    let mut peer = pair(&mut rig);
    rig.engine.submit(Op::Send(token(0, 0), Message { start: 100, len: 200, sequence: None }));
    assert_eq!(rig.event(), Event::Sent { whole: true });
    let mut got = [0; 200];
    peer.read_exact(&mut got).unwrap();
    assert_eq!(got, rig.payload[100..300]);
    for (start, len) in [(1000, 25), (u32::MAX, 1)] {
        rig.engine.submit(Op::Send(token(0, 0), Message { start, len, sequence: None }));
        assert_eq!(rig.event(), Event::Unsent { errno: Some(libc::EINVAL) });
    }
}

fn the_rest_of_a_message_goes_out_as_room_comes() {
    // More than both ends' buffers hold together.
    const LEN: usize = 64 << 20;
    let mut rig = rig_for(1, 1024, LEN, false);
    let mut peer = pair(&mut rig);
    rig.engine.submit(Op::Send(token(0, 0), bytes(LEN)));
    assert_eq!(rig.event(), Event::Sent { whole: false });
    rig.engine.submit(Op::Send(token(0, 0), bytes(1)));
    assert_eq!(rig.event(), Event::Unsent { errno: Some(libc::EALREADY) }, "one at a time");
    let server = std::thread::spawn(move || {
        let mut got = vec![0; LEN];
        peer.read_exact(&mut got).unwrap();
        (got, peer)
    });
    assert_eq!(rig.event(), Event::SentRest);
    let (got, _peer) = server.join().unwrap();
    assert!(got == *rig.payload);
    rig.engine.submit(Op::Send(token(0, 0), bytes(1)));
    assert_eq!(rig.event(), Event::Sent { whole: true });
}

fn a_full_buffer_loses_nothing_and_repeats_nothing() {
    // Of one size the last message usually fits in part, of the other not at all.
    fill_and_drain(1500);
    fill_and_drain(1024);
}

fn fill_and_drain(size: usize) {
    let mut rig = rig(1, size);
    let mut peer = pair(&mut rig);
    let mut accepted = 0;
    let full = loop {
        rig.engine.submit(Op::Send(token(0, 0), bytes(size)));
        match rig.event() {
            Event::Sent { whole: true } => accepted += size,
            Event::Sent { whole: false } => {
                accepted += size;
                break false;
            }
            Event::Unsent { errno: None } => break true,
            other => panic!("{other:?}"),
        }
    };
    let server = std::thread::spawn(move || {
        let mut got = vec![0; accepted];
        peer.read_exact(&mut got).unwrap();
        peer.write_all(b"!").unwrap();
        let mut more = Vec::new();
        peer.read_to_end(&mut more).unwrap();
        (got, more)
    });
    if !full {
        assert_eq!(rig.event(), Event::SentRest);
    }
    assert_eq!(rig.receive(1), b"!");
    rig.engine.submit(Op::Send(token(0, 0), bytes(size)));
    assert_eq!(rig.event(), Event::Sent { whole: true });
    rig.engine.submit(Op::Close(token(0, 0), tg_core::engine::Closing::Orderly));
    rig.settle();
    let (got, more) = server.join().unwrap();
    assert!(got.chunks(size).all(|packet| *packet == *rig.payload));
    assert!(more == *rig.payload);
}

fn a_failure_ends_a_message_that_waits_for_room_and_is_told_once() {
    let mut rig = rig_for(1, 1024, 64 << 20, false);
    let peer = pair(&mut rig);
    rig.engine.submit(Op::Send(token(0, 0), bytes(64 << 20)));
    assert_eq!(rig.event(), Event::Sent { whole: false });
    // Closing with bytes unread sends an RST.
    drop(peer);
    assert!(matches!(rig.event(), Event::Failed { errno: libc::ECONNRESET | libc::EPIPE }));
    // Both the message and the receive have ended; a message is answered by one event.
    let soon = rig.engine.now() + Nanos::from_millis(50);
    rig.engine.wait(soon, Nanos::ZERO).unwrap();
    rig.engine.submit(Op::Send(token(0, 0), bytes(1)));
    assert_eq!(rig.event(), Event::Unsent { errno: Some(libc::EPIPE) });
    rig.engine.submit(Op::Close(token(0, 0), tg_core::engine::Closing::Orderly));
    let came = rig.settle();
    assert!(matches!(came[..], [Completion { event: Event::Closed { info: Some(_) }, .. }]), "{came:?}");
}

fn more_bytes_than_there_are_buffers() {
    const LEN: usize = 4 << 20;
    let mut rig = rig(1, 64);
    let mut peer = pair(&mut rig);
    let sent: Vec<u8> = (0..LEN).map(|i| (i / 7 % 256) as u8).collect();
    let to_send = sent.clone();
    let server = std::thread::spawn(move || {
        peer.write_all(&to_send).unwrap();
        peer
    });
    let got = rig.receive(LEN);
    assert!(got == sent);
    // The receive is still pending after all that.
    drop(server.join().unwrap());
    assert_eq!(rig.event(), Event::PeerClosed);
}
