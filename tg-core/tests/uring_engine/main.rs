//! The io_uring engine on real loopback sockets, against peers made of std's. Changes when the engine's
//! contract does.
#![cfg(feature = "io")]
// Clippy takes only the test functions themselves for tests.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::panic, clippy::unwrap_used)]

/// Registers tests that a machine without io_uring cannot run.
macro_rules! all_need_uring {
    ($($name:ident),* $(,)?) => {
        pub fn register(suite: &mut crate::support::Suite) {
            $(suite.test(concat!(module_path!(), "::", stringify!($name)).into(), &[crate::support::Capability::Uring], $name);)*
        }
    };
}
pub(crate) use all_need_uring;

mod close;
mod connect;
mod datagram;
mod stream;
#[path = "../support/mod.rs"]
mod support;
mod wait;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use tg_core::engine::uring::{Config, UringEngine};
use tg_core::engine::{Completion, Connect, Engine, Event, Op, Token};
use tg_core::model::plan::Transport;
use tg_core::model::time::Nanos;
use tg_core::payload::Message;

fn main() -> std::process::ExitCode {
    let mut suite = support::Suite::default();
    close::register(&mut suite);
    connect::register(&mut suite);
    datagram::register(&mut suite);
    stream::register(&mut suite);
    wait::register(&mut suite);
    suite.run()
}

/// An event that is to come comes long before this; a test that gets here has failed.
const PATIENCE: Nanos = Nanos::from_secs(20);

/// An engine and what it said.
struct Rig {
    engine: UringEngine,
    payload: Arc<[u8]>,
}

fn rig(slots: usize, packet: usize) -> Rig {
    rig_for(slots, packet, packet, false)
}

fn rig_for(slots: usize, packet: usize, payload_len: usize, datagram: bool) -> Rig {
    let pattern: Vec<u8> = (0..251).collect();
    let payload: Arc<[u8]> = pattern.repeat(payload_len / 251 + 1)[..payload_len].into();
    let config = Config { slots, payload: payload.clone(), packet_size: packet, datagram };
    Rig { engine: UringEngine::new(config).unwrap(), payload }
}

fn token(slot: u32, generation: u32) -> Token {
    Token { slot, generation }
}

fn to(remote: SocketAddr, transport: Transport) -> Connect {
    Connect { remote, local: None, transport, user_timeout_ms: None }
}

/// The next connection that a listener has. Reads from it fail rather than hang.
fn accept(listener: &TcpListener) -> TcpStream {
    let peer = listener.accept().unwrap().0;
    peer.set_read_timeout(Some(PATIENCE.into())).unwrap();
    peer
}

fn bytes(len: usize) -> Message {
    Message { start: 0, len: len as u32, sequence: None }
}

impl Rig {
    /// The next completion, with its bytes if any; waits for it.
    fn next(&mut self) -> (Completion, Vec<u8>) {
        self.next_awake(Nanos::ZERO)
    }

    /// The same, `spin` before its patience ends awake.
    fn next_awake(&mut self, spin: Nanos) -> (Completion, Vec<u8>) {
        let deadline = self.engine.now() + PATIENCE;
        loop {
            if let Some(completion) = self.engine.next() {
                return (completion, self.engine.received().to_vec());
            }
            assert!(self.engine.now() < deadline, "nothing came");
            self.engine.wait(deadline, spin).unwrap();
        }
    }

    fn event(&mut self) -> Event {
        self.next().0.event
    }

    /// Connects, and gives the local address.
    fn connect(&mut self, token: Token, connect: Connect) -> SocketAddr {
        self.engine.submit(Op::Connect(token, connect));
        let (completion, _) = self.next();
        assert_eq!(completion.token, token);
        match completion.event {
            Event::Connected { local } => local,
            other => panic!("{other:?}"),
        }
    }

    /// Bytes received, until there are `len` of them.
    fn receive(&mut self, len: usize) -> Vec<u8> {
        let mut got = Vec::new();
        while got.len() < len {
            let (completion, bytes) = self.next();
            assert_eq!(completion.event, Event::Received);
            got.extend(bytes);
        }
        got
    }

    /// Waits until no socket is being closed; what comes by then.
    fn settle(&mut self) -> Vec<Completion> {
        let deadline = self.engine.now() + PATIENCE;
        let mut came = Vec::new();
        loop {
            came.extend(std::iter::from_fn(|| self.engine.next()));
            if self.engine.closing() == 0 {
                return came;
            }
            assert!(self.engine.now() < deadline, "{} never closed", self.engine.closing());
            let soon = self.engine.now() + Nanos::from_millis(10);
            self.engine.wait(soon, Nanos::ZERO).unwrap();
        }
    }
}
