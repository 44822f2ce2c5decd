//! Datagrams.

use super::*;
use std::net::UdpSocket;
use tg_core::engine::Closing;

crate::all_need_uring!(
    each_datagram_has_its_number,
    datagrams_of_different_pieces,
    a_datagram_that_does_not_fit_is_not_sent,
    a_port_that_nobody_has,
    empty_and_overlong_datagrams_are_shown_as_they_are,
    a_burst_beyond_the_buffers_is_received_as_far_as_the_socket_holds_it,
    more_datagrams_than_the_ring_of_buffers_can_count,
    closing_ends_the_receive
);

const SIZE: usize = 200;

fn pair(rig: &mut Rig, address: &str) -> UdpSocket {
    let peer = UdpSocket::bind(address).unwrap();
    let local = rig.connect(token(0, 0), to(peer.local_addr().unwrap(), Transport::Udp));
    peer.connect(local).unwrap();
    peer
}

fn numbered(sequence: u64) -> Op {
    Op::Send(token(0, 0), Message { start: 0, len: SIZE as u32, sequence: Some(sequence) })
}

fn each_datagram_has_its_number() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let mut rig = rig_for(1, SIZE, SIZE, true);
        let peer = pair(&mut rig, address);
        for sequence in [0, 1, u64::MAX] {
            rig.engine.submit(numbered(sequence));
            assert_eq!(rig.event(), Event::Sent { whole: true });
            let mut got = [0; SIZE];
            assert_eq!(peer.recv(&mut got).unwrap(), SIZE);
            assert_eq!(got[..SIZE - 8], rig.payload[..SIZE - 8]);
            assert_eq!(got[SIZE - 8..], sequence.to_be_bytes());
            peer.send(&got).unwrap();
            let (received, echo) = rig.next();
            assert_eq!((received.event, &echo[..]), (Event::Received, &got[..]));
        }
    }
}

fn datagrams_of_different_pieces() {
    let mut rig = rig_for(1, SIZE, 2 * SIZE, true);
    let peer = pair(&mut rig, "127.0.0.1:0");
    for (start, len) in [(0, SIZE), (SIZE, SIZE), (SIZE, 100), (0, 100)] {
        let message = Message { start: start as u32, len: len as u32, sequence: Some(7) };
        rig.engine.submit(Op::Send(token(0, 0), message));
        assert_eq!(rig.event(), Event::Sent { whole: true });
        let mut got = [0; SIZE];
        assert_eq!(peer.recv(&mut got).unwrap(), len);
        assert_eq!(got[..len - 8], rig.payload[start..start + len - 8]);
    }
}

fn a_datagram_that_does_not_fit_is_not_sent() {
    let mut rig = rig_for(1, SIZE, SIZE, true);
    let _peer = pair(&mut rig, "127.0.0.1:0");
    for (start, len) in [(0, SIZE as u32 + 1), (1, SIZE as u32), (0, 7)] {
        rig.engine.submit(Op::Send(token(0, 0), Message { start, len, sequence: Some(1) }));
        assert_eq!(rig.event(), Event::Unsent { errno: Some(libc::EINVAL) });
    }
    rig.engine.submit(numbered(1));
    assert_eq!(rig.event(), Event::Sent { whole: true });
}

fn a_port_that_nobody_has() {
    let mut rig = rig_for(1, SIZE, SIZE, true);
    // An address that no other test has: the port stays free.
    drop(pair(&mut rig, "127.1.0.1:0"));
    rig.engine.submit(numbered(1));
    assert_eq!(rig.event(), Event::Sent { whole: true });
    assert_eq!(rig.event(), Event::Failed { errno: libc::ECONNREFUSED });
    rig.engine.submit(Op::Close(token(0, 0), Closing::Orderly));
    assert!(matches!(rig.settle()[..], [Completion { event: Event::Closed { info: None }, .. }]));
}

fn empty_and_overlong_datagrams_are_shown_as_they_are() {
    let mut rig = rig_for(1, SIZE, SIZE, true);
    let peer = pair(&mut rig, "127.0.0.1:0");
    for len in [0, 3, 0, SIZE + 1, 5000, SIZE] {
        peer.send(&vec![9; len]).unwrap();
        let (received, bytes) = rig.next();
        assert_eq!(received.event, Event::Received);
        assert!(if len > SIZE { bytes.len() > SIZE } else { bytes.len() == len }, "{len}: {}", bytes.len());
    }
}

fn a_burst_beyond_the_buffers_is_received_as_far_as_the_socket_holds_it() {
    let mut rig = rig_for(1, SIZE, SIZE, true);
    let peer = pair(&mut rig, "127.0.0.1:0");
    // Twice the buffers; the socket's own buffer holds more than that.
    for i in 0..128u8 {
        peer.send(&[i; SIZE]).unwrap();
    }
    for i in 0..128u8 {
        assert_eq!(rig.next().1, [i; SIZE]);
    }
}

fn more_datagrams_than_the_ring_of_buffers_can_count() {
    let mut rig = rig_for(1, SIZE, SIZE, true);
    let peer = pair(&mut rig, "127.0.0.1:0");
    for batch in 0..70_000u32 / 32 {
        (0..32).for_each(|i| assert_eq!(peer.send(&(32 * batch + i).to_be_bytes()).unwrap(), 4));
        (0..32).for_each(|i| assert_eq!(rig.next().1, (32 * batch + i).to_be_bytes()));
    }
}

fn closing_ends_the_receive() {
    let mut rig = rig_for(1, SIZE, SIZE, true);
    for (generation, closing) in [Closing::Orderly, Closing::Reset].into_iter().enumerate() {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let token = token(0, generation as u32);
        rig.connect(token, to(peer.local_addr().unwrap(), Transport::Udp));
        rig.engine.submit(Op::Close(token, closing));
        assert!(matches!(rig.settle()[..], [Completion { event: Event::Closed { info: None }, .. }]));
    }
    // Closed before it was told as connected.
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    rig.engine.submit(Op::Connect(token(0, 2), to(peer.local_addr().unwrap(), Transport::Udp)));
    rig.engine.submit(Op::Close(token(0, 2), Closing::Orderly));
    assert!(matches!(rig.settle()[..], [Completion { event: Event::Closed { info: None }, .. }]));
}
