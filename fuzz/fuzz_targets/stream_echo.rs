//! One stream, a peer that may answer with anything in any pieces: a right echo counts packet by packet,
//! a wrong one is an error, and every packet ends as received or as given up.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tg_core::connection::{Connection, Echo, Outstanding, Shared};
use tg_core::payload::Payload;
use tg_fuzz::established;
use tg_model::time::Nanos;
use tg_model::wire;

#[derive(Arbitrary, Debug)]
struct Input {
    size: u16,
    depth: u8,
    /// Over the start of the echo, as a server may.
    identity: Vec<u8>,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Send(Taken),
    /// The right echo comes on, so many bytes of it.
    Echo(u16),
    /// The same, with a byte changed.
    Damaged(u16, u16, u8),
    /// Something else comes.
    Raw(Vec<u8>),
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
enum Taken {
    Whole,
    Part,
    Nothing,
}

struct Trial {
    payload: Payload,
    outstanding: Outstanding,
    connection: Connection,
    /// The right echo of all that was sent.
    echo: Vec<u8>,
    identity: Vec<u8>,
    came: usize,
    sent: usize,
    received: usize,
    identified: usize,
}

fuzz_target!(|input: Input| {
    let size = u32::from(input.size).clamp(64, 4096);
    let depth = u32::from(input.depth % 8) + 1;
    let payload = Payload::new(size, false, 3);
    let mut identity = input.identity;
    identity.truncate(payload.identity_end());
    let mut trial = Trial {
        payload,
        outstanding: Outstanding::new(1, depth),
        connection: Connection::new(established(), Nanos(1)),
        echo: Vec::new(),
        identity,
        came: 0,
        sent: 0,
        received: 0,
        identified: 0,
    };
    for step in input.steps.iter().take(200) {
        if !trial.step(step, depth) {
            break;
        }
        assert_eq!(trial.connection.in_flight() as usize, trial.sent - trial.received);
    }
    trial.end();
});

impl Trial {
    fn step(&mut self, step: &Step, depth: u32) -> bool {
        match step {
            Step::Send(taken) => {
                if self.connection.in_flight() < depth {
                    self.send(*taken);
                }
                true
            }
            Step::Echo(len) => {
                let end = self.echo.len().min(self.came + usize::from(*len));
                let bytes = self.echo[self.came..end].to_vec();
                assert!(self.receive(&bytes), "a right echo");
                true
            }
            Step::Damaged(len, at, flip) => {
                let end = self.echo.len().min(self.came + usize::from(*len));
                let mut bytes = self.echo[self.came..end].to_vec();
                if !bytes.is_empty() {
                    let at = usize::from(*at) % bytes.len();
                    bytes[at] ^= flip;
                }
                self.receive(&bytes)
            }
            Step::Raw(bytes) => self.receive(bytes),
        }
    }

    fn shared(&mut self) -> (&mut Connection, Shared<'_>) {
        (&mut self.connection, Shared { payload: &self.payload, outstanding: &mut self.outstanding, slot: 0 })
    }

    fn send(&mut self, taken: Taken) {
        let intended = Nanos(self.sent as u64);
        let message = self.connection.next_stream_message(&self.payload.clone(), intended);
        assert!(self.connection.is_sending());
        if taken == Taken::Nothing {
            assert!(self.connection.unsent() && !self.connection.unsent());
            return;
        }
        let step = u64::from(message.len);
        let (connection, mut shared) = self.shared();
        let packet = connection.sent(&mut shared, Nanos(7), taken == Taken::Whole, step).expect("a packet");
        assert_eq!(packet.intended, intended);
        if taken == Taken::Part {
            connection.sent_rest();
        }
        assert!(!connection.is_sending());
        let bytes = self.payload.bytes();
        self.echo.extend_from_slice(&bytes[message.start as usize..(message.start + message.len) as usize]);
        if self.sent == 0 {
            self.echo[..self.identity.len()].copy_from_slice(&self.identity);
        }
        self.sent += 1;
    }

    /// Takes bytes in and holds what they tell against what is right. False: the connection is over.
    fn receive(&mut self, bytes: &[u8]) -> bool {
        let Trial { came, echo, payload, .. } = self;
        let exempt = payload.identity_end();
        let size = payload.size();
        let right = bytes.iter().enumerate().all(|(i, byte)| {
            let at = *came + i;
            at < echo.len() && (at < exempt || echo[at] == *byte)
        });
        for (i, byte) in bytes.iter().enumerate().take_while(|_| right).filter(|(i, _)| *came + i < exempt) {
            echo[*came + i] = *byte;
        }
        let (mut received, mut identified) = (0, 0);
        let (connection, mut shared) = self.shared();
        let outcome = connection.receive_stream(&mut shared, bytes, |_, echo| match echo {
            Echo::Received(_) => received += 1,
            Echo::Identified => identified += 1,
            other => panic!("{other:?} on a stream"),
        });
        assert_eq!(outcome.is_ok(), right, "{outcome:?}");
        self.received += received;
        self.identified += identified;
        if right {
            self.came += bytes.len();
            assert_eq!(self.received, self.came / size);
            assert_eq!(self.identified, usize::from(self.came >= exempt));
        }
        if right && self.identified > 0 {
            assert_eq!(self.connection.host, wire::host_name(&self.echo[..wire::NAME_LEN]));
        }
        right
    }

    /// The connection ends: what is out is given up, each packet once.
    fn end(&mut self) {
        let (connection, mut shared) = self.shared();
        let mut given_up = 0;
        while connection.oldest(&shared).is_some() {
            given_up += usize::from(connection.give_up_oldest(&mut shared));
        }
        assert_eq!(connection.in_flight(), 0);
        assert_eq!(self.sent, self.received + given_up);
    }
}
