//! Waiting for completions and for deadlines.

use super::stream::pair;
use super::*;
use std::io::{Read, Write};

crate::all_need_uring!(
    a_deadline_ends_the_wait_asleep_and_awake,
    a_completion_ends_the_wait_asleep_and_awake,
    a_wait_that_is_over_still_sends_and_takes_what_is_there,
    a_wait_with_something_to_take_still_sends
);

fn a_deadline_ends_the_wait_asleep_and_awake() {
    let mut rig = rig(1, 64);
    let _peer = pair(&mut rig);
    let long = Nanos::from_secs(3600);
    for (span, spin) in [(20, Nanos::ZERO), (20, Nanos::from_millis(5)), (20, long), (0, Nanos::ZERO), (0, long)] {
        let until = rig.engine.now() + Nanos::from_millis(span);
        rig.engine.wait(until, spin).unwrap();
        assert!(rig.engine.now() >= until);
        assert_eq!(rig.engine.next(), None);
    }
    rig.engine.wait(Nanos::ZERO, Nanos::MAX).unwrap();
}

fn a_completion_ends_the_wait_asleep_and_awake() {
    let mut rig = rig(1, 64);
    let mut peer = pair(&mut rig);
    let server = std::thread::spawn(move || {
        let mut byte = [0];
        while peer.read(&mut byte).unwrap() > 0 {
            peer.write_all(&byte).unwrap();
        }
    });
    for spin in [Nanos::ZERO, PATIENCE, Nanos::MAX] {
        rig.engine.submit(Op::Send(token(0, 0), bytes(1)));
        let events = [rig.next_awake(spin).0.event, rig.next_awake(spin).0.event];
        assert_eq!(events, [Event::Sent { whole: true }, Event::Received]);
    }
    // No deadline at all.
    rig.engine.submit(Op::Send(token(0, 0), bytes(1)));
    assert_eq!(rig.event(), Event::Sent { whole: true });
    while rig.engine.next().is_none() {
        rig.engine.wait(Nanos::MAX, Nanos::ZERO).unwrap();
    }
    drop(rig);
    server.join().unwrap();
}

fn a_wait_that_is_over_still_sends_and_takes_what_is_there() {
    let mut rig = rig(1, 64);
    let mut peer = pair(&mut rig);
    rig.engine.submit(Op::Send(token(0, 0), bytes(64)));
    rig.engine.wait(Nanos::ZERO, Nanos::ZERO).unwrap();
    let mut got = [0; 64];
    peer.read_exact(&mut got).unwrap();
    assert_eq!(rig.engine.next().map(|c| c.event), Some(Event::Sent { whole: true }));
    peer.write_all(&got).unwrap();
    while rig.engine.next().is_none() {
        rig.engine.wait(Nanos::ZERO, Nanos::ZERO).unwrap();
    }
    assert_eq!(rig.engine.received(), got);
}

fn a_wait_with_something_to_take_still_sends() {
    let mut rig = rig(2, 64);
    let mut peer = pair(&mut rig);
    rig.engine.submit(Op::Send(token(1, 0), bytes(64)));
    rig.engine.submit(Op::Send(token(0, 0), bytes(64)));
    rig.engine.wait(Nanos::MAX, Nanos::ZERO).unwrap();
    peer.read_exact(&mut [0; 64]).unwrap();
    assert_eq!(rig.event(), Event::Unsent { errno: Some(libc::ENOTCONN) });
    assert_eq!(rig.event(), Event::Sent { whole: true });
}
