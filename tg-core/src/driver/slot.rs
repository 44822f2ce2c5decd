//! A slot's state: which of attempt, connection or wait it is in. Changes when that list does.

use crate::connection::Connection;
use crate::engine::Token;
use std::net::SocketAddr;
use tg_model::id::ConnId;
use tg_model::journal::Totals;
use tg_model::time::Nanos;

/// What a slot is at.
#[derive(Debug)]
pub enum State {
    /// Waits to make its next attempt: back-off, or its turn at the start.
    Waiting {
        /// When.
        until: Nanos,
    },
    /// Its target's name is being resolved for an attempt that began then.
    Resolving {
        /// When.
        started: Nanos,
    },
    /// An attempt is under way.
    Connecting(Attempt),
    /// It has a connection.
    Up(Box<Connection>),
    /// It will make no attempt any more.
    Idle,
}

/// One attempt to connect.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// When it began.
    pub started: Nanos,
    /// The address tried.
    pub remote: SocketAddr,
    /// UDP: the socket's end, while its probe is out.
    pub probing: Option<SocketAddr>,
}

/// A time without service, until the first packet on the replacement.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    /// The connection lost; `None` before the first.
    pub lost: Option<ConnId>,
    /// When service was lost.
    pub since: Nanos,
    /// When that was known.
    pub known: Nanos,
    /// When the slot first tried for a replacement.
    pub first_attempt: Option<Nanos>,
    /// Attempts that failed since.
    pub failed_attempts: u64,
    /// The replacement, and when it was established.
    pub replacement: Option<(ConnId, Nanos)>,
}

/// One of the plan's places.
#[derive(Debug)]
pub struct Slot {
    /// What it is at.
    pub state: State,
    /// Its last socket.
    pub token: Token,
    /// Connections that it had.
    pub connections: u64,
    /// Attempts that failed since the last establishment.
    pub failed_in_a_row: u32,
    /// Its first attempt has succeeded or failed.
    pub first_attempt_over: bool,
    /// The time without service under way.
    pub gap: Option<Gap>,
    /// Its totals, without the packets of the connection that it has.
    pub totals: Totals,
}

impl Slot {
    /// A slot whose first attempt is due at `until`.
    pub fn new(slot: u32, until: Nanos) -> Slot {
        let gap =
            Gap { lost: None, since: until, known: until, first_attempt: None, failed_attempts: 0, replacement: None };
        Slot {
            state: State::Waiting { until },
            token: Token { slot, generation: 0 },
            connections: 0,
            failed_in_a_row: 0,
            first_attempt_over: false,
            gap: Some(gap),
            totals: Totals::default(),
        }
    }

    /// A name for the slot's next socket.
    pub fn next_token(&mut self) -> Token {
        self.token.generation = self.token.generation.wrapping_add(1);
        self.token
    }

    /// Its connection.
    pub fn connection(&mut self) -> Option<&mut Connection> {
        match &mut self.state {
            State::Up(connection) => Some(connection),
            _ => None,
        }
    }

    /// Its totals.
    pub fn all_totals(&self) -> Totals {
        let mut totals = self.totals;
        if let State::Up(connection) = &self.state {
            totals.counts.add(&connection.counts);
        }
        totals
    }
}
