//! One flow of datagrams, a peer that may answer with anything: each echo is told for what it is
//! (received, out of order, late, again, from another host), and every packet is counted once.

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
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Send {
        taken: bool,
    },
    /// The right echo of the datagram so many before the last comes, from one of several hosts.
    Echo {
        back: u8,
        host: u8,
    },
    Raw(Vec<u8>),
    /// Those sent so long ago are given up.
    Expire {
        age: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Out { sent: u64 },
    Answered,
    GivenUp,
}

struct Trial {
    payload: Payload,
    outstanding: Outstanding,
    connection: Connection,
    states: Vec<State>,
    /// One after the highest number whose echo came.
    highest: usize,
    /// The name as the last echo had it.
    name: Vec<u8>,
    now: u64,
    received: usize,
    expired: usize,
}

fuzz_target!(|input: Input| {
    let size = u32::from(input.size).clamp(72, 4096);
    let depth = u32::from(input.depth % 16) + 1;
    let payload = Payload::new(size, true, 3);
    let mut connection = Connection::new(established(), Nanos(1));
    let probe = echo(&payload, 0, 0);
    connection.establish_flow(&payload, &probe);
    let name = probe[..wire::NAME_LEN].to_vec();
    let outstanding = Outstanding::new(1, depth);
    let (states, highest) = (vec![State::Answered], 1);
    let mut trial = Trial { payload, outstanding, connection, states, highest, name, now: 1, received: 0, expired: 0 };
    for step in input.steps.iter().take(200) {
        trial.now += 1;
        if !trial.step(step, depth) {
            break;
        }
        assert_eq!(trial.connection.in_flight() as usize, trial.out());
    }
    trial.end();
});

/// The echo of datagram `number` by a host.
fn echo(payload: &Payload, number: u64, host: u8) -> Vec<u8> {
    let message = payload.datagram(number);
    let mut bytes = payload.bytes()[message.start as usize..(message.start + message.len) as usize].to_vec();
    let tail = bytes.len() - wire::SEQUENCE_LEN;
    bytes[tail..].copy_from_slice(&number.to_be_bytes());
    bytes[0] = b'a' + host % 3;
    bytes
}

impl Trial {
    fn shared(&mut self) -> (&mut Connection, Shared<'_>) {
        (&mut self.connection, Shared { payload: &self.payload, outstanding: &mut self.outstanding, slot: 0 })
    }

    fn step(&mut self, step: &Step, depth: u32) -> bool {
        match step {
            Step::Send { taken } => {
                if self.connection.places() < depth {
                    self.send(*taken);
                }
                true
            }
            Step::Echo { back, host } => {
                let number = self.states.len().saturating_sub(usize::from(*back));
                self.receive(&echo(&self.payload, number as u64, *host))
            }
            Step::Raw(bytes) => self.receive(bytes),
            Step::Expire { age } => {
                self.expire(Nanos(self.now.saturating_sub(u64::from(*age))));
                true
            }
        }
    }

    fn send(&mut self, taken: bool) {
        let number = self.states.len() as u64;
        let now = self.now;
        let message = self.connection.next_datagram(&self.payload.clone(), Nanos(now));
        assert_eq!(message.sequence, Some(number));
        if !taken {
            assert!(self.connection.unsent());
            return;
        }
        let (connection, mut shared) = self.shared();
        assert!(connection.sent(&mut shared, Nanos(now), true, 1).is_some());
        self.states.push(State::Out { sent: now });
    }

    /// False: the flow is over.
    fn receive(&mut self, bytes: &[u8]) -> bool {
        let number = self.payload.datagram_echo(bytes).and_then(|n| usize::try_from(n).ok());
        let expected = number.and_then(|n| self.states.get(n).map(|state| (n, *state)));
        let mut told = Vec::new();
        let now = self.now;
        let (connection, mut shared) = self.shared();
        let outcome = connection.receive_datagram(&mut shared, Nanos(now), bytes, |_, echo| told.push(echo));
        assert_eq!(outcome.is_ok(), expected.is_some(), "{outcome:?}");
        let Some((number, state)) = expected else {
            assert!(told.is_empty());
            return false;
        };
        let name = bytes[..wire::NAME_LEN].to_vec();
        assert_eq!(told.contains(&Echo::OtherHost), name != self.name);
        self.name = name;
        let told = told.into_iter().filter(|e| !matches!(e, Echo::OtherHost | Echo::Identified));
        let told = told.collect::<Vec<_>>();
        let [told] = told[..] else { panic!("{told:?}") };
        match (state, told) {
            (State::Out { sent }, Echo::Received(p)) if number >= self.highest => {
                assert_eq!(p.sent, Nanos(sent));
                self.highest = number + 1;
                self.received += 1;
            }
            (State::Out { .. }, Echo::Reordered(_)) if number < self.highest => self.received += 1,
            (State::GivenUp, Echo::Late) | (State::Answered, Echo::Duplicate) => {}
            other => panic!("{number}: {other:?}"),
        }
        self.states[number] = State::Answered;
        true
    }

    fn expire(&mut self, limit: Nanos) {
        let (connection, mut shared) = self.shared();
        let mut expired = 0;
        while connection.expire_oldest(&mut shared, limit) {
            expired += 1;
        }
        let mut expected = 0;
        for state in &mut self.states {
            if matches!(state, State::Out { sent } if Nanos(*sent) <= limit) {
                *state = State::GivenUp;
                expected += 1;
            }
        }
        assert_eq!(expired, expected);
        self.expired += expired;
    }

    fn out(&self) -> usize {
        self.states.iter().filter(|s| matches!(s, State::Out { .. })).count()
    }

    fn end(&mut self) {
        let out = self.out();
        let (connection, mut shared) = self.shared();
        let mut given_up = 0;
        while connection.oldest(&shared).is_some() {
            given_up += usize::from(connection.give_up_oldest(&mut shared));
        }
        assert_eq!(given_up, out);
        assert_eq!(self.states.len() - 1, self.received + self.expired + given_up);
    }
}
